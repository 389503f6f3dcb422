// A small application on net/http with scs, for the acceptance tests.
package main

import (
	"database/sql"
	"encoding/json"
	"log"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	sessionstore "github.com/session-store/session_store/adapters/go/scs"
)

const (
	month  = 30 * 24 * time.Hour
	prefix = "set." // of what /set sets
)

type object map[string]any

type application struct{ sessions *sessionstore.SessionManager }

func main() {
	// PgBouncer in transaction mode may be in between, so no prepared statements.
	db, err := sql.Open("pgx", withParameter(os.Getenv("DATABASE_URL"), "default_query_exec_mode", "exec"))
	if err != nil {
		log.Fatal(err)
	}
	db.SetMaxOpenConns(20)
	db.SetMaxIdleConns(20)

	app := &application{sessionstore.New(db)}
	life := time.Hour
	if seconds, err := strconv.Atoi(os.Getenv("COOKIE_SECONDS")); err == nil {
		life = time.Duration(seconds) * time.Second
	}
	app.sessions.Lifetime = life
	if os.Getenv("ROLLING") == "yes" {
		app.sessions.IdleTimeout, app.sessions.Lifetime = life, month
	}
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), app.sessions.LoadAndSave(app.routes())))
}

func withParameter(dsn, name, value string) string {
	u, err := url.Parse(dsn)
	if err != nil {
		log.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

func (app *application) routes() http.Handler {
	mux := http.NewServeMux()
	for pattern, handler := range map[string]func(*http.Request) (object, error){
		"GET /untouched":      func(*http.Request) (object, error) { return object{}, nil },
		"GET /session":        app.session,
		"POST /set":           app.set,
		"POST /unset":         app.unset,
		"POST /login":         app.login,
		"GET /whoami":         app.whoami,
		"POST /logout":        app.logout,
		"POST /flash":         app.flash,
		"GET /flash":          app.show,
		"GET /devices":        app.devices,
		"POST /revoke":        app.revoke,
		"POST /revoke_others": app.revokeOthers,
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if wait, err := strconv.Atoi(r.FormValue("wait")); err == nil {
				time.Sleep(time.Duration(wait) * time.Millisecond)
			}
			answer, err := handler(r)
			if err != nil {
				log.Print(err)
				http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
				return
			}
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(answer)
		})
	}
	return mux
}

func (app *application) session(r *http.Request) (object, error) {
	data := map[string]string{}
	for _, key := range app.sessions.Keys(r.Context()) {
		if name, ok := strings.CutPrefix(key, prefix); ok {
			data[name] = app.sessions.GetString(r.Context(), key)
		}
	}
	return object{"data": data}, nil
}

func (app *application) set(r *http.Request) (object, error) {
	app.sessions.Put(r.Context(), prefix+r.FormValue("key"), r.FormValue("value"))
	return object{}, nil
}

func (app *application) unset(r *http.Request) (object, error) {
	app.sessions.Remove(r.Context(), prefix+r.FormValue("key"))
	return object{}, nil
}

func (app *application) login(r *http.Request) (object, error) {
	user := r.FormValue("user")
	if err := app.sessions.Login(r.Context(), user, map[string]any{"browser": r.UserAgent()}); err != nil {
		return nil, err
	}
	app.sessions.Put(r.Context(), "user", user)
	if r.FormValue("remember") == "yes" {
		app.sessions.RememberMe(r.Context(), true)
		app.sessions.SetDeadline(r.Context(), time.Now().Add(month))
	}
	return object{}, nil
}

func (app *application) whoami(r *http.Request) (object, error) {
	return object{"user": app.sessions.Get(r.Context(), "user")}, nil
}

func (app *application) logout(r *http.Request) (object, error) {
	return object{}, app.sessions.Destroy(r.Context())
}

func (app *application) flash(r *http.Request) (object, error) {
	app.sessions.Put(r.Context(), "flash", r.FormValue("message"))
	return object{}, nil
}

func (app *application) show(r *http.Request) (object, error) {
	return object{"message": app.sessions.Pop(r.Context(), "flash")}, nil
}

func (app *application) devices(r *http.Request) (object, error) {
	found, err := app.sessions.Devices(r.Context())
	devices := []object{}
	for _, d := range found {
		seen := d.LastSeen
		if seen.IsZero() { // without an IdleTimeout the login is the last that is known
			seen = d.AuthenticatedAt
		}
		devices = append(devices, object{"handle": d.Handle, "is_this": d.Current, "attributes": d.Attributes, "last_seen": seen})
	}
	return object{"devices": devices}, err
}

func (app *application) revoke(r *http.Request) (object, error) {
	revoked, err := app.sessions.Revoke(r.Context(), r.FormValue("handle"))
	return object{"revoked": revoked}, err
}

func (app *application) revokeOthers(r *http.Request) (object, error) {
	handles, err := app.sessions.RevokeOthers(r.Context())
	return object{"revoked": len(handles)}, err
}
