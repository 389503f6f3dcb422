package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// What each entry is, in words.
var titles = map[string]string{
	"floor lookup":             "`SELECT 1`",
	"node lookup":              "hand-written `SELECT`",
	"redis lookup":             "Redis `GET`",
	"session_store get":        "`session_get(sid)`",
	"session_store get key":    "`session_get(sid, key)`",
	"session_store read":       "session_store: `session_fetch`",
	"session_store read jsonb": "session_store: `session_load`",
	"node read":                "hand-written: `SELECT`, `UPDATE` of the expiry",
	"beego read":               "beego: `SELECT`, `UPDATE`",
	"redis read":               "Redis: `GET`, `EXPIRE`",
	"session_store write":      "session_store: `session_fetch`, `session_release` at the version",
	"session_store write key":  "session_store: `session_fetch`, `session_set`",
	"session_store set only":   "session_store: `session_set` alone",
	"opaque write":             "session_store: `session_fetch`, `session_release_raw` at the version",
	"node write":               "hand-written: `SELECT`, upsert",
	"beego write":              "beego: `SELECT`, `UPDATE`",
	"redis write":              "Redis: `GET`, `SET EX`",
	"session_store login":      "session_store: `session_fetch`, `session_regenerate`, `session_set`",
	"node login":               "hand-written: `SELECT`, `DELETE`, upsert",
	"beego login":              "beego: `SELECT`, `UPDATE` of the key, `UPDATE`",
	"redis login":              "Redis: `GET`, `DEL`, `SET EX`",
	"session_store first":      "session_store: `session_start(NULL)`",
	"node first":               "hand-written: upsert",
	"beego first":              "beego: `SELECT`, `INSERT`, `UPDATE`",
	"redis first":              "Redis: `SET EX`",
	"session_store mixed":      "session_store",
	"node mixed":               "hand-written",
	"beego mixed":              "beego",
	"redis mixed":              "Redis",
}

// A target is a ratio of two entries at 8 clients: of their rates (at least) or of their WAL (at most).
type target struct {
	text       string
	comparison int
	ours       entry
	other      string // a system
	wanted     float64
	wal        bool
}

var targets = []target{
	{"`session_get(sid, key)` / hand-written SELECT", 0, entry{"session_store", "get key"}, "node", 1.0, false},
	{"`session_get(sid)` / hand-written SELECT", 0, entry{"session_store", "get"}, "node", 0.95, false},
	{"`session_get(sid, key)` / `SELECT 1`", 0, entry{"session_store", "get key"}, "floor", 0.5, false},
	{"read request, 20 a minute / hand-written", 1, entry{"session_store", "read"}, "node", 3.0, false},
	{"its WAL without full-page images / hand-written", 1, entry{"session_store", "read"}, "node", 0.06, true},
	{"read request, 20 a minute / Redis", 1, entry{"session_store", "read"}, "redis", 0.8, false},
	{"read request, one a minute / hand-written", 2, entry{"session_store", "read"}, "node", 1.2, false},
	{"writing request (fetch, set) / hand-written", 3, entry{"session_store", "write key"}, "node", 1.1, false},
	{"its WAL without full-page images / hand-written", 3, entry{"session_store", "write key"}, "node", 0.7, true},
	{"writing request (fetch, set) / beego", 3, entry{"session_store", "write key"}, "beego", 1.0, false},
	{"writing request (fetch, release) / hand-written", 3, entry{"session_store", "write"}, "node", 1.1, false},
	{"its WAL without full-page images / hand-written", 3, entry{"session_store", "write"}, "node", 0.7, true},
	{"writing request (fetch, release) / beego", 3, entry{"session_store", "write"}, "beego", 1.0, false},
	{"writing request (opaque payload) / hand-written", 3, entry{"opaque", "write"}, "node", 1.1, false},
	{"writing request (opaque payload) / beego", 3, entry{"opaque", "write"}, "beego", 1.0, false},
	{"mixed load, 20 a minute / hand-written", 4, entry{"session_store", "mixed"}, "node", 2.0, false},
}

func rate(m measurement) float64 { return m.rate }

// of is the median of one figure over the rounds.
func of(rounds []measurement, figure func(measurement) float64) float64 {
	var values []float64
	for _, m := range rounds {
		values = append(values, figure(m))
	}
	return median(values)
}

// ratio is the median of the ratios of two entries measured in the same round.
func ratio(ours, others []measurement, figure func(measurement) float64) float64 {
	var values []float64
	for i := range ours {
		values = append(values, figure(ours[i])/figure(others[i]))
	}
	return median(values)
}

func verdict(value, wanted float64, atMost bool) string {
	sign := "at least"
	met := value >= wanted
	if atMost {
		sign, met = "at most", value <= wanted
	}
	return fmt.Sprintf("%s %g | %.2f | %s", sign, wanted, value, map[bool]string{true: "met", false: "**missed**"}[met])
}

func pace(minutes int) string {
	if minutes == 1 {
		return "once a minute"
	}
	return fmt.Sprintf("once in %d minutes", minutes)
}

func report(measured map[key][]measurement, sizes map[string]float64, grown []growth,
	first map[string][2]float64, plain [][]float64) {
	var md strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&md, format+"\n", args...) }
	say("# Benchmark\n\nWritten by `bench/run.sh`. How it is measured: [bench/README.md](../README.md).\n")
	say("%s\n\n%d sessions, %d of them the working set, %d rounds of %g s. PostgreSQL: `%s`\n", *versions, *sessions, *hot,
		*rounds, *seconds, *settings)
	say("![requests per second](results.svg)\n\n## Targets\n\nMedians of the ratios within one round, 8 clients.\n")
	say("| | wanted | measured | |\n|---|---|---:|---|")
	for _, t := range targets {
		c := comparisons[t.comparison]
		other := c.entries[slices.IndexFunc(c.entries, func(e entry) bool { return e.system == t.other })]
		figure := rate
		if t.wal {
			figure = func(m measurement) float64 { return m.wal }
		}
		if measured[key{c.title, other, 8}] == nil {
			continue
		}
		value := ratio(measured[key{c.title, t.ours, 8}], measured[key{c.title, other, 8}], figure)
		say("| %s | %s |", t.text, verdict(value, t.wanted, t.wal))
	}
	for _, g := range grown {
		say("| size after 50 updates of every session, %s / fresh | %s |", pace(g.minutes),
			verdict(g.after["session_store"]/g.before["session_store"], 1.5, true))
	}
	say("| bytes per stored session / hand-written | %s |", verdict(sizes["session_store"]/sizes["node"], 1, true))

	for _, clients := range []int{8, 1} {
		say("\n## Requests, %d %s", clients, map[bool]string{true: "client", false: "clients"}[clients == 1])
		for _, c := range comparisons {
			if measured[key{c.title, c.entries[0], clients}] == nil {
				continue
			}
			say("\n**%s**\n\n| | requests/s | to hand-written | p50 µs | p99 µs | WAL bytes | page images, bytes | rows updated | round trips |",
				c.title)
			say("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
			node := c.entries[slices.IndexFunc(c.entries, func(e entry) bool { return e.system == "node" })]
			for _, e := range c.entries {
				all := measured[key{c.title, e, clients}]
				figure := func(f func(measurement) float64) float64 { return of(all, f) }
				say("| %s | %.0f | %.2f | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f |", titles[e.String()], figure(rate),
					ratio(all, measured[key{c.title, node, clients}], rate),
					figure(func(m measurement) float64 { return m.p50 }), figure(func(m measurement) float64 { return m.p99 }),
					figure(func(m measurement) float64 { return m.wal }), figure(func(m measurement) float64 { return m.images }),
					figure(func(m measurement) float64 { return m.writes }), figure(func(m measurement) float64 { return m.trips }))
			}
		}
	}

	if plain != nil {
		say("\n## pgbench\n\nOne prepared script each, 8 clients, on sessions that are not due for a slide.\n")
		say("| | transactions or scripts/s |\n|---|---:|")
		for i, script := range scripts {
			say("| %s | %.0f |", script.name, median(plain[i]))
		}
	}
	say("\n## Size\n\nBytes per session with indexes and TOAST, freshly loaded: session_store %.0f, hand-written %.0f, beego %.0f.",
		sizes["session_store"], sizes["node"], sizes["beego"])
	if grown != nil {
		say("\nBefore and after 50 updates of each of %d sessions, in time that runs %.0f times as fast:\n", *churn,
			time.Minute.Seconds()/minute.Seconds())
		say("| each updated | took minutes | session_store | vacuums | | hand-written | vacuums | |")
		say("|---|---:|---:|---:|---:|---:|---:|---:|")
		for _, g := range grown {
			cells := fmt.Sprintf("| %s | %.1f |", pace(g.minutes), g.pass)
			for _, name := range []string{"session_store", "node"} {
				before, after := g.before[name], g.after[name]
				cells += fmt.Sprintf(" %.1f MB → %.1f MB | %.0f | %.2f |", before/1e6, after/1e6, g.vacuums[name], after/before)
			}
			say("%s", cells)
		}
	}
	say("\n## First call\n\nIn a transaction of a new connection, not preloaded, first and second call: `session_get(sid)` "+
		"%.0f and %.0f µs; the hand-written SELECT %.0f and %.0f µs.", first["get"][0], first["get"][1],
		first["node_get"][0], first["node_get"][1])

	check(os.WriteFile(filepath.Join(*results, "results.md"), []byte(md.String()), 0o644))
	check(os.WriteFile(filepath.Join(*results, "results.svg"), []byte(plot(measured)), 0o644))
}

var colours = map[string]string{"session_store": "#2b6cb0", "node": "#c05621", "beego": "#b7a57a", "redis": "#718096",
	"floor": "#cbd5e0", "opaque": "#2b6cb0"}

// plot is a bar for every entry at 8 clients, each comparison on a scale of its own.
func plot(measured map[key][]measurement) string {
	var bars strings.Builder
	y := 10
	for _, c := range comparisons {
		if measured[key{c.title, c.entries[0], 8}] == nil {
			continue
		}
		y += 24
		fmt.Fprintf(&bars, `<text x="10" y="%d" font-weight="bold">%s</text>`+"\n", y, c.title)
		y += 8
		top := 0.0
		for _, e := range c.entries {
			top = max(top, of(measured[key{c.title, e, 8}], rate))
		}
		for _, e := range c.entries {
			value := of(measured[key{c.title, e, 8}], rate)
			width := 420 * value / top
			fmt.Fprintf(&bars, `<text x="10" y="%d">%s</text><rect x="430" y="%d" width="%.1f" height="14" fill="%s"/>`+
				`<text x="%.1f" y="%d">%.0f</text>`+"\n", y+12, strings.ReplaceAll(titles[e.String()], "`", ""), y, width,
				colours[e.system], 436+width, y+12, value)
			y += 19
		}
	}
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="920" height="%d" font-family="sans-serif" font-size="13">
<rect width="100%%" height="100%%" fill="white"/>
<text x="10" y="18">Requests per second, 8 clients (longer is better; each group has its own scale)</text>
%s</svg>
`, y+12, bars.String())
}
