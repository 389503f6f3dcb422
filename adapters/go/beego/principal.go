package sessionstore

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/beego/beego/v2/server/web"
	webcontext "github.com/beego/beego/v2/server/web/context"
	"github.com/beego/beego/v2/server/web/session"
)

var errNotGlobal = errors.New("session_store: Login needs SessionOn; with a manager of your own, renew the id and Bind")

// Device is a session of a user, to be shown in a list of devices.
type Device struct {
	Handle          string         `json:"handle"` // for Revoke; it is no session id
	IsThis          bool           `json:"is_this"`
	Attributes      map[string]any `json:"attributes"`
	CreatedAt       time.Time      `json:"created_at"`
	AuthenticatedAt time.Time      `json:"authenticated_at"`
	LastSeen        time.Time      `json:"last_seen,omitzero"`  // zero if it is not known
	ExpiresAt       time.Time      `json:"expires_at,omitzero"` // zero if it does not expire
}

// Login gives the session a new id, by beego's SessionRegenerateID, and makes it the principal's: whatever the
// application calls a user by, such as the key of its table of users. The attributes, which may be nil, are for the
// list of devices. A session that was another principal's is emptied first.
func Login(ctx *webcontext.Context, principal string, attributes map[string]any) error {
	st, err := own(ctx.Input.CruSession)
	if err != nil {
		return err
	}
	if web.GlobalSessions == nil {
		return errNotGlobal
	}
	if err := st.save(ctx.Request.Context()); err != nil && !errors.Is(err, ErrEnded) {
		return err
	}
	present(ctx.Request, st.SessionID(ctx.Request.Context()))
	renewed, err := web.GlobalSessions.SessionRegenerateID(ctx.ResponseWriter, ctx.Request)
	if err != nil {
		return err
	}
	present(ctx.Request, renewed.SessionID(ctx.Request.Context()))
	// A controller may have kept the store: it goes on as the renewed session.
	if err := st.become(renewed); err != nil {
		return err
	}
	return Bind(ctx.Request.Context(), st, principal, attributes)
}

// present leaves one of the request's session cookies, that of this id. Where beego's manager chooses an id it adds a
// cookie behind the one that the browser sent; where it renews or ends a session it takes the first. Without this a
// logout after a login, in one request, would leave the login's session.
func present(r *http.Request, sid string) {
	cookies := r.Cookies()
	for _, this := range cookies {
		if value, err := url.QueryUnescape(this.Value); err != nil || value != sid {
			continue
		}
		r.Header.Del("Cookie")
		for _, other := range cookies {
			if other == this || other.Name != this.Name {
				r.AddCookie(other)
			}
		}
		return
	}
}

// Bind is Login for a session whose id the application has just renewed itself.
func Bind(ctx context.Context, store session.Store, principal string, attributes map[string]any) error {
	st, err := own(store)
	if err != nil {
		return err
	}
	var text any
	if attributes != nil {
		encoded, err := json.Marshal(attributes)
		if err != nil {
			return err
		}
		text = string(encoded)
	}
	st.lock.Lock()
	defer st.lock.Unlock()
	if err := st.saveLocked(ctx); err != nil {
		return err
	}
	var loaded content
	var found bool
	if st.saved.version == 0 {
		loaded, found, err = st.db.login(ctx, st.sid, principal, text, st.lifetime)
	} else {
		loaded, found, err = st.db.bind(ctx, st.sid, principal, text)
	}
	if err != nil {
		return err
	}
	if !found {
		return ErrEnded
	}
	st.lifetime = 0
	return st.load(loaded)
}

// Devices returns the sessions of the same principal, this one first; none if the session is nobody's.
func Devices(ctx context.Context, store session.Store) ([]Device, error) {
	st, err := own(store)
	if err != nil {
		return nil, err
	}
	return st.db.devices(ctx, st.SessionID(ctx))
}

// Revoke ends one of them. It is false if the handle is none of theirs.
func Revoke(ctx context.Context, store session.Store, handle string) (bool, error) {
	st, err := own(store)
	if err != nil {
		return false, err
	}
	return st.db.revoke(ctx, st.SessionID(ctx), handle)
}

// RevokeOthers ends all of them but this one, and says how many.
func RevokeOthers(ctx context.Context, store session.Store) (int, error) {
	st, err := own(store)
	if err != nil {
		return 0, err
	}
	return st.db.revokeOthers(ctx, st.SessionID(ctx))
}

// become continues as another store, which nobody else has.
func (st *SessionStore) become(store session.Store) error {
	renewed, err := own(store)
	if err != nil {
		return err
	}
	st.lock.Lock()
	defer st.lock.Unlock()
	st.sid, st.saved, st.values = renewed.sid, renewed.saved, renewed.values
	st.touched, st.flushed, st.ended, st.lifetime = false, false, false, renewed.lifetime
	return nil
}
