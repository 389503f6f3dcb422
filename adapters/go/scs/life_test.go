package sessionstore_test

import (
	"math"
	"testing"
	"time"
)

func TestALifetimeIsADeadlineByTheServersClock(t *testing.T) {
	m, _ := newManager(t)
	m.Lifetime = 2 * time.Hour
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	r, _ := find(t, b.token())
	want(t, "idle lifetime", r.lifetime, 0)
	want(t, "about two hours", math.Abs(r.remaining-7200) < 5, true)
}

func TestASaveLeavesTheDeadlineToTheMicrosecond(t *testing.T) {
	m, _ := newManager(t)
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	before, _ := find(t, b.token())
	b.get("/put?key=a&value=2")
	after, _ := find(t, b.token())
	want(t, "written", after.place != before.place, true)
	want(t, "deadline", after.deadline, before.deadline)
}

func TestAnIdleTimeoutIsTheSessionsIdleLifetime(t *testing.T) {
	m, _ := newManager(t)
	m.IdleTimeout, m.Lifetime = time.Second, time.Hour
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	r, _ := find(t, b.token())
	want(t, "idle lifetime", r.lifetime, 1)
	want(t, "deadline", math.Abs(r.remaining-3600) < 5, true)
	for range 4 {
		time.Sleep(500 * time.Millisecond)
		want(t, "kept alive", b.get("/get?key=a").body, "1")
	}
	time.Sleep(1200 * time.Millisecond)
	want(t, "after the timeout", b.get("/get?key=a").body, "")
}

func TestANewIdleTimeoutCountsForTheSessionsThatThereAre(t *testing.T) {
	m, sent := newManager(t)
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	m.IdleTimeout = 10 * time.Minute
	want(t, "first request", sent.during(func() { b.get("/get?key=a") }), []string{"session_load", "session_release_raw"})
	want(t, "next", sent.during(func() { b.get("/get?key=a") }), []string{"session_load"})
	r, _ := find(t, b.token())
	want(t, "idle lifetime", r.lifetime, 600)
}

func TestADeadlineAloneIsWrittenOnlyWhenItMovesByMoreThanAStep(t *testing.T) {
	m, sent := newManager(t)
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	load, save := []string{"session_fetch"}, []string{"session_fetch", "session_release_raw"}
	for _, step := range []struct {
		in         string
		statements []string
	}{{"30h", save}, {"30h", load}, {"30h50s", load}, {"30h65s", save}, {"10s", save}, {"10s", load}, {"12s", save}} {
		want(t, step.in, sent.during(func() { b.get("/deadline?in=" + step.in) }), step.statements)
	}
	r, _ := find(t, b.token())
	want(t, "remaining", r.remaining > 10 && r.remaining < 13, true)
}

func TestADeadlineThatHasPassedEndsTheSession(t *testing.T) {
	m, _ := newManager(t)
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	token := b.token()
	want(t, "status", b.get("/deadline?in=-1s").status, 200)
	_, found := find(t, token)
	want(t, "found", found, false)
}
