package sessionstore

import (
	"sync"
	"testing"

	"github.com/beego/beego/v2/server/web/session"
)

func TestLoginRenewsTheIdAndBindsThePrincipal(t *testing.T) {
	b := serve(t).browser(t)
	b.post("/set?key=cart&value=umbrella")
	old := b.another()
	b.post("/login?user=ada")
	if exists(t, old.sid()) {
		t.Error("the old id reaches the session")
	}
	b.expect("user", "ada")
	b.expect("cart", "umbrella")
	b.expect("before", "login")
	if principal := stored[string](t, "principal", b.sid()); principal != "ada" {
		t.Errorf("it belongs to %s", principal)
	}
	if browser := stored[string](t, "attributes ->> 'browser'", b.sid()); browser != "Go-http-client/1.1" {
		t.Errorf("the browser is %s", browser)
	}
}

func TestALogoutRightAfterALoginEndsItsSession(t *testing.T) {
	before := sessions(t)
	b := serve(t).browser(t)
	b.post("/login_and_logout?user=taken-back")
	b.post("/set?key=cart&value=umbrella")
	b.post("/login_and_logout?user=taken-back")
	if n := sessions(t) - before; n != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestASecondLoginInOneRequestLeavesNothingOfTheFirst(t *testing.T) {
	before := sessions(t)
	b := serve(t).browser(t)
	b.post("/login_twice?user=ada")
	b.expect("user", "ada")
	if n := sessions(t) - before; n != 1 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestALoginWithAnOldCookieKeepsWhatTheRequestHasSet(t *testing.T) {
	before := sessions(t)
	b := serve(t).browser(t)
	b.setSid("of-a-session-that-has-expired")
	b.post("/login?user=ada")
	b.expect("user", "ada")
	b.expect("before", "login")
	if n := sessions(t) - before; n != 1 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestALoginTakesARenewalABindingAndASave(t *testing.T) {
	b := serve(t).browser(t)
	b.post("/set?key=before&value=login")
	statements.calls()
	b.post("/login?user=ada")
	expectCalls(t, "fetch", "fetch regenerate", "fetch bind", "release_raw")
}

func TestALoginOfAVisitorWithoutASessionBeginsOneThatIsBound(t *testing.T) {
	p := New(application)
	_ = p.SessionInit(background, 1234, "")
	st := read(t, p, newID(t))
	if err := Bind(background, st, "new-visitor", nil); err != nil {
		t.Fatal(err)
	}
	_ = st.Set(background, "user", "new-visitor")
	st.SessionRelease(background, nil)
	sid := st.SessionID(background)
	if stored[string](t, "principal", sid) != "new-visitor" || read(t, p, sid).Get(background, "user") != "new-visitor" {
		t.Error("it is not bound, or empty")
	}
	if seconds := stored[int](t, "extract(epoch FROM lifetime)::int", sid); seconds != 1234 {
		t.Errorf("%d seconds", seconds)
	}
}

func TestBindingASessionOfAnotherPrincipalEmptiesIt(t *testing.T) {
	p := New(application)
	st := begin(t, p, "cart", "umbrella")
	_ = st.Set(background, "unsaved", "value")
	if err := Bind(background, st, "first", nil); err != nil {
		t.Fatal(err)
	}
	if st.Get(background, "cart") != "umbrella" || st.Get(background, "unsaved") != "value" {
		t.Error("a session of nobody was emptied")
	}
	_ = st.Set(background, "unsaved", "secret")
	if err := Bind(background, st, "second", nil); err != nil {
		t.Fatal(err)
	}
	if st.Get(background, "cart") != nil || st.Get(background, "unsaved") != nil {
		t.Error("something of the first is in the store")
	}
	_ = st.Set(background, "user", "second")
	st.SessionRelease(background, nil)
	st = read(t, p, st.SessionID(background))
	if st.Get(background, "cart") != nil || st.Get(background, "unsaved") != nil || st.Get(background, "user") != "second" {
		t.Error("something of the first is there, or nothing of the second")
	}
}

func TestBindingASessionThatHasEndedIsAnError(t *testing.T) {
	p := New(application)
	st := begin(t, p, "a", 1)
	_ = p.SessionDestroy(background, st.SessionID(background))
	if err := Bind(background, st, "ada", nil); err != ErrEnded {
		t.Error(err)
	}
	if exists(t, st.SessionID(background)) {
		t.Error("it is back")
	}
}

func TestDevicesAreListedAndEnded(t *testing.T) {
	p := New(application)
	var stores []session.Store
	for _, device := range []string{"laptop", "phone", "tablet"} {
		st := begin(t, p, "a", 1)
		if err := Bind(background, st, "grace", map[string]any{"device": device}); err != nil {
			t.Fatal(err)
		}
		stores = append(stores, st)
	}
	devices, err := Devices(background, stores[0])
	if err != nil || len(devices) != 3 {
		t.Fatal(devices, err)
	}
	first := devices[0]
	if !first.IsThis || first.Attributes["device"] != "laptop" || first.LastSeen.IsZero() || first.ExpiresAt.IsZero() {
		t.Errorf("this one: %+v", first)
	}
	if revoked, err := Revoke(background, stores[1], first.Handle); !revoked || err != nil {
		t.Error(revoked, err)
	}
	if exists(t, stores[0].SessionID(background)) {
		t.Error("the revoked session is live")
	}
	if revoked, err := Revoke(background, begin(t, p, "a", 1), devices[1].Handle); revoked || err != nil {
		t.Error("a session of nobody revoked one", err)
	}
	if count, err := RevokeOthers(background, stores[1]); count != 1 || err != nil {
		t.Error(count, err)
	}
	if devices, err := Devices(background, stores[1]); len(devices) != 1 || err != nil {
		t.Error(devices, err)
	}
	if devices, err := Devices(background, stores[2]); len(devices) != 0 || err != nil {
		t.Error(devices, err)
	}
}

func TestADeviceWhoseSessionDoesNotExpireSaysSo(t *testing.T) {
	p := New(application)
	st := begin(t, p, "a", 1)
	if err := Bind(background, st, "forever", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.Exec(`SELECT session_touch($1, lifetime => '0')`, st.SessionID(background)); err != nil {
		t.Fatal(err)
	}
	devices, err := Devices(background, st)
	if err != nil || len(devices) != 1 || !devices[0].ExpiresAt.IsZero() || !devices[0].LastSeen.IsZero() {
		t.Error(devices, err)
	}
}

func TestLoggingOutEverywhereEndsASessionThatBeegoRenewed(t *testing.T) {
	b := serve(t).browser(t)
	b.post("/login?user=renewed-user")
	b.post("/renew")
	if !exists(t, b.sid()) {
		t.Fatal("no session")
	}
	if _, err := application.Exec(`SELECT session_revoke_all('renewed-user')`); err != nil {
		t.Fatal(err)
	}
	if exists(t, b.sid()) {
		t.Error("it is still live")
	}
	b.expect("user", nil)
}

func TestARequestWithTheOldCookieNeitherLosesNorChangesTheLoginsSession(t *testing.T) {
	s := serve(t)
	b := s.browser(t)
	b.post("/set?key=cart&value=umbrella")
	slow := b.another()
	var group sync.WaitGroup
	group.Go(func() { slow.post("/set?key=late&value=1&hold=yes") })
	s.await(1)
	b.post("/login?user=ada")
	s.release()
	group.Wait()
	b.expect("user", "ada")
	b.expect("cart", "umbrella")
	b.expect("late", nil)
	if exists(t, slow.sid()) {
		t.Error("there is a session under the old id")
	}
}

func TestOtherStoresAreRefused(t *testing.T) {
	memory, err := session.GetProvider("memory")
	if err != nil {
		t.Fatal(err)
	}
	st, _ := memory.SessionRead(background, "x")
	if err := Bind(background, st, "ada", nil); err != errNotOurs {
		t.Error(err)
	}
	if _, err := Devices(background, nil); err != errNotOurs {
		t.Error(err)
	}
}
