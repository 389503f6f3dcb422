package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// firstCalls is the time of the first and second call in a transaction of a new connection, medians in microseconds.
func firstCalls() map[string][2]float64 {
	took := map[string][2]float64{}
	for name, args := range map[string][]any{"get": {sid(0)}, "node_get": {sid(0), epoch(time.Now())}} {
		var times [2][]float64
		for range 50 {
			conn := connect(dsn("application", "bench", ""))
			tx, err := conn.Begin(ctx)
			check(err)
			for call := range times {
				var data []byte
				start := time.Now()
				row := tx.QueryRow(ctx, statements[name], append([]any{pgx.QueryExecModeExec}, args...)...)
				check(row.Scan(&data))
				times[call] = append(times[call], float64(time.Since(start).Nanoseconds())/1000)
			}
			check(tx.Commit(ctx))
			check(conn.Close(ctx))
		}
		took[name] = [2]float64{median(times[0]), median(times[1])}
	}
	return took
}

// growth is what every table took before and after each of its sessions was updated 50 times, once in so many minutes.
type growth struct {
	minutes       int
	pass          float64 // how long it took to update all of them once, in compressed minutes
	before, after map[string]float64
	vacuums       map[string]float64 // by autovacuum
}

// minute is what stands for a minute while growth is measured: for the pace of updates, autovacuum's naptime and the
// expiry grid.
const minute = time.Second

func (b *bench) measureGrowth() (all []growth) {
	run(b.admin, fmt.Sprintf("ALTER SYSTEM SET autovacuum_naptime = '%g s'", minute.Seconds()))
	run(b.admin, "SELECT pg_reload_conf()")
	for _, minutes := range []int{1, 3} {
		all = append(all, b.updateAll(fmt.Sprint("growth", minutes), minutes))
	}
	run(b.admin, "ALTER SYSTEM RESET autovacuum_naptime")
	run(b.admin, "SELECT pg_reload_conf()")
	return all
}

// updateAll updates every session of a new database 50 times, at an even pace.
func (b *bench) updateAll(database string, minutes int) growth {
	run(b.admin, "CREATE DATABASE "+database)
	run(b.admin, fmt.Sprintf("ALTER DATABASE %s SET session_store.max_lifetime = '1 d'", database))
	run(b.admin, fmt.Sprintf("ALTER DATABASE %s SET session_store.expiry_granularity = '%g s'", database, minute.Seconds()))
	conn := connect(dsn(*admin, database, ""))
	load(conn, *churn)
	of := func(figure func(name string) float64) map[string]float64 {
		return map[string]float64{"session_store": figure("session_store"), "node": figure("node")}
	}
	sizes := func(name string) float64 { return size(conn, name) }
	vacuums := func(name string) float64 {
		return number(conn, "SELECT autovacuum_count::float8 FROM pg_stat_user_tables WHERE relid = $1::text::regclass",
			relations[name])
	}
	before := of(sizes)
	kinds := map[string]string{"session_store": "set only", "node": "write"}
	wanted := minute * time.Duration(minutes)
	start := time.Now()
	workers := connectWorkers(8, database, "")
	together(workers, func(w *worker, i int) (bool, error) {
		n := i*w.n + w.id
		time.Sleep(time.Until(start.Add(wanted * time.Duration(n) / time.Duration(*churn))))
		for name, kind := range kinds {
			if _, err := b.systems[name].requests[kind](w, sid(n%*churn)); err != nil {
				return false, err
			}
		}
		return n+w.n < *churn*50, nil
	})
	pass := time.Since(start).Seconds() / 50 / minute.Seconds()
	progress("growth: each updated once in %.1f minutes", pass)
	grown := growth{minutes, pass, before, of(sizes), of(vacuums)}
	run(b.admin, "DROP DATABASE "+database+" WITH (FORCE)")
	return grown
}

// The pure-SQL rows again with pgbench, whose parameters can only be numbers: sessions with numeric ids.
var scripts = []struct{ name, sql string }{
	{"SELECT 1", "SELECT 1;"},
	{"hand-written SELECT", "SELECT sess FROM node_session WHERE sid = :sid::text AND expire >= now();"},
	{"session_get(sid)", "SELECT session_get(:sid::text);"},
	{"session_get(sid, key)", "SELECT session_get(:sid::text, 'user_id');"},
	{"hand-written SELECT + UPDATE", "SELECT sess FROM node_session WHERE sid = :sid::text AND expire >= now();\n" +
		"UPDATE node_session SET expire = now() + interval '1 day' WHERE sid = :sid::text;"},
	{"session_load(sid)", "SELECT data, version FROM session_load(:sid::text);"},
	{"session_fetch(sid)", "SELECT data, version FROM session_fetch(:sid::text);"},
}

const firstNumericID = 1_000_000_000_000_000_000

func (b *bench) pgbenchRows() [][]float64 {
	run(b.admin, `INSERT INTO node_session SELECT ($1::bigint + n)::text, sess, expire
		FROM (SELECT row_number() OVER () - 1 AS n, sess, expire FROM node_session LIMIT $2) AS numbered`, firstNumericID, *hot)
	run(b.admin, `SELECT count(session_create(sess::jsonb, sid)) FROM node_session
		WHERE length(sid) = 19`)
	numeric := &system{requests: b.systems["session_store"].requests, slides: true}
	for i := range *hot {
		numeric.sids = append(numeric.sids, strconv.Itoa(firstNumericID+i))
	}
	dir, err := os.MkdirTemp("", "bench")
	check(err)
	defer os.RemoveAll(dir)
	rates := make([][]float64, len(scripts))
	tps := regexp.MustCompile(`tps = ([0-9.]+)`)
	for range *rounds {
		for i, script := range scripts {
			file := filepath.Join(dir, "script")
			check(os.WriteFile(file, fmt.Appendf(nil, "\\set sid random(%d, %d)\n%s\n", firstNumericID,
				firstNumericID+*hot-1, script.sql), 0o644))
			b.warm(numeric)
			out, err := exec.Command(*pgbench, "-n", "-M", "prepared", "-c", "8", "-j", "2", "-T",
				strconv.Itoa(max(1, int(*seconds))), "-f", file, "-h", *socket, "-U", "application", "bench").CombinedOutput()
			found := tps.FindSubmatch(out)
			if err != nil || found == nil {
				panic(string(out))
			}
			rate, _ := strconv.ParseFloat(string(found[1]), 64)
			rates[i] = append(rates[i], rate)
			progress("pgbench, %s: %.0f/s", script.name, rate)
		}
	}
	return rates
}
