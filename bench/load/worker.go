package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	mrand "math/rand"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

var ctx = context.Background()

// The statements, each prepared once per connection or sent with each call. node_*: connect-pg-simple. beego_*: the
// provider.
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
	"patch":      "SELECT session_patch($1, $2)",
	"save":       "SELECT session_save($1, $2, $3)",
	"release":    "SELECT session_release($1, $2, $3)",
	"save_raw":   "SELECT session_release_raw($1, $2, $3)",
	"regenerate": "SELECT session_regenerate($1)",
	"start":      "SELECT sid FROM session_start(NULL)",

	"login_save":  renewed + "SELECT sid, session_save(sid, $2, $3) FROM renewed",
	"login_patch": renewed + "SELECT sid, session_patch(sid, $2) FROM renewed",
}

const renewed = "WITH renewed AS MATERIALIZED (SELECT session_regenerate($1) AS sid) "

// A worker is one client: it owns every n-th session, so that no two clients use one at once.
type worker struct {
	id, n, cold int // cold: how many cold sessions it has used in this measurement
	pg          *pgx.Conn
	unprepared  bool                     // how it calls PostgreSQL
	redis       map[string]*redis.Client // by system
	rng         *mrand.Rand
	trips       int
	latencies   []time.Duration
	data        []byte // what it read last
}

// workersSoFar seeds their generators, so that no two write the same values.
var workersSoFar atomic.Int64

func connectWorker(id, n int, dsn string) *worker {
	rng := mrand.New(mrand.NewSource(workersSoFar.Add(1)))
	w := &worker{id: id, n: n, pg: connect(dsn), redis: map[string]*redis.Client{}, rng: rng}
	for name, sql := range statements {
		_, err := w.pg.Prepare(ctx, name, sql)
		check(err)
	}
	for name, file := range redisSockets {
		options := redis.Options{Network: "unix", Addr: filepath.Join(*socket, file), PoolSize: 1}
		w.redis[name] = redis.NewClient(&options)
		check(w.redis[name].Ping(ctx).Err())
	}
	return w
}

func (w *worker) close() {
	check(w.pg.Close(ctx))
	for _, client := range w.redis {
		check(client.Close())
	}
}

// call is the SQL and arguments for pgx: of the prepared statement, or so that its text and the arguments' texts go to
// the server in one message and the types are the server's to find.
func (w *worker) call(statement string, args []any) (string, []any) {
	w.trips++
	if w.unprepared {
		return statements[statement], append([]any{pgx.QueryExecModeExec}, args...)
	}
	return statement, args
}

func (w *worker) row(statement string, args ...any) pgx.Row {
	sql, args := w.call(statement, args)
	return w.pg.QueryRow(ctx, sql, args...)
}

func (w *worker) query(to any, statement string, args ...any) error {
	return w.row(statement, args...).Scan(to)
}

func (w *worker) exec(statement string, args ...any) error {
	sql, args := w.call(statement, args)
	done, err := w.pg.Exec(ctx, sql, args...)
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

func (w *worker) seen() string { return strconv.FormatInt(1e9+w.rng.Int63n(8e9), 10) }

func newID() string {
	var entropy [32]byte
	_, _ = rand.Read(entropy[:])
	return hex.EncodeToString(entropy[:])
}
