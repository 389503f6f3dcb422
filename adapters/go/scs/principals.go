package sessionstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// Device is one of the sessions of a principal.
type Device struct {
	Handle          string
	Current         bool // it is the session that asks
	Attributes      map[string]any
	CreatedAt       time.Time
	AuthenticatedAt time.Time
	LastSeen        time.Time // zero without an IdleTimeout
	ExpiresAt       time.Time // zero if it does not
}

var errPrincipal = errors.New("session_store: a principal is 1 to 256 bytes of text")

// Login renews the token, and makes the session the principal's when it is saved: a user's key, say. The attributes
// are what a list of devices shows, such as the browser; they may be nil. What the session held of another principal
// goes, what it held of nobody stays.
func (m *SessionManager) Login(ctx context.Context, principal string, attributes map[string]any) error {
	if principal == "" || len(principal) > 256 || !utf8.ValidString(principal) || strings.Contains(principal, "\x00") {
		return errPrincipal
	}
	b := &binding{principal: principal}
	if attributes != nil {
		encoded, err := json.Marshal(attributes)
		if err != nil {
			return err
		}
		b.attributes = string(encoded)
	}
	return m.renewAndBind(ctx, b)
}

// Logout renews the token, and makes the session nobody's when it is saved; its values stay. It is for logouts that
// leave a message, or a cart. Destroy ends the session, principal and all.
func (m *SessionManager) Logout(ctx context.Context) error {
	return m.renewAndBind(ctx, &binding{})
}

func (m *SessionManager) renewAndBind(ctx context.Context, b *binding) error {
	if err := m.RenewToken(ctx); err != nil {
		return err
	}
	s := m.scope(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.binding = b
	return nil
}

// Devices returns the sessions of the session's principal, this one first, then those that were used last. There are
// none where nobody is logged in.
func (m *SessionManager) Devices(ctx context.Context) ([]Device, error) {
	token, err := m.settled(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := m.store.db.QueryContext(ctx, `SELECT handle, is_this, attributes::text, created_at, authenticated_at,
		last_seen, nullif(expires_at, 'infinity') FROM session_devices($1::text)`, token)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var devices []Device
	for rows.Next() {
		d, err := scanDevice(rows)
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, rows.Err()
}

func scanDevice(rows *sql.Rows) (d Device, err error) {
	var attributes []byte
	var seen, expires sql.NullTime
	err = rows.Scan(&d.Handle, &d.Current, &attributes, &d.CreatedAt, &d.AuthenticatedAt, &seen, &expires)
	if err == nil && attributes != nil {
		err = json.Unmarshal(attributes, &d.Attributes)
	}
	d.LastSeen, d.ExpiresAt = seen.Time, expires.Time
	return d, err
}

// Revoke ends the session with this handle, which Devices shows, and tells whether there was one. It must be one of the
// session's principal.
func (m *SessionManager) Revoke(ctx context.Context, handle string) (revoked bool, err error) {
	token, err := m.settled(ctx)
	if err == nil && possible(handle) {
		err = m.store.db.QueryRowContext(ctx, `SELECT session_revoke($1::text, $2::text)`, token, handle).Scan(&revoked)
	}
	return revoked, err
}

// RevokeOthers ends all sessions of the session's principal but this one, and returns their handles: what a change of
// the password does.
func (m *SessionManager) RevokeOthers(ctx context.Context) (handles []string, err error) {
	token, err := m.settled(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := m.store.db.QueryContext(ctx, `SELECT session_revoke_others($1::text)`, token)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var handle string
		if err := rows.Scan(&handle); err != nil {
			return nil, err
		}
		handles = append(handles, handle)
	}
	return handles, rows.Err()
}

// settled returns the token by which the database knows the session, after saving a renewal or a login.
func (m *SessionManager) settled(ctx context.Context) (string, error) {
	s := m.scope(ctx)
	if s.pending() {
		if _, _, err := m.Commit(ctx); err != nil {
			return "", err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded == nil {
		return "", nil
	}
	return s.loaded.id, nil
}

func (s *scope) pending() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.renewing || s.binding != nil
}
