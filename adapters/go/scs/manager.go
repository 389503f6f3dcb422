// Package sessionstore keeps the sessions of github.com/alexedwards/scs in PostgreSQL, by the extension session_store.
//
// New takes the place of scs.New and of a store:
//
//	sessionManager := sessionstore.New(db)
//	sessionManager.Lifetime = 12 * time.Hour
//	http.ListenAndServe(":4000", sessionManager.LoadAndSave(mux))
//
// The rest is scs as ever. Requests that run at the same time keep each other's changes, a session that has ended is
// not brought back by a late save, and sessions can belong to somebody: see Login.
package sessionstore

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"time"

	"github.com/alexedwards/scs/v2"
)

// SessionManager is scs's, whose methods and settings it has. Those that are here need to know more than scs tells a
// store: which request a save belongs to, and whether a token is deleted for good or only renewed.
type SessionManager struct {
	*scs.SessionManager
	store *store
}

// New returns a session manager with scs's default options that keeps its sessions in the database. It saves nothing,
// and sends no cookie, where a session ended while the request was under way: set another ErrorFunc with IgnoreEnded.
func New(db *sql.DB) *SessionManager {
	manager := scs.New()
	store := &store{db: db, manager: manager}
	manager.Store, manager.Codec = store, newCodec()
	manager.ErrorFunc = IgnoreEnded(manager.ErrorFunc)
	return &SessionManager{manager, store}
}

// IgnoreEnded returns a function for SessionManager.ErrorFunc that lets the answer of a request pass, without a cookie,
// if its session has ended meanwhile, and gives all other errors to next.
func IgnoreEnded(next func(http.ResponseWriter, *http.Request, error)) func(http.ResponseWriter, *http.Request, error) {
	return func(w http.ResponseWriter, r *http.Request, err error) {
		if !errors.Is(err, ErrEnded) {
			next(w, r, err)
		}
	}
}

// LoadAndSave is scs's middleware.
func (m *SessionManager) LoadAndSave(next http.Handler) http.Handler {
	handler := m.SessionManager.LoadAndSave(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.ServeHTTP(w, r.WithContext(m.WithScope(r.Context())))
	})
}

// Load is scs's, for those who do not use LoadAndSave.
func (m *SessionManager) Load(ctx context.Context, token string) (context.Context, error) {
	return m.SessionManager.Load(m.WithScope(ctx), token)
}

// WithScope returns a context for one request. LoadAndSave and Load call it; code that takes a plain
// *scs.SessionManager, as the middleware of other frameworks, needs a request whose context has been here before.
func (m *SessionManager) WithScope(ctx context.Context) context.Context {
	if m.store.scope(ctx) != nil {
		return ctx
	}
	return context.WithValue(ctx, scopeKey{m.store}, &scope{store: m.store})
}

// RenewToken is scs's, but moves the session to the new token when it is saved, so that it stays whose it is.
func (m *SessionManager) RenewToken(ctx context.Context) error {
	return m.SessionManager.RenewToken(context.WithValue(ctx, operationKey{}, renewal))
}

// MergeSession is scs's.
func (m *SessionManager) MergeSession(ctx context.Context, token string) error {
	return m.SessionManager.MergeSession(context.WithValue(ctx, operationKey{}, merge), token)
}

// Pop is scs's, but of several requests that run at the same time only one gets the value that was stored. It saves the
// session at once if there is one; where that fails it returns nil, and so does the save at the end of the request.
func (m *SessionManager) Pop(ctx context.Context, key string) any {
	value := m.SessionManager.Pop(ctx, key)
	if value == nil || !m.scope(ctx).stored(key, value) {
		return value
	}
	claim := &claim{key: key}
	if _, _, err := m.Commit(context.WithValue(ctx, claimKey{}, claim)); err != nil || claim.lost {
		return nil
	}
	return value
}

// PopString is Pop for a string; the zero value stands for any other, as in scs. So do those that follow.
func (m *SessionManager) PopString(ctx context.Context, key string) string {
	return pop[string](ctx, m, key)
}

// PopBool is Pop for a bool.
func (m *SessionManager) PopBool(ctx context.Context, key string) bool { return pop[bool](ctx, m, key) }

// PopInt is Pop for an int.
func (m *SessionManager) PopInt(ctx context.Context, key string) int { return pop[int](ctx, m, key) }

// PopFloat is Pop for a float64.
func (m *SessionManager) PopFloat(ctx context.Context, key string) float64 {
	return pop[float64](ctx, m, key)
}

// PopBytes is Pop for a []byte.
func (m *SessionManager) PopBytes(ctx context.Context, key string) []byte {
	return pop[[]byte](ctx, m, key)
}

// PopTime is Pop for a time.Time.
func (m *SessionManager) PopTime(ctx context.Context, key string) time.Time {
	return pop[time.Time](ctx, m, key)
}

func pop[T any](ctx context.Context, m *SessionManager, key string) T {
	value, _ := m.Pop(ctx, key).(T)
	return value
}

// scope panics where scs does: without a session in the context.
func (m *SessionManager) scope(ctx context.Context) *scope {
	s := m.store.scope(ctx)
	if s == nil {
		panic("session_store: no session data in context")
	}
	return s
}
