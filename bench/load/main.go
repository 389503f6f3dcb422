// The load generator of bench/run.sh: one client loop and real drivers for every system.
package main

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"sort"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	sessions = flag.Int("sessions", 1_000_000, "sessions loaded into each system")
	hot      = flag.Int("hot", 20_000, "sessions in the working set")
	rounds   = flag.Int("rounds", 5, "rounds of every comparison")
	seconds  = flag.Float64("seconds", 3, "seconds of every measurement")
	scales   = flag.String("scales", "100000,1000000,10000000", "sessions in the tables whose look-ups are compared")
	churn    = flag.Int("churn", 2_500, "sessions that are updated 50 times each")
	socket   = flag.String("socket", "", "directory of the Unix sockets")
	admin    = flag.String("admin", "", "database superuser")
	pgbench  = flag.String("pgbench", "", "the pgbench program")
	versions = flag.String("versions", "", "versions for the report")
	settings = flag.String("settings", "", "configuration for the report")
	only     = flag.String("only", "", "a pattern: just what it matches of the comparisons' titles, pgbench, growth, scale")
	results  = flag.String("results", "", "directory for the results")
)

func check(err error) {
	if err != nil {
		panic(err)
	}
}

// dsn connects with a setting as `name=value`, or none.
func dsn(user, database, setting string) string {
	return fmt.Sprintf("host=%s user=%s dbname=%s %s", *socket, user, database, setting)
}

// measurement is one entry in one round.
type measurement struct {
	rate, p50, p99             float64 // requests a second, microseconds
	trips, wal, images, writes float64 // per request; WAL bytes without and of full-page images; rows updated
}

type bench struct {
	admin   *pgx.Conn
	warmers []*worker
	systems map[string]*system
}

// key names the measurements of one entry at one number of clients, one per round.
type key struct {
	comparison string
	entry      entry
	clients    int
}

// figures are all that the report is made of; what was not measured is nil.
type figures struct {
	measured map[key][]measurement
	sizes    map[string]float64 // bytes per session
	grown    []growth
	scaled   [][]scale // by size, by round
	first    map[string][2]float64
	plain    [][]float64
}

func main() {
	flag.Parse()
	wanted := regexp.MustCompile(*only)
	setup := connect(dsn(*admin, "postgres", ""))
	run(setup, "CREATE ROLE application LOGIN")
	run(setup, "CREATE DATABASE bench")
	run(setup, "ALTER DATABASE bench SET session_store.max_lifetime = '1 d'")
	b := &bench{admin: connect(dsn(*admin, "bench", "")), systems: systems()}
	run(b.admin, "CREATE EXTENSION pg_walinspect")

	f := figures{measured: map[key][]measurement{}}
	if wanted.MatchString("growth") {
		f.grown = b.measureGrowth() // first, for autovacuum has nothing else to do yet
	}
	if wanted.MatchString("scale") {
		f.scaled = b.measureScale()
	}
	if chosen := choose(wanted); len(chosen) > 0 || wanted.MatchString("pgbench") {
		f.sizes = b.fill()
		f.first = firstCalls()
		for _, clients := range []int{8, 1} {
			for _, c := range chosen {
				b.compare(c, clients, f.measured)
			}
		}
		if wanted.MatchString("pgbench") {
			f.plain = b.pgbenchRows()
		}
	}
	f.report()
}

func choose(wanted *regexp.Regexp) (chosen []comparison) {
	for _, c := range comparisons {
		if wanted.MatchString(c.title) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// fill loads the sessions into every system; what one takes in each table.
func (b *bench) fill() map[string]float64 {
	progress("loading %d sessions", *sessions)
	load(b.admin, *sessions)
	sizes := map[string]float64{}
	for name := range relations {
		sizes[name] = size(b.admin, name) / float64(*sessions)
	}
	ids := make([]string, *sessions)
	for i := range ids {
		ids[i] = sid(i)
	}
	some := ids[:min(*sessions, 5**hot)]
	for name, s := range b.systems {
		s.sids = slices.Clone(ids)
		if slices.Contains(fewer, name) {
			s.sids = slices.Clone(some)
		}
	}
	b.systems["opaque"].sids = loadOpaque(b.admin, some)
	loaded := time.Now()
	b.warmers = connectWorkers(8, "bench", "")
	for name, client := range b.warmers[0].redis {
		loadRedis(client, len(b.systems[name].sids))
	}
	time.Sleep(time.Until(loaded.Add(61 * time.Second))) // from now on every session is due for a slide
	return sizes
}

// compare measures one comparison in all rounds.
func (b *bench) compare(c comparison, clients int, measured map[key][]measurement) {
	workers := connectWorkers(clients, "bench", c.setting)
	for round := range *rounds {
		for _, e := range c.entries {
			k := key{c.title, e, clients}
			m := b.measure(workers, c, e)
			measured[k] = append(measured[k], m)
			progress("%s, %d clients, round %d, %s: %.0f/s", c.title, clients, round+1, e, m.rate)
		}
	}
	closeAll(workers)
}

func progress(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }

func connectWorkers(n int, database, setting string) []*worker {
	workers := make([]*worker, n)
	for i := range workers {
		workers[i] = connectWorker(i, n, dsn("application", database, setting))
	}
	return workers
}

func closeAll(workers []*worker) {
	for _, w := range workers {
		w.close()
	}
}

// pick chooses the worker's next session: a hot one, or the next of the cold ones in a fixed scattered order.
func (w *worker) pick(s *system, i, due int) int {
	if due == 0 || i%due != 0 {
		return w.rng.Intn(*hot/w.n)*w.n + w.id
	}
	cold := len(s.sids) - *hot
	n := s.cursor + w.cold*w.n + w.id
	w.cold++
	return *hot + int(int64(n)*7_368_787%int64(cold)) // a prime, so that the order visits each
}

// together runs a loop in every worker until the loop says that it is done.
func together(workers []*worker, loop func(w *worker, i int) (more bool, err error)) {
	var all sync.WaitGroup
	for _, w := range workers {
		all.Go(func() {
			for i := 0; ; i++ {
				more, err := loop(w, i)
				check(err)
				if !more {
					return
				}
			}
		})
	}
	all.Wait()
}

// warm reads every hot session, so that none is due in this minute, and waits if the minute is about to end.
func (b *bench) warm(s *system) {
	length := time.Duration(*seconds*float64(time.Second)) + 500*time.Millisecond
	for {
		now := time.Now()
		end := now.Truncate(time.Minute).Add(time.Minute)
		if now.Add(length).After(end) && length < time.Minute {
			time.Sleep(time.Until(end))
			continue
		}
		if s.warmed == now.Unix()/60 || !s.slides {
			return
		}
		together(b.warmers, func(w *worker, i int) (bool, error) {
			n := i*w.n + w.id
			if n >= *hot {
				return false, nil
			}
			_, err := s.requests["read"](w, s.sids[n])
			return true, err
		})
		b.flush(b.warmers)
		s.warmed = now.Unix() / 60
	}
}

func (b *bench) measure(workers []*worker, c comparison, e entry) measurement {
	s := b.systems[e.system]
	perform := s.requests[e.kind]
	b.warm(s)
	b.flush(workers)
	syscall.Sync() // what the one before left for the disk is not this one's to wait for
	from, updated := b.position()
	for _, w := range workers {
		w.latencies, w.trips, w.cold = w.latencies[:0], 0, 0
	}
	start := time.Now()
	until := start.Add(time.Duration(*seconds * float64(time.Second)))
	together(workers, func(w *worker, i int) (bool, error) {
		n := w.pick(s, i, c.due)
		before := time.Now()
		id, err := perform(w, s.sids[n])
		after := time.Now()
		s.sids[n] = id
		w.latencies = append(w.latencies, after.Sub(before))
		return after.Before(until), err
	})
	elapsed := time.Since(start)
	b.flush(workers)
	to, updatedTo := b.position()

	var latencies []time.Duration
	trips, cold := 0, 0
	for _, w := range workers {
		latencies = append(latencies, w.latencies...)
		trips += w.trips
		cold = max(cold, w.cold)
	}
	s.cursor += cold * len(workers)
	slices.Sort(latencies)
	count := float64(len(latencies))
	microseconds := func(share float64) float64 {
		return float64(latencies[int(share*(count-1))].Nanoseconds()) / 1000
	}
	wal, images := b.walBetween(from, to)
	return measurement{count / elapsed.Seconds(), microseconds(0.5), microseconds(0.99), float64(trips) / count,
		wal / count, images / count, (updatedTo - updated) / count}
}

// flush makes the workers' backends hand in their statistics.
func (b *bench) flush(workers []*worker) {
	for _, w := range workers {
		run(w.pg, "SELECT pg_stat_force_next_flush()")
	}
}

// position is where the WAL ends, and how many rows were updated so far. Its commit flushes what others left unflushed.
func (b *bench) position() (lsn string, updated float64) {
	run(b.admin, "SELECT pg_logical_emit_message(true, 'bench', '')")
	check(b.admin.QueryRow(ctx, `SELECT pg_current_wal_flush_lsn()::text, (SELECT sum(n_tup_upd)::float8
		FROM pg_stat_user_tables WHERE relname IN ('session', 'node_session', 'beego_session'))`).Scan(&lsn, &updated))
	return lsn, updated
}

// walBetween is the size of the WAL records without and of their full-page images.
func (b *bench) walBetween(from, to string) (records, images float64) {
	check(b.admin.QueryRow(ctx, `SELECT sum(record_size)::float8, sum(fpi_size)::float8
		FROM pg_get_wal_stats($1::text::pg_lsn, $2::text::pg_lsn)`, from, to).Scan(&records, &images))
	return records, images
}

func median(values []float64) float64 {
	sort.Float64s(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}
