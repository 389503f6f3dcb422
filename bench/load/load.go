package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// The hand-written tables: that of connect-pg-simple's table.sql, and the one of the beego provider's documentation.
const tables = `
CREATE TABLE node_session (
    sid varchar NOT NULL COLLATE "default", sess json NOT NULL, expire timestamp(6) NOT NULL,
    CONSTRAINT node_session_pkey PRIMARY KEY (sid));
CREATE INDEX node_session_expire ON node_session (expire);
CREATE TABLE beego_session (
    session_key char(64) NOT NULL, session_data bytea, session_expiry timestamp NOT NULL,
    CONSTRAINT beego_session_key PRIMARY KEY (session_key));
CREATE EXTENSION session_store;
GRANT ALL ON node_session, beego_session TO application;`

func sid(i int) string {
	digest := sha256.Sum256(fmt.Append(nil, "session ", i))
	return hex.EncodeToString(digest[:])
}

var words = strings.Fields("umbrella table lamp garden chair silver winter light travel mug cotton shirt small " +
	"green paper notebook wooden frame kitchen knife running shoes blue large set of four")

// session is the i-th session: the same in every run, 300 to 1,000 bytes or, every tenth, 4 to 16 kB.
func session(i int) []byte {
	r := rand.New(rand.NewSource(int64(i)))
	size := 300 + r.Intn(701)
	if i%10 == 9 {
		size = 4096 + r.Intn(12289)
	}
	word := func() string { return words[r.Intn(len(words))] }
	token := make([]byte, 16)
	r.Read(token)
	b := fmt.Appendf(nil, `{"seen":%d,"user_id":%d,"cookie":{"path":"/","httpOnly":true},"name":"%s %s",`+
		`"roles":["customer"],"csrf":"%x","locale":"en","theme":"%s","last":"/shop/%d","cart":[`,
		int64(1e9)+r.Int63n(8e9), r.Intn(1e8), word(), word(), token, word(), r.Intn(1e5))
	for n := 0; len(b) < size-60 || n == 0; n++ {
		if n > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, `{"sku":"%x","title":"%s %s","n":%d}`, r.Int63n(1<<32), word(), word(), 1+r.Intn(9))
	}
	return append(b, `]}`...)
}

func connect(dsn string) *pgx.Conn {
	conn, err := pgx.Connect(ctx, dsn)
	check(err)
	return conn
}

func run(conn *pgx.Conn, sql string, args ...any) {
	_, err := conn.Exec(ctx, sql, args...)
	check(err)
}

func number(conn *pgx.Conn, sql string, args ...any) (n float64) {
	check(conn.QueryRow(ctx, sql, args...).Scan(&n))
	return n
}

// load creates the tables in a database and fills them with the same n sessions in the same order.
func load(conn *pgx.Conn, n int) {
	run(conn, tables)
	i := -1
	_, err := conn.CopyFrom(ctx, pgx.Identifier{"node_session"}, []string{"sid", "sess", "expire"},
		pgx.CopyFromFunc(func() ([]any, error) {
			if i++; i == n {
				return nil, nil
			}
			return []any{sid(i), session(i), time.Now().Add(ttl)}, nil
		}))
	check(err)
	run(conn, "INSERT INTO beego_session SELECT sid, convert_to(sess::text, 'UTF8'), now() FROM node_session")
	run(conn, "SELECT count(session_create(sess::jsonb, sid)) FROM node_session")
	run(conn, "VACUUM (FREEZE, ANALYZE)")
	run(conn, "CHECKPOINT")
}

// loadOpaque stores some sessions once more, as opaque payloads under ids of their own; those ids.
func loadOpaque(conn *pgx.Conn, sids []string) (ids []string) {
	run(conn, `SELECT count(session_create_raw(convert_to(sess::text, 'UTF8'), 'opaque ' || sid))
		FROM node_session WHERE sid = ANY ($1)`, sids)
	for _, sid := range sids {
		ids = append(ids, "opaque "+sid)
	}
	return ids
}

// loadRedis fills a Redis with the first n of these sessions.
func loadRedis(client *redis.Client, n int) {
	for i := 0; i < n; {
		pipe := client.Pipeline()
		for end := min(n, i+1000); i < end; i++ {
			pipe.Set(ctx, "sess:"+sid(i), session(i), ttl)
		}
		_, err := pipe.Exec(ctx)
		check(err)
	}
}

var relations = map[string]string{"session_store": "session", "node": "node_session", "beego": "beego_session"}

// size is what a system's table takes with its indexes and TOAST, in bytes.
func size(conn *pgx.Conn, name string) float64 {
	return number(conn, "SELECT pg_total_relation_size($1::text::regclass)::float8", relations[name])
}
