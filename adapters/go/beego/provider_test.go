package sessionstore

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"net/http/httptest"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/beego/beego/v2/server/web"
	"github.com/beego/beego/v2/server/web/session"
)

var background = context.Background()

func TestAnUntouchedVisitAsksNothingAndStoresNothing(t *testing.T) {
	before := sessions(t)
	b := serve(t).browser(t)
	b.get("/untouched")
	expectCalls(t)
	b.expect("user", nil)
	expectCalls(t, "fetch")
	if sessions(t) != before {
		t.Error("a session is stored")
	}
}

func TestARequestLoadsOnceAndSavesOnceIfSomethingChanged(t *testing.T) {
	b := serve(t).browser(t)
	b.post("/set?key=color&value=red")
	expectCalls(t, "release_raw")
	b.expect("color", "red")
	expectCalls(t, "fetch")
	b.get("/untouched")
	expectCalls(t, "fetch")
	b.post("/set?key=color&value=red")
	expectCalls(t, "fetch")
	b.post("/set?key=color&value=blue")
	expectCalls(t, "fetch", "release_raw")
	b.expect("color", "blue")
}

func TestAValueThatChangesInPlaceIsSavedAndOneThatDoesNotIsNot(t *testing.T) {
	b := serve(t).browser(t)
	b.post("/count?key=a")
	b.post("/count?key=a")
	statements.calls()
	for range 10 { // a map of two keys has two encodings
		b.expect("counts", map[string]int{"a": 2})
		expectCalls(t, "fetch")
	}
}

func TestAnyValueThatBeegoCanEncodeComesBack(t *testing.T) {
	type user struct {
		Name string
		Tags []string
	}
	type pointed struct{ Name string }
	p := New(application)
	values := map[any]any{
		"text": "ä\x00\xff", 7: int64(8), true: 1.5, "struct": user{"ada", []string{"x"}}, "pointer": &pointed{"bob"},
		"bytes": []byte{0, 255}, "time": time.Now(), "nested": map[string]any{"a": []any{1, "b"}},
	}
	sid := newID(t)
	st := read(t, p, sid)
	for key, value := range values {
		_ = st.Set(background, key, value)
	}
	st.SessionRelease(background, nil)
	statements.calls()
	st = read(t, p, sid)
	for key, value := range values {
		got := st.Get(background, key)
		if at, ok := value.(time.Time); ok && at.Equal(got.(time.Time)) {
			continue
		}
		if !reflect.DeepEqual(got, value) {
			t.Errorf("%v is %#v, expected %#v", key, got, value)
		}
	}
	_ = st.Set(background, "time", values["time"]) // has a reading of the monotonic clock, which is not stored
	st.SessionRelease(background, nil)
	expectCalls(t, "fetch")
}

func TestSettingNilDeletes(t *testing.T) {
	p := New(application)
	st := begin(t, p, "a", 1, "b", 2)
	_ = st.Set(background, "a", nil)
	st.SessionRelease(background, nil)
	again := read(t, p, st.SessionID(background))
	if again.Get(background, "a") != nil || again.Get(background, "b") != 2 {
		t.Error("a is there, or b is not")
	}
}

func TestParallelRequestsThatSetDifferentKeysKeepAll(t *testing.T) {
	const requests = 20
	s := serve(t)
	b := s.browser(t)
	b.post("/set?key=first&value=1")
	var group sync.WaitGroup
	for i := range requests {
		group.Go(func() { b.post(fmt.Sprintf("/set?key=k%d&value=%d&hold=yes", i, i)) })
	}
	s.await(requests)
	s.release()
	group.Wait()
	b.expect("first", 1)
	for i := range requests {
		b.expect(fmt.Sprintf("k%d", i), i)
	}
}

func TestParallelRequestsLoadOnceEach(t *testing.T) {
	const requests = 20
	s := serve(t)
	b := s.browser(t)
	b.post("/set?key=color&value=red")
	statements.calls()
	var group sync.WaitGroup
	for range requests {
		group.Go(func() { b.expect("color", "red") })
	}
	group.Wait()
	if calls := statements.calls(); len(calls) != requests {
		t.Errorf("%d statements: %q", len(calls), calls)
	}
}

func TestALaterSaveOfTheSameKeyWins(t *testing.T) {
	p := New(application)
	sid := begin(t, p, "color", "red").SessionID(background)
	first, second := read(t, p, sid), read(t, p, sid)
	_ = first.Set(background, "color", "green")
	_ = second.Set(background, "color", "blue")
	second.SessionRelease(background, nil)
	first.SessionRelease(background, nil)
	if color := read(t, p, sid).Get(background, "color"); color != "green" {
		t.Errorf("color is %v", color)
	}
}

func TestADeletedKeyStaysDeletedWhenAnotherRequestSavesOtherKeys(t *testing.T) {
	p := New(application)
	sid := begin(t, p, "a", 1, "b", 2).SessionID(background)
	first, second := read(t, p, sid), read(t, p, sid)
	_ = first.Delete(background, "a")
	_ = second.Set(background, "b", 3)
	second.SessionRelease(background, nil)
	first.SessionRelease(background, nil)
	st := read(t, p, sid)
	if st.Get(background, "a") != nil || st.Get(background, "b") != 3 {
		t.Error("a is back, or b is lost")
	}
}

func TestAFlushDropsWhatAnotherRequestSavedMeanwhile(t *testing.T) {
	p := New(application)
	sid := begin(t, p, "user", "ada", "kept", 1).SessionID(background)
	first, second := read(t, p, sid), read(t, p, sid)
	_ = second.Set(background, "late", "value")
	second.SessionRelease(background, nil)
	_ = first.Flush(background)
	_ = first.Set(background, "kept", 1)
	first.SessionRelease(background, nil)
	st := read(t, p, sid)
	if st.Get(background, "user") != nil || st.Get(background, "late") != nil || st.Get(background, "kept") != 1 {
		t.Error("something was not flushed, or what was set afterwards is lost")
	}
}

func TestAFlushThatIsSavedDropsNothingLater(t *testing.T) {
	p := New(application)
	first := begin(t, p, "a", 1)
	_ = first.Flush(background)
	first.SessionRelease(background, nil)
	second := read(t, p, first.SessionID(background))
	_ = second.Set(background, "b", 2)
	second.SessionRelease(background, nil)
	_ = first.Set(background, "c", 3)
	first.SessionRelease(background, nil)
	st := read(t, p, first.SessionID(background))
	if st.Get(background, "b") != 2 || st.Get(background, "c") != 3 {
		t.Error("a value is lost")
	}
}

func TestALogoutWinsOverALateSave(t *testing.T) {
	s := serve(t)
	b := s.browser(t)
	b.post("/set?key=user&value=ada")
	thief, late := b.another(), b.another()
	done := make(chan struct{})
	go func() {
		defer close(done)
		late.post("/set?key=late&value=1&hold=yes")
	}()
	s.await(1)
	b.post("/logout")
	s.release()
	<-done
	if exists(t, thief.sid()) {
		t.Error("the session is back")
	}
	thief.expect("user", nil)
	if b.sid() != "" {
		t.Error("the browser still has the cookie")
	}
}

func TestAnEndedSessionIsReportedBySaveAndNotLogged(t *testing.T) {
	p := New(application)
	st := begin(t, p, "a", 1)
	if err := p.SessionDestroy(background, st.SessionID(background)); err != nil {
		t.Fatal(err)
	}
	_ = st.Set(background, "a", 2)
	if err := Save(background, st); err != ErrEnded {
		t.Errorf("Save: %v", err)
	}
	statements.calls()
	if logged := logOf(func() { st.SessionRelease(background, nil) }); logged != "" {
		t.Errorf("logged: %s", logged)
	}
	expectCalls(t)
}

func TestWhatCannotBeSavedIsLogged(t *testing.T) {
	p := New(application)
	st := begin(t, p, "a", 1)
	_ = st.Set(background, "channel", make(chan int))
	if logged := logOf(func() { st.SessionRelease(background, nil) }); !strings.Contains(logged, "not saved") {
		t.Errorf("logged: %q", logged)
	}
	closed := connect(os.Getenv("DATABASE_URL"), nil)
	closed.Close()
	p = New(closed)
	st = &SessionStore{db: p.db, sid: "x", values: map[any]any{}}
	_ = st.Set(background, "a", 1)
	if logged := logOf(func() { st.SessionRelease(background, nil) }); !strings.Contains(logged, "closed") {
		t.Errorf("logged: %q", logged)
	}
	if logged := logOf(func() { _ = p.SessionDestroy(background, "x") }); !strings.Contains(logged, "closed") {
		t.Errorf("logged: %q", logged)
	}
	if _, err := p.SessionExist(background, "x"); err == nil {
		t.Error("no error")
	}
}

func TestAMadeUpOrExpiredCookieIsNotAdopted(t *testing.T) {
	b := serve(t).browser(t)
	for _, sid := range []string{"made-up", "%00", "a%00b", "%ff%fe", "%C3%A4", strings.Repeat("x", 257), "%20"} {
		b.setSid(sid)
		b.post("/set?key=a&value=1")
		if b.sid() == sid || !exists(t, b.sid()) {
			t.Errorf("%q was adopted, or nothing was stored under the new id", sid)
		}
	}
	if _, err := owner.Exec(`SELECT session_touch($1, deadline => now() - interval '1 second')`, b.sid()); err != nil {
		t.Fatal(err)
	}
	expired := b.sid()
	b.expect("a", nil)
	if b.sid() == expired {
		t.Error("an expired id was adopted")
	}
}

func TestAnImpossibleIdIsUnknownWithoutAsking(t *testing.T) {
	p := New(application)
	statements.calls()
	for _, sid := range []string{"", "a\x00b", "\xff", "ä", "\n", strings.Repeat("x", 257)} {
		if found, err := p.SessionExist(background, sid); found || err != nil {
			t.Errorf("%q: %v, %v", sid, found, err)
		}
		if err := p.SessionDestroy(background, sid); err != nil {
			t.Errorf("%q: %v", sid, err)
		}
		if _, err := p.SessionRead(background, sid); err == nil {
			t.Errorf("%q begins a session", sid)
		}
		if _, err := p.SessionRegenerate(background, "x", sid); err == nil {
			t.Errorf("%q is a new id", sid)
		}
		if st, err := p.SessionRegenerate(background, sid, "x"); err != nil || st.SessionID(background) != "x" {
			t.Errorf("%q: %v", sid, err)
		}
	}
	expectCalls(t)
}

func TestBeegosRenewalKeepsTheValuesAndEndsTheOldId(t *testing.T) {
	b := serve(t).browser(t)
	b.post("/set?key=color&value=red")
	old := b.another()
	statements.calls()
	b.post("/renew")
	expectCalls(t, "fetch", "fetch regenerate")
	if b.sid() == old.sid() || exists(t, old.sid()) {
		t.Error("the id is still the old one, or reaches the session")
	}
	b.expect("color", "red")
	old.expect("color", nil)
}

func TestBeegosRenewalWithoutACookieBeginsASessionAndAsksNothing(t *testing.T) {
	serve(t)
	st, err := web.GlobalSessions.SessionRegenerateID(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if err != nil {
		t.Fatal(err)
	}
	expectCalls(t)
	_ = st.Set(background, "a", 1)
	st.SessionRelease(background, nil)
	expectCalls(t, "release_raw")
	if !exists(t, st.SessionID(background)) {
		t.Error("it is not stored")
	}
}

func TestALateRenewalDoesNotBringALogoutBack(t *testing.T) {
	p := New(application)
	st := begin(t, p, "user", "ada")
	old, renewed := st.SessionID(background), newID(t)
	_ = p.SessionDestroy(background, old)
	again, err := p.SessionRegenerate(background, old, renewed)
	if err != nil {
		t.Fatal(err)
	}
	again.SessionRelease(background, nil)
	if again.Get(background, "user") != nil || exists(t, renewed) || exists(t, old) {
		t.Error("the session is back")
	}
}

func TestARenewalToALiveIdIsAnErrorAndChangesNothing(t *testing.T) {
	p := New(application)
	first, second := begin(t, p, "a", 1), begin(t, p, "a", 2)
	if _, err := p.SessionRegenerate(background, first.SessionID(background), second.SessionID(background)); err == nil {
		t.Error("no error")
	}
	if read(t, p, second.SessionID(background)).Get(background, "a") != 2 {
		t.Error("the other session was swallowed")
	}
}

func TestReadIsNotAnsweredFromAnExistThatTheApplicationAsked(t *testing.T) {
	p := New(application)
	sid := begin(t, p, "user", "ada").SessionID(background)
	if found, err := p.SessionExist(background, sid); !found || err != nil {
		t.Fatal(found, err)
	}
	_ = p.SessionDestroy(background, sid)
	if read(t, p, sid).Get(background, "user") != nil {
		t.Error("a session that has ended was read")
	}
	if len(p.found.bySid) != 0 {
		t.Error("something is kept")
	}
}

// around is a provider of an application that adds something to another one.
type around struct{ session.Provider }

func (a around) SessionExist(ctx context.Context, sid string) (bool, error) {
	return a.Provider.SessionExist(ctx, sid)
}

func (a around) SessionRead(ctx context.Context, sid string) (session.Store, error) {
	return a.Provider.SessionRead(ctx, sid)
}

func TestAProviderOfTheApplicationAroundThisOneWorks(t *testing.T) {
	session.Register("around", around{New(application)})
	b := serveWith(t, "around", "").browser(t)
	b.post("/set?key=a&value=1")
	statements.calls()
	b.expect("a", 1)
	expectCalls(t, "exist", "fetch")
}

func TestTheSharedLookUpIsTheNewestOfRequestsAtTheSameTime(t *testing.T) {
	var h handover
	h.give("sid", content{[]byte("new"), 2})
	h.give("sid", content{[]byte("old"), 1})
	for range 2 {
		if c, found := h.take("sid"); !found || c.version != 2 {
			t.Error(c, found)
		}
	}
	if _, found := h.take("sid"); found {
		t.Error("it is kept")
	}
}

func TestASessionOfAnotherApplicationIsAnErrorAndStaysAsItIs(t *testing.T) {
	sid := newID(t)
	if _, err := owner.Exec(`SELECT session_create('{"a": 1}', $1)`, sid); err != nil {
		t.Fatal(err)
	}
	if _, err := New(application).SessionRead(background, sid); err != errForeign {
		t.Error(err)
	}
	if stored[string](t, "data::text", sid) != `{"a": 1}` {
		t.Error("it has changed")
	}
}

func TestTwoThatBeginASessionUnderOneIdKeepBothKeys(t *testing.T) {
	p := New(application)
	sid := newID(t)
	first, second := read(t, p, sid), read(t, p, sid)
	_ = first.Set(background, "a", 1)
	_ = second.Set(background, "b", 2)
	first.SessionRelease(background, nil)
	second.SessionRelease(background, nil)
	st := read(t, p, sid)
	if st.Get(background, "a") != 1 || st.Get(background, "b") != 2 {
		t.Error("a key is lost")
	}
}

func TestReleaseIfPresentBeginsNoSession(t *testing.T) {
	p := New(application)
	st := read(t, p, newID(t))
	_ = st.Set(background, "a", 1)
	st.SessionReleaseIfPresent(background, httptest.NewRecorder())
	if exists(t, st.SessionID(background)) {
		t.Error("it does")
	}
	st.SessionRelease(background, nil)
	_ = st.Set(background, "a", 2)
	st.SessionReleaseIfPresent(background, nil)
	if read(t, p, st.SessionID(background)).Get(background, "a") != 2 {
		t.Error("it does not save")
	}
}

func TestTheLifetimeIsBeegosAndRememberMeChangesIt(t *testing.T) {
	p := New(application)
	_ = p.SessionInit(background, 1234, "")
	st := begin(t, p, "a", 1)
	sid := st.SessionID(background)
	if seconds := stored[int](t, "extract(epoch FROM lifetime)::int", sid); seconds != 1234 {
		t.Errorf("%d seconds", seconds)
	}
	month := 30 * 24 * time.Hour
	if err := SetLifetime(background, st, month); err != nil {
		t.Fatal(err)
	}
	fresh := read(t, p, newID(t))
	if err := SetLifetime(background, fresh, month); err != nil {
		t.Fatal(err)
	}
	for _, st := range []session.Store{st, fresh} {
		_ = st.Set(background, "a", 2)
		st.SessionRelease(background, nil)
		if days := stored[int](t, "extract(epoch FROM lifetime)::int / 86400", st.SessionID(background)); days != 30 {
			t.Errorf("%d days", days)
		}
	}
	if err := SetLifetime(background, st, 0); err == nil {
		t.Error("0, which would be no limit, is no error")
	}
	_ = p.SessionDestroy(background, sid)
	if err := SetLifetime(background, st, month); err != ErrEnded {
		t.Error(err)
	}
}

func TestAllCountsLiveSessionsAndGCDoesNothing(t *testing.T) {
	p := New(application)
	before := sessions(t)
	begin(t, p, "a", 1)
	statements.calls()
	var none context.Context // is what beego's manager passes
	p.SessionGC(none)
	expectCalls(t)
	if count := p.SessionAll(none); count != before+1 {
		t.Errorf("%d sessions, expected %d", count, before+1)
	}
}

func TestAMessageIsPoppedByOneOfManyRequests(t *testing.T) {
	const requests = 10
	s := serve(t)
	b := s.browser(t)
	b.post("/set?key=flash&value=saved")
	var group sync.WaitGroup
	var lock sync.Mutex
	shown := map[any]int{}
	for range requests {
		group.Go(func() {
			value := b.post("/pop?key=flash&hold=yes")
			lock.Lock()
			defer lock.Unlock()
			shown[value]++
		})
	}
	s.await(requests)
	s.release()
	group.Wait()
	if shown["saved"] != 1 || shown[nil] != requests-1 {
		t.Errorf("shown: %v", shown)
	}
}

func TestAConnectionStringOfBeegosProviderMeansTheSame(t *testing.T) {
	t.Setenv("PGHOST", "")
	t.Setenv("PGSSLMODE", "")
	for config, expected := range map[string]string{
		"user=a":                           "host=localhost sslmode=require",
		"user=a host=/tmp sslmode=disable": "host=/tmp sslmode=disable",
		"postgres://a@db/x":                "host= sslmode=require",
		"postgres:///x?sslmode=verify-full&host=db.test": "host=db.test sslmode=verify-full",
	} {
		with := withDefaults(config)
		for _, part := range strings.Fields(expected) {
			name, value, _ := strings.Cut(part, "=")
			if got := lastValue(with, name); got != value {
				t.Errorf("%s: %s is %q, expected %q", with, name, got, value)
			}
		}
	}
	for _, config := range []string{"user=a binary_parameters=yes pool_max_conns=7", "postgres://a@db/x?pool_max_conns=7"} {
		db, err := open(config)
		if err != nil {
			t.Fatal(err)
		}
		settings := db.pool.Config()
		if parameters := settings.ConnConfig.RuntimeParams; settings.MaxConns != 7 || len(parameters) != 0 {
			t.Errorf("%s: %d connections, %v", config, settings.MaxConns, parameters)
		}
		db.close()
	}
	if err := (&Provider{}).SessionInit(background, 1, "nonsense"); err == nil {
		t.Error("nonsense is no error")
	}
}

func TestTheRegisteredProviderConnectsByTheConfiguration(t *testing.T) {
	for range 2 {
		b := serveWith(t, "session_store", os.Getenv("DATABASE_URL")+"?sslmode=disable").browser(t)
		b.post("/set?key=a&value=1")
		b.expect("a", 1)
	}
	b := serveWith(t, "session_store", os.Getenv("DATABASE_URL")+"?sslmode=disable&pool_max_conns=2").browser(t)
	b.post("/set?key=a&value=1")
	b.expect("a", 1)
}

func TestConnectionsThatTheServerEndedCostNoRequest(t *testing.T) {
	b := serveWith(t, "session_store", os.Getenv("DATABASE_URL")+"?sslmode=disable&application_name=ended").browser(t)
	b.post("/set?key=a&value=1")
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() { b.expect("a", 1) })
	}
	group.Wait()
	if _, err := owner.Exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ended'`); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		b.expect("a", 1)
	}
}

func TestADatabaseOfTheApplicationHasAnyDriver(t *testing.T) {
	db, err := sql.Open("postgres", os.Getenv("DATABASE_URL")+"?sslmode=disable") // github.com/lib/pq
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	p := New(db)
	st := begin(t, p, "a", 1)
	if err := Bind(background, st, "driver", map[string]any{"device": "laptop"}); err != nil {
		t.Fatal(err)
	}
	if devices, err := Devices(background, st); err != nil || len(devices) != 1 || devices[0].Attributes["device"] != "laptop" {
		t.Error(devices, err)
	}
	fresh := read(t, p, newID(t))
	if err := Bind(background, fresh, "driver", nil); err != nil {
		t.Fatal(err)
	}
	if read(t, p, st.SessionID(background)).Get(background, "a") != 1 {
		t.Error("a is lost")
	}
}

func lastValue(config, name string) string {
	fields := strings.FieldsFunc(config, func(r rune) bool { return strings.ContainsRune(" ?&", r) })
	value := ""
	for _, field := range fields {
		if n, v, found := strings.Cut(field, "="); found && n == name {
			value = strings.ReplaceAll(v, "%2F", "/")
		}
	}
	return value
}

func newID(t *testing.T) string {
	t.Helper()
	var sid string
	if err := owner.QueryRow(`SELECT session_new_id()`).Scan(&sid); err != nil {
		t.Fatal(err)
	}
	return sid
}

func read(t *testing.T, p *Provider, sid string) session.Store {
	t.Helper()
	st, err := p.SessionRead(background, sid)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// begin stores a session with these keys and values.
func begin(t *testing.T, p *Provider, pairs ...any) session.Store {
	t.Helper()
	st := read(t, p, newID(t))
	for i := 0; i < len(pairs); i += 2 {
		_ = st.Set(background, pairs[i], pairs[i+1])
	}
	if err := Save(background, st); err != nil {
		t.Fatal(err)
	}
	return st
}

func logOf(action func()) string {
	var log bytes.Buffer
	session.SLogger.SetOutput(&log)
	defer session.SLogger.SetOutput(os.Stderr)
	action()
	return log.String()
}
