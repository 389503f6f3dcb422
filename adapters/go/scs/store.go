package sessionstore

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"math"
	"syscall"
	"time"

	"github.com/alexedwards/scs/v2"
)

// ErrEnded means that a session was not saved because it ended while the request was under way: somebody logged out,
// revoked it or renewed its token, or it has expired.
var ErrEnded = errors.New("session_store: the session has ended")

var (
	errNoScope = errors.New("session_store: the context is not one of SessionManager.WithScope")
	errTaken   = errors.New("session_store: there is a session with the new token already")
)

// store is what scs asks. It is not an IterableStore: the database keeps digests of the tokens, which nobody can list.
type store struct {
	db      *sql.DB
	manager *scs.SessionManager
}

var _ scs.CtxStore = (*store)(nil)

// content is what the database holds of a session.
type content struct {
	id       string
	payload  []byte
	version  int64
	lifetime float64 // idle, in seconds; 0 is without limit
	at       time.Time
	values   *values // what the payload says; nil if it has to be decoded
}

// life is how long a session is to last. What remains until its deadline is counted from the database's clock; nil leaves
// the deadline as it is.
type life struct {
	lifetime  float64
	remaining any
}

func (s *store) life(deadline time.Time) life {
	return life{s.lifetime(), time.Until(deadline).Seconds()}
}

// lifetime is the idle timeout as the database keeps it, in whole seconds.
func (s *store) lifetime() float64 { return math.Ceil(max(s.manager.IdleTimeout, 0).Seconds()) }

// FindCtx keeps the session alive where there is an idle timeout.
func (s *store) FindCtx(ctx context.Context, token string) ([]byte, bool, error) {
	found, err := s.load(ctx, token, s.manager.IdleTimeout > 0)
	if err != nil || found == nil {
		return nil, false, err
	}
	if scope := s.scope(ctx); scope != nil && operationOf(ctx) != merge {
		scope.found(found)
		if codec, ok := s.manager.Codec.(*codec); ok {
			remember(codec, codec.found, found.payload, found)
		}
	}
	return found.payload, true, nil
}

// codec is the manager's, but does not remember what scs has nothing to do with.
func (s *store) codec() scs.Codec {
	if codec, ok := s.manager.Codec.(*codec); ok {
		return codec.GobCodec
	}
	return s.manager.Codec
}

// CommitCtx saves what the request has changed.
func (s *store) CommitCtx(ctx context.Context, token string, payload []byte, expiry time.Time) error {
	scope := s.scope(ctx)
	if scope == nil {
		return errNoScope
	}
	next := &content{id: token, payload: payload}
	if codec, ok := s.manager.Codec.(*codec); ok {
		if said, ok := recall(codec, codec.encoded, payload); ok {
			next.values = &said
		}
	}
	return scope.commit(ctx, next, expiry)
}

// DeleteCtx ends a session, unless it is about to get another token.
func (s *store) DeleteCtx(ctx context.Context, token string) error {
	scope := s.scope(ctx)
	if scope == nil || operationOf(ctx) == merge {
		return s.destroy(ctx, token)
	}
	return scope.delete(ctx, token, operationOf(ctx) == renewal)
}

// Find is for callers that have no request, as Commit and Delete: scs itself calls the three above.
func (s *store) Find(token string) ([]byte, bool, error) {
	return s.FindCtx(context.Background(), token)
}

// Commit overwrites the session or creates it, as scs's interface demands: no request, nothing to compare with.
func (s *store) Commit(token string, payload []byte, expiry time.Time) error {
	remaining := time.Until(expiry).Seconds()
	if remaining <= 0 {
		return s.Delete(token)
	}
	query := `SELECT coalesce(` + release(asItIs, `NULL`) + `, ` + release(asItIs, `0`) + `)`
	_, err := s.db.Exec(query, token, payload, 0.0, remaining)
	return err
}

// Delete ends a session.
func (s *store) Delete(token string) error { return s.destroy(context.Background(), token) }

// How load asks: with an idle timeout it wants to know the lifetime, too, for a session can have another one than the
// setting says now. It was imported, or the setting is new.
const (
	fetch = `SELECT payload, version, 0 FROM session_fetch($1::text, $2::boolean)`
	look  = `SELECT payload, version, extract(epoch FROM lifetime)::float8 FROM session_load($1::text, $2::boolean)`
)

// load returns nil when there is no such session.
func (s *store) load(ctx context.Context, token string, slide bool) (*content, error) {
	if !possible(token) {
		return nil, nil
	}
	query := fetch
	if s.manager.IdleTimeout > 0 {
		query = look
	}
	c := &content{id: token, at: time.Now()}
	err := s.db.QueryRowContext(ctx, query, token, slide).Scan(&c.payload, &c.version, &c.lifetime)
	for idle := s.db.Stats().Idle; idle >= 0 && broken(err); idle-- {
		err = s.db.QueryRowContext(ctx, query, token, slide).Scan(&c.payload, &c.version, &c.lifetime)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err == nil && len(c.payload) == 0 { // a login as somebody else has emptied it
		c.payload, err = s.codec().Encode(time.Now().Add(s.manager.Lifetime).UTC(), map[string]any{})
		c.lifetime = -1 // it is to get that deadline, and a lifetime
	}
	return c, err
}

// broken tells whether a connection of the pool turned out to have been closed by the server, which was restarted, say.
// To look again by another harms nobody; database/sql does so by itself only if nothing was sent.
func broken(err error) bool {
	var answer interface{ SQLState() string } // an error of pgx or pq
	if errors.As(err, &answer) {
		return answer.SQLState() == "57P01" // admin_shutdown
	}
	for _, lost := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, lost) {
			return true
		}
	}
	return false
}

func (s *store) exists(ctx context.Context, token string) (exists bool, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT session_exist($1::text)`, token).Scan(&exists)
	return exists, err
}

func (s *store) destroy(ctx context.Context, token string) error {
	if !possible(token) {
		return nil
	}
	_, err := s.db.ExecContext(ctx, `SELECT session_destroy($1::text)`, token)
	return err
}

// How save finds the session: $1 is the token that it gets, $6 the one so far.
const (
	asItIs  = `$1::text`
	renewed = `session_regenerate($6::text, $1::text, must_exist => true)`
	unbound = `CASE WHEN session_bind(` + renewed + `, NULL) THEN $1::text END`
	bound   = `session_login($6::text, $7::text, $8::jsonb, $1::text, must_exist => true)`
)

// A session that begins with a login is saved first: there is nothing yet to log in.
var begunBound = `CASE WHEN ` + release(asItIs, `$5::bigint`) + ` IS NOT NULL
	AND session_bind($1::text, $6::text, $7::jsonb)
	THEN (SELECT version FROM session_fetch($1::text, false)) END`

func release(session, version string) string {
	return `session_release_raw(` + session + `, $2::bytea, ` + version +
		`, make_interval(secs => $3::float8), now() + make_interval(secs => $4::float8))`
}

// save returns no version if it did not save: there is no such session, or not in this version. Version 0 creates one.
func (s *store) save(ctx context.Context, session string, c *content, l life, more ...any) (sql.NullInt64, error) {
	query := session
	if session != begunBound {
		query = release(session, `$5::bigint`)
	}
	args := append([]any{c.id, c.payload, l.lifetime, l.remaining, c.version}, more...)
	var version sql.NullInt64
	err := s.db.QueryRowContext(ctx, `SELECT `+query, args...).Scan(&version)
	return version, err
}

// possible tells whether a session can have this token. Text that SQL cannot carry must not be asked for.
func possible(token string) bool {
	for i := range len(token) {
		if token[i] < ' ' || token[i] > '~' {
			return false
		}
	}
	return token != "" && len(token) <= 256
}
