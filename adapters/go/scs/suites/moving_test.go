package suites

import (
	"context"
	"database/sql"
	"encoding/gob"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/alexedwards/scs/postgresstore"
	"github.com/alexedwards/scs/v2"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	sessionstore "github.com/session-store/session_store/adapters/go/scs"

	// fiber's tests, which suites/run runs, need it.
	_ "github.com/gofiber/fiber/v3"
	_ "github.com/google/uuid"
	_ "github.com/stretchr/testify/require"
	_ "github.com/valyala/fasthttp"
)

func open(t *testing.T) *sql.DB {
	config, err := pgx.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { db.Close() })
	return db
}

type cart struct{ Items []string }

func init() { gob.Register(cart{}) }

// manager is what both kinds of managers have.
type manager interface {
	LoadAndSave(http.Handler) http.Handler
	Put(context.Context, string, any)
	Get(context.Context, string) any
}

func serve(t *testing.T, m manager) *httptest.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("/put", func(w http.ResponseWriter, r *http.Request) {
		m.Put(r.Context(), "user", r.FormValue("user"))
		m.Put(r.Context(), "cart", cart{[]string{"umbrella"}})
	})
	mux.HandleFunc("/get", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, m.Get(r.Context(), "user"), m.Get(r.Context(), "cart"))
	})
	s := httptest.NewServer(m.LoadAndSave(mux))
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, client *http.Client, url string) string {
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body := make([]byte, 100)
	n, _ := response.Body.Read(body)
	return string(body[:n])
}

// movingIn is the statement of the README.
func movingIn(t *testing.T) string {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	statement := regexp.MustCompile(`(?s)SELECT count\(session_create_raw.*?;`).Find(readme)
	if statement == nil {
		t.Fatal("the README does not say how to move in")
	}
	return string(statement)
}

func TestNobodyIsLoggedOutByMovingIn(t *testing.T) {
	for _, idle := range []time.Duration{0, 2 * time.Second} {
		db := open(t)
		if _, err := db.Exec(`DROP TABLE IF EXISTS sessions;
			CREATE TABLE sessions (token TEXT PRIMARY KEY, data BYTEA NOT NULL, expiry TIMESTAMPTZ NOT NULL)`); err != nil {
			t.Fatal(err)
		}
		old := scs.New()
		old.IdleTimeout = idle
		store := postgresstore.NewWithCleanupInterval(db, 0)
		old.Store = store
		store.Commit("expired", []byte("data"), time.Now().Add(-time.Minute))
		before := serve(t, old)
		clients := make([]*http.Client, 5)
		for i := range clients {
			jar, _ := cookiejar.New(nil)
			clients[i] = &http.Client{Jar: jar}
			get(t, clients[i], fmt.Sprintf("%s/put?user=%d", before.URL, i))
		}

		for _, want := range []int{5, 0} { // the second time there is nothing left to do
			var moved int
			if err := db.QueryRow(movingIn(t)).Scan(&moved); err != nil || moved != want {
				t.Fatalf("moved %d sessions, want %d: %v", moved, want, err)
			}
		}
		m := sessionstore.New(db)
		m.IdleTimeout = idle
		after := serve(t, m)
		for range 4 {
			for i, client := range clients {
				if got, want := get(t, client, after.URL+"/get"), fmt.Sprintf("%d{[umbrella]}", i); got != want {
					t.Errorf("idle timeout %v: got %q, want %q", idle, got, want)
				}
			}
			time.Sleep(idle / 2)
		}
	}
}
