package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// scale is the look-ups a second in one table in one round, by kind.
type scale map[string]float64

var scaleKinds = []entry{{"session_store", "read"}, {"session_store", "get key"}, {"node", "lookup"}}

// Small sessions, straight into the tables. They have no idle limit, so that a look-up is one and never slides.
const fillScale = `
SELECT session_create('{"user_id": 4711, "seen": 1700000000, "csrf": "6945d65e895c4fec51ef716ae6da43b4"}', 'model',
	interval '0', now() + interval '1 day');
CREATE TEMPORARY TABLE model AS SELECT * FROM session;
CREATE TEMPORARY TABLE document AS SELECT session_get('model')::json AS sess;
DELETE FROM session;
INSERT INTO session (created_at, deadline, lifetime, session_key, principal, session_data, session_expiry, version)
	SELECT created_at, deadline, lifetime, sha256(convert_to(sid, 'UTF8')), principal, session_data, session_expiry, version
	FROM model, %[1]s;
INSERT INTO node_session SELECT sid, sess, now() + interval '1 day' FROM document, %[1]s;
`

// The ids of the function sid.
const scaleIDs = `(SELECT encode(sha256(convert_to('session ' || n, 'UTF8')), 'hex') AS sid
	FROM generate_series(0, %d - 1) AS n) AS ids`

func scaleSizes() (sizes []int) {
	for _, size := range strings.Split(*scales, ",") {
		n, err := strconv.Atoi(size)
		check(err)
		sizes = append(sizes, n)
	}
	return sizes
}

// measureScale looks up random sessions in tables of several sizes, in turn.
func (b *bench) measureScale() (all [][]scale) {
	databases, sizes := []string{}, scaleSizes()
	for _, n := range sizes {
		databases = append(databases, b.fillScale(n))
	}
	all = make([][]scale, len(sizes))
	for range *rounds {
		for i, n := range sizes {
			all[i] = append(all[i], b.lookUp(databases[i], n))
		}
	}
	for _, database := range databases {
		run(b.admin, "DROP DATABASE "+database+" WITH (FORCE)")
	}
	return all
}

func (b *bench) fillScale(n int) string {
	database := fmt.Sprint("scale", n)
	progress("loading %d small sessions", n)
	run(b.admin, "CREATE DATABASE "+database)
	conn := connect(dsn(*admin, database, ""))
	run(conn, tables)
	run(conn, fmt.Sprintf(fillScale, fmt.Sprintf(scaleIDs, n)))
	run(conn, "VACUUM (FREEZE, ANALYZE)")
	run(conn, "CHECKPOINT")
	check(conn.Close(ctx))
	return database
}

// lookUp measures each kind after it ran unmeasured as long, which fills the caches.
func (b *bench) lookUp(database string, n int) scale {
	workers := connectWorkers(8, database, "")
	defer closeAll(workers)
	rates := scale{}
	for _, e := range scaleKinds {
		b.lookUpFor(workers, e, n)
		rates[e.String()] = b.lookUpFor(workers, e, n)
		progress("%d sessions, %s: %.0f/s", n, e, rates[e.String()])
	}
	return rates
}

func (b *bench) lookUpFor(workers []*worker, e entry, n int) (rate float64) {
	perform := b.systems[e.system].requests[e.kind]
	start := time.Now()
	until := start.Add(time.Duration(*seconds * float64(time.Second)))
	counts := make([]int, len(workers))
	together(workers, func(w *worker, i int) (bool, error) {
		counts[w.id] = i + 1
		_, err := perform(w, sid(w.rng.Intn(n)))
		return time.Now().Before(until), err
	})
	elapsed := time.Since(start).Seconds()
	for _, count := range counts {
		rate += float64(count) / elapsed
	}
	return rate
}
