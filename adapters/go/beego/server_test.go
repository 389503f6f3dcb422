package sessionstore

import (
	"context"
	"database/sql"
	"encoding/json"
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
	_ "time/tzdata"

	"github.com/beego/beego/v2/core/logs"
	"github.com/beego/beego/v2/server/web"
	webcontext "github.com/beego/beego/v2/server/web/context"
	"github.com/beego/beego/v2/server/web/session"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

const cookieName = "beegosessionID"

var (
	application *sql.DB // with the rights of an application; its statements are counted
	owner       *sql.DB
	statements  = &counter{}
)

func TestMain(m *testing.M) {
	// Not where the server is: beego's provider writes its local time.
	time.Local, _ = time.LoadLocation("Europe/Berlin")
	logs.SetLevel(logs.LevelEmergency)
	web.BConfig.RunMode = web.PROD
	web.BConfig.RecoverPanic = false
	web.BConfig.WebConfig.AutoRender = false
	web.BConfig.WebConfig.Session.SessionOn = true
	owner = connect(os.Getenv("OWNER_URL"), nil)
	if _, err := owner.Exec(`SELECT session_clear()`); err != nil {
		panic(err)
	}
	application = connect(os.Getenv("DATABASE_URL"), statements)
	os.Exit(m.Run())
}

func connect(address string, tracer pgx.QueryTracer) *sql.DB {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		panic(err)
	}
	config.Tracer = tracer
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	db := stdlib.OpenDB(*config)
	db.SetMaxIdleConns(30)
	return db
}

// counter sees each statement that the driver sends.
type counter struct {
	lock sync.Mutex
	sent []string
}

func (c *counter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	c.lock.Lock()
	defer c.lock.Unlock()
	c.sent = append(c.sent, data.SQL)
	return ctx
}

func (c *counter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// calls returns which functions were called since the last time: one element a trip, such as "fetch" or
// "fetch regenerate".
func (c *counter) calls() []string {
	c.lock.Lock()
	defer c.lock.Unlock()
	calls := []string{}
	for _, statement := range c.sent {
		var names []string
		for _, part := range strings.Split(statement, "session_")[1:] {
			name, _, _ := strings.Cut(part, "(")
			names = append(names, name)
		}
		calls = append(calls, strings.Join(names, " "))
	}
	c.sent = nil
	return calls
}

func expectCalls(t *testing.T, expected ...string) {
	t.Helper()
	if calls := statements.calls(); strings.Join(calls, ", ") != strings.Join(expected, ", ") {
		t.Errorf("statements: %q, expected %q", calls, expected)
	}
}

// server is a beego application. The request holds where its query says hold=yes, with its session loaded, until
// release is called.
type server struct {
	*httptest.Server
	holding  chan struct{}
	released chan struct{}
}

func (s *server) hold(ctx *webcontext.Context) {
	if ctx.Input.Query("hold") == "yes" {
		s.holding <- struct{}{}
		<-s.released
	}
}

func (s *server) await(requests int) {
	for range requests {
		<-s.holding
	}
}

func (s *server) release() {
	close(s.released)
}

// account is a controller as applications have them.
type account struct{ web.Controller }

func (c *account) Login() {
	c.SetSession("before", "login")
	if err := Login(c.Ctx, c.GetString("user"), map[string]any{"browser": c.Ctx.Input.UserAgent()}); err != nil {
		c.CustomAbort(http.StatusInternalServerError, err.Error())
	}
	_ = c.SetSession("user", c.GetString("user"))
	_ = c.Ctx.Output.Body([]byte("{}"))
}

func (c *account) Renew() {
	_ = c.GetSession("user")
	if err := c.SessionRegenerateID(); err != nil {
		c.CustomAbort(http.StatusInternalServerError, err.Error())
	}
	_ = c.Ctx.Output.Body([]byte("{}"))
}

func (c *account) Logout() {
	if err := c.DestroySession(); err != nil {
		c.CustomAbort(http.StatusInternalServerError, err.Error())
	}
	_ = c.Ctx.Output.Body([]byte("{}"))
}

// LoginAndLogout is how a login is taken back: its password was changed meanwhile, say.
func (c *account) LoginAndLogout() {
	if err := Login(c.Ctx, c.GetString("user"), nil); err != nil {
		c.CustomAbort(http.StatusInternalServerError, err.Error())
	}
	c.Logout()
}

func (c *account) LoginTwice() {
	if err := Login(c.Ctx, "a guest", nil); err != nil {
		c.CustomAbort(http.StatusInternalServerError, err.Error())
	}
	c.Login()
}

func serve(t *testing.T) *server {
	t.Helper()
	session.Register("counted", New(application))
	return serveWith(t, "counted", "")
}

func serveWith(t *testing.T, provider, config string) *server {
	t.Helper()
	manager, err := session.NewManager(provider, session.NewManagerConfig(
		session.CfgCookieName(cookieName), session.CfgSetCookie(true), session.CfgGcLifeTime(3600),
		session.CfgProviderConfig(config)))
	if err != nil {
		t.Fatal(err)
	}
	web.GlobalSessions = manager
	s := &server{holding: make(chan struct{}), released: make(chan struct{})}
	handlers := web.NewControllerRegister()
	handlers.Get("/untouched", func(ctx *webcontext.Context) { answer(ctx, "") })
	handlers.Get("/get", func(ctx *webcontext.Context) {
		answer(ctx, ctx.Input.Session(ctx.Input.Query("key")))
	})
	handlers.Post("/set", func(ctx *webcontext.Context) {
		s.hold(ctx)
		ctx.Output.Session(ctx.Input.Query("key"), ctx.Input.Query("value"))
		answer(ctx, "")
	})
	handlers.Post("/count", func(ctx *webcontext.Context) { // in place, without Set
		counts, _ := ctx.Input.Session("counts").(map[string]int)
		if counts == nil {
			counts = make(map[string]int)
			ctx.Output.Session("counts", counts)
		}
		counts[ctx.Input.Query("key")]++
		answer(ctx, counts)
	})
	handlers.Post("/flush", func(ctx *webcontext.Context) {
		s.hold(ctx)
		_ = ctx.Input.CruSession.Flush(context.Background())
		answer(ctx, "")
	})
	handlers.Post("/pop", func(ctx *webcontext.Context) {
		s.hold(ctx)
		value, err := Pop(ctx.Request.Context(), ctx.Input.CruSession, ctx.Input.Query("key"))
		if err != nil {
			value = err.Error()
		}
		answer(ctx, value)
	})
	handlers.Add("/login", &account{}, web.WithRouterMethods(&account{}, "post:Login"))
	handlers.Add("/renew", &account{}, web.WithRouterMethods(&account{}, "post:Renew"))
	handlers.Add("/logout", &account{}, web.WithRouterMethods(&account{}, "post:Logout"))
	handlers.Add("/login_and_logout", &account{}, web.WithRouterMethods(&account{}, "post:LoginAndLogout"))
	handlers.Add("/login_twice", &account{}, web.WithRouterMethods(&account{}, "post:LoginTwice"))
	s.Server = httptest.NewServer(handlers)
	t.Cleanup(s.Close)
	statements.calls()
	return s
}

func answer(ctx *webcontext.Context, value any) {
	_ = ctx.Output.JSON(value, false, false)
}

// browser keeps cookies.
type browser struct {
	t      *testing.T
	server *server
	client *http.Client
}

func (s *server) browser(t *testing.T) *browser {
	jar, _ := cookiejar.New(nil)
	return &browser{t, s, &http.Client{Jar: jar}}
}

func (b *browser) request(method, path string) any {
	b.t.Helper()
	request, _ := http.NewRequest(method, b.server.URL+path, nil)
	response, err := b.client.Do(request)
	if err != nil {
		b.t.Error(err)
		return nil
	}
	defer response.Body.Close()
	body, _ := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		b.t.Errorf("%s %s: %s %s", method, path, response.Status, body)
	}
	var value any
	_ = json.Unmarshal(body, &value)
	return value
}

func (b *browser) get(path string) any  { b.t.Helper(); return b.request(http.MethodGet, path) }
func (b *browser) post(path string) any { b.t.Helper(); return b.request(http.MethodPost, path) }

func (b *browser) value(key string) any {
	b.t.Helper()
	return b.get("/get?key=" + key)
}

func (b *browser) expect(key string, expected any) {
	b.t.Helper()
	if value := b.value(key); fmt.Sprint(value) != fmt.Sprint(expected) {
		b.t.Errorf("%s is %v, expected %v", key, value, expected)
	}
}

func (b *browser) address() *url.URL {
	address, _ := url.Parse(b.server.URL)
	return address
}

func (b *browser) sid() string {
	for _, cookie := range b.client.Jar.Cookies(b.address()) {
		if cookie.Name == cookieName {
			return cookie.Value
		}
	}
	return ""
}

func (b *browser) setSid(sid string) {
	b.client.Jar.SetCookies(b.address(), []*http.Cookie{{Name: cookieName, Value: sid, Path: "/"}})
}

// another is another tab or a thief: it has the cookie of now.
func (b *browser) another() *browser {
	other := b.server.browser(b.t)
	other.setSid(b.sid())
	return other
}

// stored asks the owner's view.
func stored[T any](t *testing.T, expression, sid string) T {
	t.Helper()
	var value T
	err := owner.QueryRow(`SELECT `+expression+` FROM session_live
		WHERE session_key = encode(sha256(convert_to($1, 'UTF8')), 'hex')`, sid).Scan(&value)
	if err != nil {
		t.Fatalf("%s of the session: %v", expression, err)
	}
	return value
}

func exists(t *testing.T, sid string) bool {
	t.Helper()
	var exists bool
	if err := owner.QueryRow(`SELECT session_exist($1)`, sid).Scan(&exists); err != nil {
		t.Fatal(err)
	}
	return exists
}

func sessions(t *testing.T) int {
	t.Helper()
	var count int
	if err := owner.QueryRow(`SELECT session_all()`).Scan(&count); err != nil {
		t.Fatal(err)
	}
	return count
}
