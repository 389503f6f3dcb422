package sessionstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"net/url"
	"os"
	"strings"

	"github.com/beego/beego/v2/server/web/session"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

var (
	errImpossible = errors.New("session_store: a session id is 1 to 256 printable ASCII characters")
	errForeign    = errors.New("session_store: another application's values are in this session")
)

// possible tells an id that a session can have from what PostgreSQL would refuse as text.
func possible(sid string) bool {
	for i := range len(sid) {
		if sid[i] < ' ' || sid[i] > '~' {
			return false
		}
	}
	return len(sid) >= 1 && len(sid) <= 256
}

// content is what is stored of a session: a gob, as beego's EncodeGob writes it. The zero value is no session yet.
type content struct {
	payload []byte
	version int64
}

func (c content) values() (map[any]any, error) {
	if len(c.payload) == 0 {
		return make(map[any]any), nil
	}
	return session.DecodeGob(c.payload)
}

// database has the statements. Each is one trip.
type database struct {
	*sql.DB
	pool *pgxpool.Pool // nil if the application has one of its own
}

// fetched takes the id from another expression, which PostgreSQL evaluates first. A session without a payload has keys
// and values of SQL's kind: none if a login has just begun it, else they are not ours.
const fetched = `SELECT payload, version, payload IS NULL AND data::text <> '{}' FROM session_fetch`

func (db database) fetch(ctx context.Context, sid string) (content, bool, error) {
	loaded, found, err := db.content(ctx, fetched+`($1)`, sid)
	if err != nil && db.pool != nil && isLost(err) {
		// The server was restarted: the other connections are lost, too, and nobody else need notice.
		db.pool.Reset()
		return db.content(ctx, fetched+`($1)`, sid)
	}
	return loaded, found, err
}

// isLost tells a connection that has ended from an error that the server reports.
func isLost(err error) bool {
	var reported *pgconn.PgError
	if errors.As(err, &reported) {
		return strings.HasPrefix(reported.Code, "57P")
	}
	return !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, errForeign)
}

func (db database) regenerate(ctx context.Context, oldsid, sid string) (content, bool, error) {
	return db.content(ctx, fetched+`(session_regenerate($1, $2, must_exist => true))`, oldsid, sid)
}

func (db database) bind(ctx context.Context, sid, principal string, attributes any) (content, bool, error) {
	return db.content(ctx, fetched+`(CASE WHEN session_bind($1, $2, $3::text::jsonb) THEN $1 END)`,
		sid, principal, attributes)
}

// login begins a session that is the principal's.
func (db database) login(ctx context.Context, sid, principal string, attributes any, lifetime int64) (content, bool, error) {
	return db.content(ctx, fetched+`(session_login(NULL, $2, $3::text::jsonb, $1, lifetime => make_interval(secs => $4)))`,
		sid, principal, attributes, seconds(lifetime))
}

func (db database) content(ctx context.Context, query string, args ...any) (content, bool, error) {
	var c content
	var foreign bool
	err := db.QueryRowContext(orBackground(ctx), query, args...).Scan(&c.payload, &c.version, &foreign)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return content{}, false, nil
	case err == nil && foreign:
		err = errForeign
	}
	return c, err == nil, err
}

// save is false where the session is at another version or gone.
func (db database) save(ctx context.Context, sid string, c content, lifetime int64) (int64, bool, error) {
	var version sql.NullInt64
	err := db.QueryRowContext(orBackground(ctx), `SELECT session_release_raw($1, $2, $3, make_interval(secs => $4))`,
		sid, c.payload, c.version, seconds(lifetime)).Scan(&version)
	return version.Int64, version.Valid, err
}

func (db database) exist(ctx context.Context, sid string) (exists bool, err error) {
	err = db.QueryRowContext(orBackground(ctx), `SELECT session_exist($1)`, sid).Scan(&exists)
	return exists, err
}

func (db database) touch(ctx context.Context, sid string, lifetime int64) (live bool, err error) {
	err = db.QueryRowContext(orBackground(ctx), `SELECT session_touch($1, make_interval(secs => $2)) IS NOT NULL`,
		sid, seconds(lifetime)).Scan(&live)
	return live, err
}

func (db database) destroy(ctx context.Context, sid string) error {
	_, err := db.ExecContext(orBackground(ctx), `SELECT session_destroy($1)`, sid)
	return err
}

func (db database) all(ctx context.Context) (count int, err error) {
	err = db.QueryRowContext(orBackground(ctx), `SELECT session_all()`).Scan(&count)
	return count, err
}

func (db database) devices(ctx context.Context, sid string) ([]Device, error) {
	rows, err := db.QueryContext(orBackground(ctx), `SELECT handle, is_this, attributes, created_at, authenticated_at,
		last_seen, nullif(expires_at, 'infinity') FROM session_devices($1)`, sid)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var devices []Device
	for rows.Next() {
		var d Device
		var attributes []byte
		var lastSeen, expires sql.NullTime
		if err := rows.Scan(&d.Handle, &d.IsThis, &attributes, &d.CreatedAt, &d.AuthenticatedAt, &lastSeen, &expires); err != nil {
			return nil, err
		}
		if attributes != nil {
			if err := json.Unmarshal(attributes, &d.Attributes); err != nil {
				return nil, err
			}
		}
		d.LastSeen, d.ExpiresAt = lastSeen.Time, expires.Time
		devices = append(devices, d)
	}
	return devices, rows.Err()
}

func (db database) revoke(ctx context.Context, sid, handle string) (revoked bool, err error) {
	err = db.QueryRowContext(orBackground(ctx), `SELECT session_revoke($1, $2)`, sid, handle).Scan(&revoked)
	return revoked, err
}

func (db database) revokeOthers(ctx context.Context, sid string) (count int, err error) {
	err = db.QueryRowContext(orBackground(ctx), `SELECT count(*) FROM session_revoke_others($1)`, sid).Scan(&count)
	return count, err
}

// seconds is an argument: 0 is NULL, which leaves it as it is.
func seconds(lifetime int64) any {
	if lifetime == 0 {
		return nil
	}
	return float64(lifetime)
}

// orBackground is for beego, which passes nil in some places.
func orBackground(ctx context.Context) context.Context {
	if ctx == nil {
		return context.Background()
	}
	return ctx
}

// open takes what github.com/lib/pq takes, and pgxpool's settings, such as pool_max_conns.
func open(config string) (database, error) {
	settings, err := pgxpool.ParseConfig(withDefaults(config))
	if err != nil {
		return database{}, err
	}
	// lib/pq's way through PgBouncer, which is the default here.
	delete(settings.ConnConfig.RuntimeParams, "binary_parameters")
	if !strings.Contains(config, "default_query_exec_mode") {
		settings.ConnConfig.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), settings)
	if err != nil {
		return database{}, err
	}
	return database{stdlib.OpenDBFromPool(pool), pool}, nil
}

func (db database) close() {
	if db.pool != nil {
		db.pool.Close()
	}
}

// withDefaults adds the defaults of lib/pq, which beego's provider uses, where pgx has others: a connection string goes
// on to mean the same.
func withDefaults(config string) string {
	defaults := map[string]string{}
	if os.Getenv("PGHOST") == "" {
		defaults["host"] = "localhost"
	}
	if os.Getenv("PGSSLMODE") == "" {
		defaults["sslmode"] = "require"
	}
	if !strings.HasPrefix(config, "postgres://") && !strings.HasPrefix(config, "postgresql://") {
		for name, value := range defaults {
			config = name + "=" + value + " " + config // the last one counts
		}
		return config
	}
	address, err := url.Parse(config)
	if err != nil {
		return config // pgx says what is wrong with it
	}
	query := address.Query()
	for name, value := range defaults {
		if !query.Has(name) && (name != "host" || address.Host == "") {
			query.Set(name, value)
		}
	}
	address.RawQuery = query.Encode()
	return address.String()
}
