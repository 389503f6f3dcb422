package sessionstore_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
)

// withCookie sends it whatever net/http's cookies allow.
type withCookie string

func (c withCookie) RoundTrip(r *http.Request) (*http.Response, error) {
	r.Header["Cookie"] = []string{"session=" + string(c)}
	return http.DefaultTransport.RoundTrip(r)
}

// What follows is what scs's own tests of its stores ask for.

func TestFindAndCommit(t *testing.T) {
	m, _ := newManager(t)
	token := unique(t)
	for _, data := range []string{"encoded", "changed"} {
		if err := m.Store.Commit(token, []byte(data), time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		b, found, err := m.Store.Find(token)
		want(t, "found", found, true)
		want(t, "data", string(b), data)
		want(t, "error", err, nil)
	}
	_, found, err := m.Store.Find("missing")
	want(t, "found", found, false)
	want(t, "error", err, nil)
}

func TestExpiry(t *testing.T) {
	m, _ := newManager(t)
	token := unique(t)
	if err := m.Store.Commit(token, []byte("data"), time.Now().Add(300*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	_, found, _ := m.Store.Find(token)
	want(t, "found", found, true)
	time.Sleep(400 * time.Millisecond)
	_, found, _ = m.Store.Find(token)
	want(t, "found after the expiry", found, false)
}

func TestDelete(t *testing.T) {
	m, _ := newManager(t)
	token := unique(t)
	m.Store.Commit(token, []byte("data"), time.Now().Add(time.Minute))
	want(t, "error", m.Store.Delete(token), nil)
	_, found, _ := m.Store.Find(token)
	want(t, "found", found, false)
	for _, none := range []string{token, "", "\x00", "\xff"} {
		want(t, "error of none", m.Store.Delete(none), nil)
	}
}

func TestCommitWithNoTimeLeftEndsTheSession(t *testing.T) {
	m, _ := newManager(t)
	token := unique(t)
	m.Store.Commit(token, []byte("data"), time.Now().Add(time.Minute))
	want(t, "error", m.Store.Commit(token, []byte("data"), time.Now()), nil)
	_, found, _ := m.Store.Find(token)
	want(t, "found", found, false)
}

func TestItSaysThatItCannotIterate(t *testing.T) {
	m, _ := newManager(t)
	if _, ok := m.Store.(scs.IterableStore); ok {
		t.Error("tokens are not stored, so they cannot be listed")
	}
	if _, ok := m.Store.(scs.IterableCtxStore); ok {
		t.Error("tokens are not stored, so they cannot be listed")
	}
}
