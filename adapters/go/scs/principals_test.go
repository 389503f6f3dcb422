package sessionstore_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"

	sessionstore "github.com/session-store/session_store/adapters/go/scs"
)

func TestALoginRenewsTheTokenAndBindsTheSession(t *testing.T) {
	m, _ := newManager(t)
	s := newSite(t, m)
	for _, first := range []string{"/untouched", "/put?key=cart&value=umbrella"} {
		b, user := s.browser(), unique(t)
		b.get(first)
		old := b.token()
		b.get("/login?user=" + user)
		r, found := find(t, b.token())
		want(t, "found", found, true)
		want(t, "principal", r.principal, user)
		if old != "" {
			want(t, "the cart", b.get("/get?key=cart").body, "umbrella")
			_, found = find(t, old)
			want(t, "the old token", found, false)
		}
	}
}

func TestARenewalOfScsKeepsTheSessionItsPrincipals(t *testing.T) {
	m, _ := newManager(t)
	b, user := newSite(t, m).browser(), unique(t)
	b.get("/login?user=" + user)
	old := b.token()
	b.get("/renew")
	want(t, "another token", b.token() != old, true)
	r, _ := find(t, b.token())
	want(t, "principal", r.principal, user)
	_, found := find(t, old)
	want(t, "the old token", found, false)

	db, _ := open(t, os.Getenv("DATABASE_URL"))
	if _, err := db.Exec("SELECT session_revoke_all($1)", user); err != nil {
		t.Fatal(err)
	}
	want(t, "after session_revoke_all", b.get("/get?key=user").body, "")
}

func TestALoginThatMeetsAnotherRequestKeepsTheChangesOfBoth(t *testing.T) {
	m, _ := newManager(t)
	b, user := newSite(t, m).browser(), unique(t)
	b.get("/put?key=a&value=1")
	other := b.other()
	parallel(2, func(i int) {
		if i == 0 {
			b.get("/login?wait=200ms&user=" + user)
		} else {
			time.Sleep(50 * time.Millisecond)
			other.get("/put?key=b&value=2")
		}
	})
	want(t, "keys", b.get("/keys").body, "a b user")
	r, _ := find(t, b.token())
	want(t, "principal", r.principal, user)
}

func TestALoginAsSomebodyElseTakesNothingAlong(t *testing.T) {
	m, _ := newManager(t)
	b := newSite(t, m).browser()
	b.get("/login?user=" + unique(t))
	b.get("/put?key=secret&value=1")
	other := unique(t)
	b.get("/login?user=" + other)
	want(t, "keys", b.get("/keys").body, "user")
	want(t, "user", b.get("/get?key=user").body, other)
}

func TestAPrincipalIsText(t *testing.T) {
	m, _ := newManager(t)
	session(t, m, "", func(ctx context.Context) {
		for _, principal := range []string{"", strings.Repeat("a", 257), "a\x00", "\xff"} {
			if m.Login(ctx, principal, nil) == nil {
				t.Errorf("%q became a principal", principal)
			}
		}
		want(t, "status", m.Status(ctx), scs.Unmodified)
	})
}

// session loads a token for one request and saves it at its end, as the middleware does.
func session(t *testing.T, m *sessionstore.SessionManager, token string, f func(ctx context.Context)) string {
	t.Helper()
	ctx, err := m.Load(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	f(ctx)
	if m.Status(ctx) != scs.Modified {
		return m.Token(ctx)
	}
	token, _, err = m.Commit(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func login(t *testing.T, m *sessionstore.SessionManager, user, browser string) string {
	return session(t, m, "", func(ctx context.Context) {
		m.Put(ctx, "user", user)
		want(t, "login", m.Login(ctx, user, map[string]any{"browser": browser}), nil)
	})
}

func TestDevicesAreListedAndRevoked(t *testing.T) {
	m, _ := newManager(t)
	m.IdleTimeout = 20 * time.Minute
	user := unique(t)
	laptop, phone, tablet := login(t, m, user, "laptop"), login(t, m, user, "phone"), login(t, m, user, "tablet")
	stranger := login(t, m, unique(t), "stranger")
	session(t, m, laptop, func(ctx context.Context) {
		devices, err := m.Devices(ctx)
		want(t, "error", err, nil)
		want(t, "devices", len(devices), 3)
		want(t, "the first", devices[0].Attributes["browser"], any("laptop"))
		for i, d := range devices {
			want(t, "current", d.Current, i == 0)
			want(t, "seen", time.Since(d.LastSeen) < 2*time.Minute, true)
			want(t, "expires", time.Until(d.ExpiresAt) > 19*time.Minute, true)
			if d.Attributes["browser"] == "phone" {
				revoked, err := m.Revoke(ctx, d.Handle)
				want(t, "revoked", revoked, true)
				want(t, "error", err, nil)
			}
		}
		revoked, err := m.Revoke(ctx, "nobody's \x00")
		want(t, "a made-up handle", revoked, false)
		want(t, "error", err, nil)
	})
	want(t, "phone", exists(t, phone), false)
	want(t, "tablet", exists(t, tablet), true)
	session(t, m, laptop, func(ctx context.Context) {
		handles, err := m.RevokeOthers(ctx)
		want(t, "revoked", len(handles), 1)
		want(t, "error", err, nil)
	})
	want(t, "tablet", exists(t, tablet), false)
	want(t, "laptop", exists(t, laptop), true)
	want(t, "stranger", exists(t, stranger), true)
}

func exists(t *testing.T, token string) bool {
	_, found := find(t, token)
	return found
}

func TestALoginCountsAtOnceForTheDevices(t *testing.T) {
	m, _ := newManager(t)
	user := unique(t)
	before := login(t, m, user, "before")
	session(t, m, "", func(ctx context.Context) {
		m.Put(ctx, "user", user)
		want(t, "login", m.Login(ctx, user, nil), nil)
		devices, _ := m.Devices(ctx)
		want(t, "devices", len(devices), 2)
		handles, _ := m.RevokeOthers(ctx)
		want(t, "revoked", len(handles), 1)
		m.Put(ctx, "later", 1)
	})
	want(t, "before", exists(t, before), false)
}

func TestALogoutLeavesTheSessionToNobody(t *testing.T) {
	m, _ := newManager(t)
	token := login(t, m, unique(t), "laptop")
	next := session(t, m, token, func(ctx context.Context) {
		want(t, "logout", m.Logout(ctx), nil)
		m.Remove(ctx, "user")
		m.Put(ctx, "flash", "goodbye")
	})
	r, found := find(t, next)
	want(t, "found", found, true)
	want(t, "principal", r.principal, "")
	want(t, "the old token", exists(t, token), false)
	session(t, m, next, func(ctx context.Context) {
		want(t, "flash", m.PopString(ctx, "flash"), "goodbye")
		devices, err := m.Devices(ctx)
		want(t, "devices", len(devices), 0)
		want(t, "error", err, nil)
	})
}

func TestWhatFollowsADestroyIsANewSessionOfNobody(t *testing.T) {
	m, _ := newManager(t)
	for _, renewed := range []bool{false, true} {
		token := login(t, m, unique(t), "laptop")
		next := session(t, m, token, func(ctx context.Context) {
			if renewed {
				want(t, "renewal", m.RenewToken(ctx), nil)
			}
			want(t, "destroy", m.Destroy(ctx), nil)
			want(t, "the old token", exists(t, token), false)
			m.Put(ctx, "flash", "goodbye")
		})
		r, found := find(t, next)
		want(t, "found", found, true)
		want(t, "principal", r.principal, "")
	}
}

func TestASessionThatEndedMeanwhileIsAnError(t *testing.T) {
	m, _ := newManager(t)
	token := login(t, m, unique(t), "laptop")
	ctx, _ := m.Load(t.Context(), token)
	m.Store.Delete(token)
	m.Put(ctx, "late", 1)
	if _, _, err := m.Commit(ctx); !errors.Is(err, sessionstore.ErrEnded) {
		t.Errorf("got %v", err)
	}
}

func TestAMergedSessionEnds(t *testing.T) {
	m, _ := newManager(t)
	user := unique(t)
	lost := session(t, m, "", func(ctx context.Context) { m.Put(ctx, "cart", "umbrella") })
	for _, own := range []string{"", login(t, m, user, "laptop")} {
		next := session(t, m, own, func(ctx context.Context) {
			if own == "" {
				want(t, "login", m.Login(ctx, user, nil), nil)
			}
			want(t, "merge", m.MergeSession(ctx, lost), nil)
			want(t, "cart", m.GetString(ctx, "cart"), "umbrella")
		})
		want(t, "the lost one", exists(t, lost), false)
		r, _ := find(t, next)
		want(t, "principal", r.principal, user)
		lost = session(t, m, "", func(ctx context.Context) { m.Put(ctx, "cart", "umbrella") })
	}
}

func TestSavesInOneRequestKeepWhatOthersSaveInBetween(t *testing.T) {
	m, _ := newManager(t)
	for _, between := range []struct{ save, renewal bool }{{}, {save: true}, {renewal: true}, {true, true}} {
		token := session(t, m, "", func(ctx context.Context) { m.Put(ctx, "a", 1) })
		put := func(key string) { session(t, m, token, func(ctx context.Context) { m.Put(ctx, key, 1) }) }
		keys := []string{"a", "b", "c", "other1"}
		next := session(t, m, token, func(ctx context.Context) {
			put("other1")
			m.Put(ctx, "b", 1)
			m.Commit(ctx)
			if between.save {
				put("other2")
				keys = append(keys, "other2")
			}
			if between.renewal {
				m.RenewToken(ctx)
			}
			m.Put(ctx, "c", 1)
		})
		session(t, m, next, func(ctx context.Context) { want(t, fmt.Sprint(between), m.Keys(ctx), keys) })
	}
}

func TestOfTwoDeadlinesTheOneThatWasSetStays(t *testing.T) {
	m, _ := newManager(t)
	token := session(t, m, "", func(ctx context.Context) { m.Put(ctx, "a", 1) })
	set := func(in time.Duration) {
		session(t, m, token, func(ctx context.Context) { m.SetDeadline(ctx, time.Now().Add(in)) })
	}
	session(t, m, token, func(ctx context.Context) {
		set(30 * time.Hour)
		m.Put(ctx, "b", 1)
	})
	r, _ := find(t, token)
	want(t, "another's", r.remaining > 29*3600, true)
	session(t, m, token, func(ctx context.Context) {
		set(20 * time.Hour)
		m.SetDeadline(ctx, time.Now().Add(40*time.Hour))
	})
	r, _ = find(t, token)
	want(t, "the later one", r.remaining > 39*3600, true)
}

func TestItWorksWithHashedTokens(t *testing.T) {
	m, _ := newManager(t)
	m.HashTokenInStore = true
	user := unique(t)
	token := login(t, m, user, "laptop")
	session(t, m, token, func(ctx context.Context) {
		want(t, "user", m.GetString(ctx, "user"), user)
		devices, _ := m.Devices(ctx)
		want(t, "devices", len(devices), 1)
	})
}
