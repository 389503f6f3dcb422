// The requests of ../load on net/http with scs, with the store that STORE names.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/alexedwards/scs/postgresstore"
	"github.com/alexedwards/scs/v2"
	_ "github.com/jackc/pgx/v5/stdlib"

	sessionstore "github.com/session-store/session_store/adapters/go/scs"
)

// manager is what both have.
type manager interface {
	LoadAndSave(http.Handler) http.Handler
	GetString(context.Context, string) string
	Put(context.Context, string, any)
	Destroy(context.Context) error
}

func main() {
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	check(err)
	db.SetMaxIdleConns(20) // of two, which is database/sql's default, the others would be made anew

	idle, _ := time.ParseDuration(os.Getenv("IDLE_TIMEOUT")) // none without
	var sessions manager
	var renew func(*http.Request, string) error
	if os.Getenv("STORE") == "session_store" {
		ours := sessionstore.New(db)
		ours.Lifetime, ours.IdleTimeout = time.Hour, idle
		sessions = ours
		renew = func(r *http.Request, user string) error {
			return ours.Login(r.Context(), user, map[string]any{"browser": r.UserAgent()})
		}
	} else {
		_, err := db.Exec(`CREATE TABLE sessions (token text PRIMARY KEY, data bytea NOT NULL, expiry timestamptz NOT NULL);
			CREATE INDEX sessions_expiry_idx ON sessions (expiry)`)
		check(err)
		theirs := scs.New()
		theirs.Store = postgresstore.New(db)
		theirs.Lifetime, theirs.IdleTimeout = time.Hour, idle
		sessions = theirs
		renew = func(r *http.Request, _ string) error { return theirs.RenewToken(r.Context()) }
	}
	check(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), sessions.LoadAndSave(routes(sessions, renew))))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// routes answer with what the session holds then, so that the caller sees that the store has done its work.
func routes(sessions manager, renew func(*http.Request, string) error) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern string, handler func(*http.Request) error) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if err := handler(r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
			seen := sessions.GetString(r.Context(), "seen")
			if seen == "" {
				seen = "none"
			}
			io.WriteString(w, seen)
		})
	}
	mux.HandleFunc("GET /untouched", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "none") })
	handle("GET /read", func(*http.Request) error { return nil })
	handle("POST /write", func(r *http.Request) error {
		sessions.Put(r.Context(), "seen", r.FormValue("seen"))
		return nil
	})
	handle("POST /first", func(r *http.Request) error {
		seen := r.FormValue("seen")
		for i := range 10 {
			sessions.Put(r.Context(), fmt.Sprintf("key%d", i), strings.Repeat(fmt.Sprintf("value %d of %s ", i, seen), 3))
		}
		sessions.Put(r.Context(), "seen", seen)
		return nil
	})
	handle("POST /login", func(r *http.Request) error {
		user := r.FormValue("user")
		if err := renew(r, user); err != nil {
			return err
		}
		sessions.Put(r.Context(), "user", user)
		return nil
	})
	handle("POST /logout", func(r *http.Request) error { return sessions.Destroy(r.Context()) })
	return mux
}
