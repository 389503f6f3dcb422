package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

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

// markdown is what is written so far.
type markdown struct{ strings.Builder }

func (md *markdown) say(format string, args ...any) { fmt.Fprintf(md, format+"\n", args...) }

func (f *figures) report() {
	var md markdown
	md.say("# Benchmark\n\nWritten by `bench/run.sh`. How it is measured: [bench/README.md](../README.md).\n")
	md.say("%s\n\n%d sessions, %d of them the working set, %d rounds of %g s. PostgreSQL: `%s`\n", *versions, *sessions,
		*hot, *rounds, *seconds, *settings)
	md.say("![requests per second](results.svg)\n\n## Targets\n\nMedians of the ratios within one round, 8 clients.\n")
	f.sayTargets(&md)
	for _, clients := range []int{8, 1} {
		if len(f.measured) > 0 {
			md.say("\n## Requests, %d %s", clients, map[bool]string{true: "client", false: "clients"}[clients == 1])
		}
		for _, c := range comparisons {
			f.sayComparison(&md, c, clients)
		}
	}
	f.sayScale(&md)
	f.sayPgbench(&md)
	f.saySizes(&md)
	if f.first != nil {
		md.say("\n## First call\n\nIn a transaction of a new connection, not preloaded, first and second call: "+
			"`session_get(sid)` %.0f and %.0f µs; the hand-written SELECT %.0f and %.0f µs.", f.first["get"][0],
			f.first["get"][1], f.first["node_get"][0], f.first["node_get"][1])
	}
	check(os.WriteFile(filepath.Join(*results, "results.md"), []byte(md.String()), 0o644))
	check(os.WriteFile(filepath.Join(*results, "results.svg"), []byte(plot(f.measured)), 0o644))
}

func (f *figures) sayTargets(md *markdown) {
	md.say("| | wanted | measured | |\n|---|---|---:|---|")
	for _, t := range targets {
		figure := rate
		if t.wal {
			figure = func(m measurement) float64 { return m.wal }
		}
		ours, other := f.measured[key{t.comparison, t.ours, 8}], f.measured[key{t.comparison, t.other, 8}]
		if ours != nil {
			md.say("| %s | %s |", t.text, verdict(ratio(ours, other, figure), t.wanted, t.wal))
		}
	}
	if f.scaled != nil {
		sizes := scaleSizes()
		last := len(sizes) - 1
		md.say("| look-up at %d sessions / at %d | %s |", sizes[last], sizes[0],
			verdict(f.scaleRatio(last, scaleKinds[0]), 0.8, false))
	}
	for _, g := range f.grown {
		md.say("| size after 50 updates of every session, %s / fresh | %s |", pace(g.minutes),
			verdict(g.after["session_store"]/g.before["session_store"], 1.5, true))
	}
	if f.sizes != nil {
		md.say("| bytes per stored session / hand-written | %s |", verdict(f.sizes["session_store"]/f.sizes["node"], 1, true))
	}
}

func (f *figures) sayComparison(md *markdown, c comparison, clients int) {
	if f.measured[key{c.title, c.entries[0], clients}] == nil {
		return
	}
	md.say("\n**%s**\n\n| | requests/s | to hand-written | p50 µs | p99 µs | WAL bytes | page images, bytes | rows updated | "+
		"round trips |", c.title)
	md.say("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
	node := c.entries[slices.IndexFunc(c.entries, func(e entry) bool { return e.system == "node" })]
	for _, e := range c.entries {
		all := f.measured[key{c.title, e, clients}]
		figure := func(f func(measurement) float64) float64 { return of(all, f) }
		md.say("| %s | %.0f | %.2f | %.0f | %.0f | %.0f | %.0f | %.2f | %.2f |", e.title(), figure(rate),
			ratio(all, f.measured[key{c.title, node, clients}], rate),
			figure(func(m measurement) float64 { return m.p50 }), figure(func(m measurement) float64 { return m.p99 }),
			figure(func(m measurement) float64 { return m.wal }), figure(func(m measurement) float64 { return m.images }),
			figure(func(m measurement) float64 { return m.writes }), figure(func(m measurement) float64 { return m.trips }))
	}
}

// scaleRatio is the rate of look-ups in the i-th table to that in the first.
func (f *figures) scaleRatio(i int, e entry) float64 {
	var ratios []float64
	for round, rates := range f.scaled[i] {
		ratios = append(ratios, rates[e.String()]/f.scaled[0][round][e.String()])
	}
	return median(ratios)
}

func (f *figures) sayScale(md *markdown) {
	if f.scaled == nil {
		return
	}
	md.say("\n## Look-ups by the size of the table\n\n8 clients, small sessions, any of them. In brackets: to the first row.\n")
	head, line := "| sessions |", "|---:|"
	for _, e := range scaleKinds {
		head, line = head+" "+e.title()+" |", line+"---:|"
	}
	md.say("%s\n%s", head, line)
	for i, n := range scaleSizes() {
		row := fmt.Sprintf("| %d |", n)
		for _, e := range scaleKinds {
			var rates []float64
			for _, of := range f.scaled[i] {
				rates = append(rates, of[e.String()])
			}
			row += fmt.Sprintf(" %.0f (%.2f) |", median(rates), f.scaleRatio(i, e))
		}
		md.say("%s", row)
	}
}

func (f *figures) sayPgbench(md *markdown) {
	if f.plain == nil {
		return
	}
	md.say("\n## pgbench\n\nOne prepared script each, 8 clients, on sessions that are not due for a slide.\n")
	md.say("| | transactions or scripts/s |\n|---|---:|")
	for i, script := range scripts {
		md.say("| %s | %.0f |", script.name, median(f.plain[i]))
	}
}

func (f *figures) saySizes(md *markdown) {
	if f.sizes == nil && f.grown == nil {
		return
	}
	md.say("\n## Size")
	if f.sizes != nil {
		md.say("\nBytes per session with indexes and TOAST, freshly loaded: session_store %.0f, hand-written %.0f, beego %.0f.",
			f.sizes["session_store"], f.sizes["node"], f.sizes["beego"])
	}
	if f.grown == nil {
		return
	}
	md.say("\nBefore and after 50 updates of each of %d sessions, in time that runs %.0f times as fast:\n", *churn,
		time.Minute.Seconds()/minute.Seconds())
	md.say("| each updated | took minutes | session_store | vacuums | | hand-written | vacuums | |")
	md.say("|---|---:|---:|---:|---:|---:|---:|---:|")
	for _, g := range f.grown {
		cells := fmt.Sprintf("| %s | %.1f |", pace(g.minutes), g.pass)
		for _, name := range []string{"session_store", "node"} {
			before, after := g.before[name], g.after[name]
			cells += fmt.Sprintf(" %.1f MB → %.1f MB | %.0f | %.2f |", before/1e6, after/1e6, g.vacuums[name], after/before)
		}
		md.say("%s", cells)
	}
}

var colours = map[string]string{"session_store": "#2b6cb0", "node": "#c05621", "beego": "#b7a57a", "redis": "#718096",
	"redis none": "#718096", "redis always": "#718096", "floor": "#cbd5e0", "opaque": "#2b6cb0"}

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
				`<text x="%.1f" y="%d">%.0f</text>`+"\n", y+12, strings.ReplaceAll(e.title(), "`", ""), y, width,
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
