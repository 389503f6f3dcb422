package suites

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	ginsessions "github.com/gin-contrib/sessions"
	"github.com/gin-contrib/sessions/tester"
	"github.com/gorilla/sessions"

	sessionstore "github.com/session-store/session_store/adapters/go/scs"
)

// ginStore is a thin store for gin-contrib/sessions over one of scs's managers.
type ginStore struct {
	manager *sessionstore.SessionManager
	options *sessions.Options
	scopes  sync.Map // the context of each *sessions.Session
}

func newGinStore(t *testing.T) ginsessions.Store {
	return &ginStore{manager: sessionstore.New(open(t)), options: &sessions.Options{Path: "/", MaxAge: 3600}}
}

func (s *ginStore) Options(options ginsessions.Options) { s.options = options.ToGorillaOptions() }

func (s *ginStore) Get(r *http.Request, name string) (*sessions.Session, error) {
	return sessions.GetRegistry(r).Get(s, name)
}

func (s *ginStore) New(r *http.Request, name string) (*sessions.Session, error) {
	ctx := s.manager.WithScope(r.Context())
	session := sessions.NewSession(s, name)
	s.scopes.Store(session, ctx)
	options := *s.options
	session.Options, session.IsNew = &options, true
	cookie, err := r.Cookie(name)
	if err != nil {
		return session, nil
	}
	b, found, err := s.store().FindCtx(ctx, cookie.Value)
	if err != nil || !found {
		return session, err
	}
	_, values, err := s.manager.Codec.Decode(b)
	session.ID, session.IsNew = cookie.Value, false
	for key, value := range values {
		session.Values[key] = value
	}
	return session, err
}

func (s *ginStore) store() scs.CtxStore { return s.manager.Store.(scs.CtxStore) }

func (s *ginStore) Save(r *http.Request, w http.ResponseWriter, session *sessions.Session) error {
	scope, _ := s.scopes.Load(session)
	ctx := scope.(context.Context)
	if session.Options.MaxAge < 0 {
		http.SetCookie(w, sessions.NewCookie(session.Name(), "", session.Options))
		return s.store().DeleteCtx(ctx, session.ID)
	}
	if session.ID == "" {
		session.ID = fmt.Sprint("gin-", time.Now().UnixNano())
	}
	values := map[string]any{}
	for key, value := range session.Values {
		values[fmt.Sprint(key)] = value
	}
	expiry := time.Now().Add(time.Hour)
	b, err := s.manager.Codec.Encode(expiry, values)
	if err == nil {
		err = s.store().CommitCtx(ctx, session.ID, b, expiry)
	}
	if err != nil {
		return err
	}
	http.SetCookie(w, sessions.NewCookie(session.Name(), session.ID, session.Options))
	return nil
}

func TestGin(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"GetSet":    func(t *testing.T) { tester.GetSet(t, newGinStore) },
		"DeleteKey": func(t *testing.T) { tester.DeleteKey(t, newGinStore) },
		"Flashes":   func(t *testing.T) { tester.Flashes(t, newGinStore) },
		"Clear":     func(t *testing.T) { tester.Clear(t, newGinStore) },
		"Options":   func(t *testing.T) { tester.Options(t, newGinStore) },
		"Many":      func(t *testing.T) { tester.Many(t, newGinStore) },
	} {
		t.Run(name, test)
	}
}
