package sessionstore_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/gob"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	sessionstore "github.com/session-store/session_store/adapters/go/scs"
)

// statements are those that one test's connections have sent.
type statements struct {
	mu   sync.Mutex
	sent []string
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = append(s.sent, data.SQL)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// during returns the functions of the extension that were called meanwhile, one a statement.
func (s *statements) during(f func()) []string {
	s.mu.Lock()
	s.sent = nil
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := []string{}
	for _, query := range s.sent {
		_, call, _ := strings.Cut(query, "session_")
		call, _, _ = strings.Cut(call, "(")
		calls = append(calls, "session_"+call)
	}
	return calls
}

func open(t *testing.T, url string) (*sql.DB, *statements) {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	sent := &statements{}
	config.Tracer = sent
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { db.Close() })
	return db, sent
}

func newManager(t *testing.T) (*sessionstore.SessionManager, *statements) {
	t.Helper()
	db, sent := open(t, os.Getenv("DATABASE_URL"))
	return sessionstore.New(db), sent
}

// row is what the owner sees of a session in the table.
type row struct {
	place     string // another one after each write
	principal string
	lifetime  int
	remaining float64
	deadline  float64
}

func find(t *testing.T, token string) (r row, found bool) {
	t.Helper()
	db, _ := open(t, os.Getenv("OWNER_URL"))
	key := sha256.Sum256([]byte(token))
	err := db.QueryRow(`SELECT ctid::text, coalesce(principal, ''), lifetime, coalesce(extract(epoch FROM deadline - now()), 0),
		coalesce(extract(epoch FROM deadline), 0)
		FROM session WHERE session_key = $1 AND session_expiry > now()`, key[:]).
		Scan(&r.place, &r.principal, &r.lifetime, &r.remaining, &r.deadline)
	if err != nil && err != sql.ErrNoRows {
		t.Fatal(err)
	}
	return r, err == nil
}

// site is an application over real HTTP.
type site struct {
	*httptest.Server
	t       *testing.T
	manager *sessionstore.SessionManager
}

func init() { gob.Register(map[string]string{}) }

// newSite has what the tests ask for. ?wait=… lets the handler wait after the session was loaded.
func newSite(t *testing.T, m *sessionstore.SessionManager) *site {
	mux := http.NewServeMux()
	handle := func(pattern string, f func(ctx context.Context, q url.Values) (string, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			wait, _ := time.ParseDuration(r.FormValue("wait"))
			time.Sleep(wait)
			body, err := f(r.Context(), r.Form)
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			io.WriteString(w, body)
		})
	}
	handle("/untouched", func(context.Context, url.Values) (string, error) { return "", nil })
	handle("/get", func(ctx context.Context, q url.Values) (string, error) { return m.GetString(ctx, q.Get("key")), nil })
	handle("/keys", func(ctx context.Context, _ url.Values) (string, error) { return strings.Join(m.Keys(ctx), " "), nil })
	handle("/put", func(ctx context.Context, q url.Values) (string, error) {
		m.Put(ctx, q.Get("key"), q.Get("value"))
		return "", nil
	})
	handle("/map", func(ctx context.Context, _ url.Values) (string, error) {
		m.Put(ctx, "map", map[string]string{"a": "1", "b": "2", "c": "3", "d": "4", "e": "5", "f": "6"})
		return "", nil
	})
	handle("/pop", func(ctx context.Context, q url.Values) (string, error) { return m.PopString(ctx, q.Get("key")), nil })
	handle("/clear", func(ctx context.Context, _ url.Values) (string, error) { return "", m.Clear(ctx) })
	handle("/renew", func(ctx context.Context, _ url.Values) (string, error) { return "", m.RenewToken(ctx) })
	handle("/login", func(ctx context.Context, q url.Values) (string, error) {
		m.Put(ctx, "user", q.Get("user"))
		return "", m.Login(ctx, q.Get("user"), map[string]any{"browser": q.Get("browser")})
	})
	handle("/logout", func(ctx context.Context, _ url.Values) (string, error) { return "", m.Destroy(ctx) })
	handle("/deadline", func(ctx context.Context, q url.Values) (string, error) {
		d, err := time.ParseDuration(q.Get("in"))
		m.SetDeadline(ctx, time.Now().Add(d).UTC())
		return "", err
	})
	s := &site{httptest.NewServer(m.LoadAndSave(mux)), t, m}
	t.Cleanup(s.Close)
	return s
}

// browser keeps cookies.
type browser struct {
	*site
	client *http.Client
}

func (s *site) browser() *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{s, &http.Client{Jar: jar}}
}

type answer struct {
	status int
	body   string
	cookie string // the token that it sets, "" if it sets none
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	response, err := b.client.Get(b.URL + path)
	if err != nil {
		b.t.Error(err)
		return answer{}
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	a := answer{status: response.StatusCode, body: string(body)}
	for _, c := range response.Cookies() {
		a.cookie = c.Value
	}
	return a
}

func (b *browser) token() string {
	u, _ := url.Parse(b.URL)
	for _, c := range b.client.Jar.Cookies(u) {
		return c.Value
	}
	return ""
}

// other is a browser with the same cookie, which keeps it whatever this one gets.
func (b *browser) other() *browser {
	o := b.site.browser()
	u, _ := url.Parse(b.URL)
	o.client.Jar.SetCookies(u, b.client.Jar.Cookies(u))
	return o
}

func parallel(n int, f func(i int)) {
	var group sync.WaitGroup
	for i := range n {
		group.Add(1)
		go func() {
			defer group.Done()
			f(i)
		}()
	}
	group.Wait()
}

func unique(t *testing.T) string { return fmt.Sprint(t.Name(), time.Now().UnixNano()) }

func want[T any](t *testing.T, what string, got, wanted T) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("%s: got %v, want %v", what, got, wanted)
	}
}
