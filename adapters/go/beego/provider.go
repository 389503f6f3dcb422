// Package sessionstore keeps the sessions of beego in PostgreSQL, with the extension session_store.
//
// It is activated with these settings in app.conf:
//
//	SessionOn = true
//	SessionProvider = session_store
//	SessionProviderConfig = "user=a password=b dbname=c sslmode=disable"
//
// and this import:
//
//	import _ "github.com/session-store/session_store/adapters/go/beego"
package sessionstore

import (
	"context"
	"database/sql"

	"github.com/beego/beego/v2/server/web/session"
)

func init() {
	session.Register("session_store", &Provider{})
}

// Provider is beego's session.Provider. Like beego's own ones it has one configuration, that of the last manager.
type Provider struct {
	db     database
	config string
	found  handover

	maxlifetime int64 // seconds; 0 is the server's default
}

var _ session.Provider = (*Provider)(nil)

// New returns a provider that uses a database of the application, with its driver, pool and tracing, for
// session.Register; the connection string of the configuration is not used.
func New(db *sql.DB) *Provider {
	return &Provider{db: database{DB: db}}
}

// SessionInit takes the seconds after which an idle session ends, and a connection string, as beego's postgresql
// provider does. It does not connect.
func (p *Provider) SessionInit(_ context.Context, maxlifetime int64, config string) error {
	p.maxlifetime = max(maxlifetime, 0)
	if p.db.DB != nil && (p.db.pool == nil || p.config == config) {
		return nil
	}
	db, err := open(config)
	if err != nil {
		return err
	}
	p.db.close()
	p.db, p.config = db, config
	return nil
}

// SessionExist reports whether there is a live session.
func (p *Provider) SessionExist(ctx context.Context, sid string) (bool, error) {
	if !possible(sid) {
		return false, nil
	}
	if caller() != sessionStart {
		return p.db.exist(ctx, sid)
	}
	loaded, found, err := p.db.fetch(ctx, sid)
	if found {
		p.found.give(sid, loaded)
	}
	return found, err
}

// SessionRead returns the session. If there is none it begins one, which is not stored before it has a value.
func (p *Provider) SessionRead(ctx context.Context, sid string) (session.Store, error) {
	if !possible(sid) {
		return nil, errImpossible
	}
	var loaded content
	var found bool
	switch caller() {
	case sessionStart: // found by SessionExist, or else the manager has just drawn the id
		loaded, found = p.found.take(sid)
	case sessionRegenerateID: // the manager has just drawn the id
	default:
		var err error
		if loaded, found, err = p.db.fetch(ctx, sid); err != nil {
			return nil, err
		}
	}
	return p.store(sid, loaded, found)
}

// SessionRegenerate moves the session to a new id. Without one it begins a session under the new id, as SessionRead
// does: a renewal that comes late does not bring back what a logout ended.
func (p *Provider) SessionRegenerate(ctx context.Context, oldsid, sid string) (session.Store, error) {
	if !possible(sid) {
		return nil, errImpossible
	}
	var loaded content
	var found bool
	if possible(oldsid) {
		var err error
		if loaded, found, err = p.db.regenerate(ctx, oldsid, sid); err != nil {
			return nil, err
		}
	}
	return p.store(sid, loaded, found)
}

// SessionDestroy ends the session. The manager does not look at the error, so it is logged, too.
func (p *Provider) SessionDestroy(ctx context.Context, sid string) error {
	if !possible(sid) {
		return nil
	}
	err := p.db.destroy(ctx, sid)
	if err != nil {
		session.SLogger.Println("session_store: the session was not destroyed:", err)
	}
	return err
}

// SessionAll counts the live sessions.
func (p *Provider) SessionAll(ctx context.Context) int {
	count, err := p.db.all(ctx)
	if err != nil {
		session.SLogger.Println("session_store: the sessions were not counted:", err)
	}
	return count
}

// SessionGC has nothing to do: the extension removes what has expired.
func (p *Provider) SessionGC(context.Context) {}

func (p *Provider) store(sid string, loaded content, found bool) (session.Store, error) {
	st := &SessionStore{db: p.db, sid: sid}
	if !found {
		st.lifetime = p.maxlifetime
	}
	if err := st.load(loaded); err != nil {
		return nil, err
	}
	return st, nil
}
