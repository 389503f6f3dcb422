package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mrand "math/rand"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

const ttl = 24 * time.Hour

// The statements, each prepared once per connection. node_*: connect-pg-simple. beego_*: the provider.
var statements = map[string]string{
	"one": "SELECT 1",

	"node_get": "SELECT sess FROM node_session WHERE sid = $1 AND expire >= to_timestamp($2)",
	"node_set": "INSERT INTO node_session (sess, expire, sid) SELECT $1, to_timestamp($2), $3 " +
		"ON CONFLICT (sid) DO UPDATE SET sess=$1, expire=to_timestamp($2) RETURNING sid",
	"node_touch":   "UPDATE node_session SET expire = to_timestamp($1) WHERE sid = $2 RETURNING sid",
	"node_destroy": "DELETE FROM node_session WHERE sid = $1",

	"beego_read":   "select session_data from beego_session where session_key=$1",
	"beego_insert": "insert into beego_session(session_key,session_data,session_expiry) values($1,$2,$3)",
	"beego_save":   "UPDATE beego_session set session_data=$1, session_expiry=$2 where session_key=$3",
	"beego_rename": "update beego_session set session_key=$1 where session_key=$2",

	"load":       "SELECT data, version FROM session_load($1)",
	"fetch":      "SELECT data, version FROM session_fetch($1)",
	"get":        "SELECT session_get($1)",
	"get_key":    "SELECT session_get($1, 'user_id')",
	"fetch_raw":  "SELECT payload, version FROM session_fetch($1)",
	"set_key":    "SELECT session_set($1, 'seen', $2)",
	"release":    "SELECT session_release($1, $2, $3)",
	"save_raw":   "SELECT session_release_raw($1, $2, $3)",
	"regenerate": "SELECT session_regenerate($1)",
	"start":      "SELECT sid FROM session_start(NULL)",
}

// A worker is one client: it owns every n-th session, so that no two clients use one at once.
type worker struct {
	id, n, cold int // cold: how many cold sessions it has used in this measurement
	pg          *pgx.Conn
	redis       *redis.Client
	rng         *mrand.Rand
	trips       int
	latencies   []time.Duration
	data        []byte // what it read last
}

func connectWorker(id, n int, dsn, redisSocket string) *worker {
	w := &worker{id: id, n: n, pg: connect(dsn), rng: mrand.New(mrand.NewSource(int64(id)))}
	for name, sql := range statements {
		_, err := w.pg.Prepare(ctx, name, sql)
		check(err)
	}
	w.redis = redis.NewClient(&redis.Options{Network: "unix", Addr: redisSocket, PoolSize: 1})
	check(w.redis.Ping(ctx).Err())
	return w
}

func (w *worker) close() {
	check(w.pg.Close(ctx))
	check(w.redis.Close())
}

func (w *worker) query(to any, statement string, args ...any) error {
	w.trips++
	return w.pg.QueryRow(ctx, statement, args...).Scan(to)
}

func (w *worker) exec(statement string, args ...any) error {
	w.trips++
	done, err := w.pg.Exec(ctx, statement, args...)
	if err == nil && done.RowsAffected() != 1 {
		err = fmt.Errorf("%s: %s", statement, done)
	}
	return err
}

// One key changes: the ten digits of "seen", whatever the spacing.
func (w *worker) changed() []byte {
	at := bytes.Index(w.data, []byte(`"seen"`))
	for w.data[at] < '0' || w.data[at] > '9' {
		at++
	}
	copy(w.data[at:], w.seen())
	return w.data
}

func (w *worker) seen() []byte { return strconv.AppendInt(nil, 1e9+w.rng.Int63n(8e9), 10) }

func newID() string {
	var entropy [32]byte
	_, _ = rand.Read(entropy[:])
	return hex.EncodeToString(entropy[:])
}

// What one request does; it returns the id under which the session goes on.
type request func(w *worker, sid string) (string, error)

func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func firstError(errs ...func() error) error {
	for _, f := range errs {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// system is one contestant: its requests by kind and where its sessions are.
type system struct {
	name     string
	requests map[string]request
	sids     []string
	cursor   int   // the next cold session
	slides   bool  // reads write only when a session is due
	warmed   int64 // the minute in which the hot sessions were last read
}

// systems makes all contestants.
func systems() map[string]*system {
	all := map[string]map[string]request{"floor": {
		"lookup": func(w *worker, sid string) (string, error) {
			var one int32
			return sid, w.query(&one, "one")
		},
	}}

	nodeGet := func(w *worker, sid string) error { return w.query(&w.data, "node_get", sid, epoch(time.Now())) }
	nodeSet := func(w *worker, sid string, data []byte) error {
		return w.exec("node_set", data, epoch(time.Now().Add(ttl)), sid)
	}
	all["node"] = map[string]request{
		"lookup": func(w *worker, sid string) (string, error) { return sid, nodeGet(w, sid) },
		"read": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return nodeGet(w, sid) },
				func() error { return w.exec("node_touch", epoch(time.Now().Add(ttl)), sid) })
		},
		"write": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return nodeGet(w, sid) },
				func() error { return nodeSet(w, sid, w.changed()) })
		},
		"login": func(w *worker, sid string) (string, error) {
			fresh := newID()
			return fresh, firstError(func() error { return nodeGet(w, sid) },
				func() error { return w.exec("node_destroy", sid) },
				func() error { return nodeSet(w, fresh, w.changed()) })
		},
		"first": func(w *worker, sid string) (string, error) {
			return sid, nodeSet(w, newID(), []byte("{}"))
		},
	}

	beegoRead := func(w *worker, sid string) error { return w.query(&w.data, "beego_read", sid) }
	beegoSave := func(w *worker, sid string, data []byte) error {
		return w.exec("beego_save", data, time.Now(), sid)
	}
	all["beego"] = map[string]request{
		"lookup": func(w *worker, sid string) (string, error) { return sid, beegoRead(w, sid) },
		"read": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return beegoRead(w, sid) },
				func() error { return beegoSave(w, sid, w.data) })
		},
		"write": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return beegoRead(w, sid) },
				func() error { return beegoSave(w, sid, w.changed()) })
		},
		"login": func(w *worker, sid string) (string, error) {
			fresh := newID()
			return fresh, firstError(func() error { return beegoRead(w, sid) },
				func() error { return w.exec("beego_rename", fresh, sid) },
				func() error { return beegoSave(w, fresh, w.changed()) })
		},
		"first": func(w *worker, sid string) (string, error) {
			fresh := newID()
			return sid, firstError(
				func() error {
					if err := beegoRead(w, fresh); err != pgx.ErrNoRows {
						return fmt.Errorf("a fresh id exists: %w", err)
					}
					return w.exec("beego_insert", fresh, []byte("{}"), time.Now())
				},
				func() error { return beegoSave(w, fresh, []byte("{}")) })
		},
	}

	redisGet := func(w *worker, sid string) (err error) {
		w.trips++
		w.data, err = w.redis.Get(ctx, "sess:"+sid).Bytes()
		return err
	}
	redisSet := func(w *worker, sid string, data []byte) error {
		w.trips++
		return w.redis.Set(ctx, "sess:"+sid, data, ttl).Err()
	}
	all["redis"] = map[string]request{
		"lookup": func(w *worker, sid string) (string, error) { return sid, redisGet(w, sid) },
		"read": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return redisGet(w, sid) },
				func() error { w.trips++; return w.redis.Expire(ctx, "sess:"+sid, ttl).Err() })
		},
		"write": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return redisGet(w, sid) },
				func() error { return redisSet(w, sid, w.changed()) })
		},
		"login": func(w *worker, sid string) (string, error) {
			fresh := newID()
			return fresh, firstError(func() error { return redisGet(w, sid) },
				func() error { w.trips++; return w.redis.Del(ctx, "sess:"+sid).Err() },
				func() error { return redisSet(w, fresh, w.changed()) })
		},
		"first": func(w *worker, sid string) (string, error) {
			return sid, redisSet(w, newID(), []byte("{}"))
		},
	}

	read := func(w *worker, statement, sid string, version *int64) error {
		w.trips++
		return w.pg.QueryRow(ctx, statement, sid).Scan(&w.data, version)
	}
	fetch := func(w *worker, sid string, version *int64) error { return read(w, "fetch", sid, version) }
	setKey := func(w *worker, sid string) error {
		var version int64 // NULL would be an error
		return w.query(&version, "set_key", sid, w.seen())
	}
	all["session_store"] = map[string]request{
		"get":     func(w *worker, sid string) (string, error) { return sid, w.query(&w.data, "get", sid) },
		"get key": func(w *worker, sid string) (string, error) { return sid, w.query(&w.data, "get_key", sid) },
		"read": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, fetch(w, sid, &version)
		},
		"read jsonb": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, read(w, "load", sid, &version)
		},
		"write": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, firstError(func() error { return fetch(w, sid, &version) },
				func() error { return w.query(&version, "release", sid, w.changed(), version) })
		},
		"write key": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, firstError(func() error { return fetch(w, sid, &version) },
				func() error { return setKey(w, sid) })
		},
		"set only": func(w *worker, sid string) (string, error) { return sid, setKey(w, sid) },
		"login": func(w *worker, sid string) (string, error) {
			var version int64
			var fresh string
			err := firstError(func() error { return fetch(w, sid, &version) },
				func() error { return w.query(&fresh, "regenerate", sid) },
				func() error { return setKey(w, fresh) })
			return fresh, err
		},
		"first": func(w *worker, sid string) (string, error) {
			var fresh string
			return sid, w.query(&fresh, "start")
		},
	}

	// The same documents as opaque payloads, as a client with a serializer of its own stores them.
	all["opaque"] = map[string]request{
		"read": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, read(w, "fetch_raw", sid, &version)
		},
		"write": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, firstError(func() error { return read(w, "fetch_raw", sid, &version) },
				func() error { return w.query(&version, "save_raw", sid, w.changed(), version) })
		},
	}

	made := map[string]*system{}
	for name, requests := range all {
		mix(requests)
		made[name] = &system{name: name, requests: requests, slides: name == "session_store" || name == "opaque"}
	}
	return made
}

// mix adds the mixed load: 80 % reads, 15 % writes, 2 % logins, 3 % first visits.
func mix(kinds map[string]request) {
	kinds["mixed"] = func(w *worker, sid string) (string, error) {
		switch dice := w.rng.Intn(100); {
		case dice < 80:
			return kinds["read"](w, sid)
		case dice < 95:
			return kinds["write"](w, sid)
		case dice < 97:
			return kinds["login"](w, sid)
		default:
			return kinds["first"](w, sid)
		}
	}
}
