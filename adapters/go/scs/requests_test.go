package sessionstore_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

func TestAnUntouchedVisitLeavesNeitherCookieNorStatement(t *testing.T) {
	m, sent := newManager(t)
	b := newSite(t, m).browser()
	want(t, "statements", sent.during(func() {
		want(t, "cookie", b.get("/untouched").cookie, "")
		want(t, "cookie", b.get("/get?key=a").cookie, "")
	}), []string{})
}

func TestARequestLoadsOnceAndSavesOnceIfItChangedSomething(t *testing.T) {
	for _, idle := range []time.Duration{0, 20 * time.Minute, time.Minute} {
		m, sent := newManager(t)
		m.IdleTimeout = idle
		if idle == time.Minute {
			m.Codec = scs.GobCodec{} // as any other would do
		}
		b := newSite(t, m).browser()
		load := "session_fetch"
		if idle > 0 {
			load = "session_load"
		}
		for _, step := range []struct {
			path       string
			statements []string
		}{
			{"/put?key=a&value=1", []string{"session_release_raw"}},
			{"/get?key=a", []string{load}},
			{"/put?key=a&value=1", []string{load}},
			{"/put?key=a&value=2", []string{load, "session_release_raw"}},
			{"/map", []string{load, "session_release_raw"}},
			{"/map", []string{load}},
			{"/pop?key=nothing", []string{load}},
			{"/pop?key=a", []string{load, "session_release_raw"}},
			{"/renew", []string{load, "session_release_raw"}},
			{"/login?user=ada", []string{load, "session_release_raw"}},
			{"/logout", []string{load, "session_destroy"}},
			{"/get?key=a", []string{}},
			{"/login?user=ada", []string{"session_release_raw"}},
		} {
			got := sent.during(func() { want(t, step.path, b.get(step.path).status, 200) })
			want(t, fmt.Sprint(step.path, " with idle timeout ", idle), got, step.statements)
		}
	}
}

func TestARequestThatChangesNothingLeavesTheRowAlone(t *testing.T) {
	m, _ := newManager(t)
	m.IdleTimeout = 20 * time.Minute
	b := newSite(t, m).browser()
	b.get("/map")
	if second := time.Now().Second(); second > 55 { // a step of the grid lies ahead, where use is written down
		time.Sleep(time.Duration(60-second) * time.Second)
		b.get("/get?key=a")
	}
	before, _ := find(t, b.token())
	b.get("/map")
	b.get("/get?key=a")
	after, _ := find(t, b.token())
	want(t, "place of the row", after.place, before.place)
}

func TestParallelRequestsKeepEachOthersKeys(t *testing.T) {
	for _, kept := range []string{"/put?key=first&value=1", "/map"} { // values that can change in place, too
		m, _ := newManager(t)
		b := newSite(t, m).browser()
		b.get(kept)
		parallel(20, func(i int) {
			want(t, "status", b.other().get(fmt.Sprintf("/put?key=k%02d&value=%d&wait=100ms", i, i)).status, 200)
		})
		keys := strings.Fields(b.get("/keys").body)
		want(t, "number of keys", len(keys), 21)
		want(t, "one of them", b.get("/get?key=k07").body, "7")
	}
}

func TestParallelRequestsKeepWhatOneRemoves(t *testing.T) {
	m, _ := newManager(t)
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	b.get("/put?key=b&value=1")
	slow := b.other()
	parallel(2, func(i int) {
		if i == 0 {
			slow.get("/put?key=c&value=1&wait=200ms")
		} else {
			time.Sleep(50 * time.Millisecond)
			b.get("/pop?key=a")
		}
	})
	want(t, "keys", b.get("/keys").body, "b c")
}

func TestLogoutWinsOverALateSave(t *testing.T) {
	m, _ := newManager(t)
	b := newSite(t, m).browser()
	for _, late := range []string{"/put?key=late&value=1", "/renew?", "/clear?", "/login?user=ada"} {
		late += "&wait=200ms"
		b.get("/put?key=a&value=1")
		token, other := b.token(), b.other()
		parallel(2, func(i int) {
			if i == 0 {
				a := other.get(late)
				want(t, late+": status", a.status, 200)
				want(t, late+": cookie", a.cookie, "")
			} else {
				time.Sleep(50 * time.Millisecond)
				b.get("/logout")
			}
		})
		_, found := find(t, token)
		want(t, late+": the session is back", found, false)
		want(t, "the cookie is gone", b.token(), "")
	}
}

func TestARequestWithTheCookieFromBeforeALoginDoesNotOverwriteTheNewOne(t *testing.T) {
	m, _ := newManager(t)
	m.IdleTimeout = 20 * time.Minute // scs sends the cookie with every answer
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	for _, late := range []string{"/put?key=b&value=1&wait=1100ms", "/get?key=a&wait=1100ms"} {
		other := b.other()
		parallel(2, func(i int) {
			if i == 0 {
				a := other.get(late)
				want(t, late+": status", a.status, 200)
				want(t, late+": cookie", a.cookie, "")
			} else {
				time.Sleep(50 * time.Millisecond)
				b.get("/login?user=ada")
			}
		})
		want(t, "logged in", b.get("/get?key=user").body, "ada")
		want(t, "the cart stays", b.get("/get?key=a").body, "1")
	}
}

func TestAFlashMessageIsShownOnceInParallelTabs(t *testing.T) {
	m, _ := newManager(t)
	b := newSite(t, m).browser()
	for range 5 {
		b.get("/put?key=flash&value=saved")
		shown := make([]string, 8)
		parallel(8, func(i int) { shown[i] = b.other().get("/pop?key=flash&wait=50ms").body })
		want(t, "shown", strings.Join(shown, ""), "saved")
		want(t, "afterwards", b.get("/pop?key=flash").body, "")
	}
}

func TestAFlashMessageThatCameMeanwhileStays(t *testing.T) {
	m, _ := newManager(t)
	b := newSite(t, m).browser()
	b.get("/put?key=flash&value=old")
	slow := b.other()
	parallel(2, func(i int) {
		if i == 0 {
			want(t, "slow tab", slow.get("/pop?key=flash&wait=200ms").body, "")
		} else {
			time.Sleep(50 * time.Millisecond)
			want(t, "quick tab", b.get("/pop?key=flash").body, "old")
			b.get("/put?key=flash&value=new")
		}
	})
	want(t, "next", b.get("/pop?key=flash").body, "new")
}

func TestACookieThatNoSessionHasIsNotAdopted(t *testing.T) {
	m, sent := newManager(t)
	s := newSite(t, m)
	for cookie, statements := range map[string][]string{
		"made-up":                {"session_fetch", "session_release_raw"},
		"caf\xc3\xa9":            {"session_release_raw"},
		"\xff":                   {"session_release_raw"},
		strings.Repeat("a", 257): {"session_release_raw"},
	} {
		b := s.browser()
		b.client.Transport = withCookie(cookie)
		var a answer
		want(t, fmt.Sprintf("statements of %q", cookie), sent.during(func() { a = b.get("/put?key=a&value=1") }), statements)
		want(t, "status", a.status, 200)
		if a.cookie == "" || a.cookie == cookie {
			t.Errorf("%q: the new session has the token %q", cookie, a.cookie)
		}
	}
}

func TestASaveFailsWithoutAScope(t *testing.T) {
	m, _ := newManager(t)
	ctx, err := m.SessionManager.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	m.SessionManager.Put(ctx, "a", 1)
	if _, _, err := m.SessionManager.Commit(ctx); err == nil {
		t.Error("the plain manager saved without knowing what it had loaded")
	}
	ctx, _ = m.SessionManager.Load(m.WithScope(t.Context()), "")
	m.SessionManager.Put(ctx, "a", 1)
	if _, _, err := m.SessionManager.Commit(ctx); err != nil {
		t.Error(err)
	}
}

func TestConnectionsThatTheServerHasClosedCostNoRequest(t *testing.T) {
	m, _ := newManager(t)
	b := newSite(t, m).browser()
	b.get("/put?key=a&value=1")
	owner, _ := open(t, os.Getenv("OWNER_URL"))
	for range 3 {
		parallel(5, func(int) { b.other().get("/get?key=a") })
		_, err := owner.Exec("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = 'app'")
		if err != nil {
			t.Fatal(err)
		}
		want(t, "the next request", b.get("/get?key=a"), answer{status: 200, body: "1"})
	}
}
