package main

import "strings"

// A comparison measures its contestants in turn, round by round.
type comparison struct {
	title   string
	due     int    // every due-th request finds a session not read within this minute; 0: none does
	setting string // of the connections
	entries []entry
}

type entry struct{ system, kind string }

func (e entry) String() string { return e.system + " " + e.kind }

// title is what the entry is, in words; a comparison of unprepared requests says so itself.
func (e entry) title() string {
	return titles[e.system+" "+strings.TrimPrefix(e.kind, "unprepared ")]
}

const (
	lookup           = "lookup"
	lookupUnprepared = "lookup, unprepared"
	read20           = "read request, 20 a minute per session"
	read20Unprepared = "read request, 20 a minute per session, unprepared"
	read1            = "read request, one a minute per session"
	write            = "writing request"
	writeUnprepared  = "writing request, unprepared"
	writeAsync       = "writing request, not durable"
	mixed            = "mixed load, 20 a minute per session"
	login            = "login"
	first            = "first visit"
)

var comparisons = []comparison{
	{lookup, 0, "", []entry{{"floor", "lookup"}, {"node", "lookup"}, {"session_store", "get"},
		{"session_store", "get key"}, {"session_store", "read"}, {"redis", "lookup"}}},
	{lookupUnprepared, 0, "", unprepared(entry{"floor", "lookup"}, entry{"node", "lookup"}, entry{"session_store", "get"},
		entry{"session_store", "get key"}, entry{"session_store", "read"})},
	{read20, 20, "", append(each("read"), entry{"redis none", "read"}, entry{"session_store", "read jsonb"})},
	{read20Unprepared, 20, "", unprepared(entry{"session_store", "read"}, entry{"node", "read"})},
	{read1, 1, "", each("read")},
	{write, 20, "", append(each("write"), entry{"redis always", "write"}, entry{"session_store", "write patch"},
		entry{"session_store", "write release"}, entry{"opaque", "write"}, entry{"session_store", "write set"},
		entry{"session_store", "set only"})},
	{writeUnprepared, 20, "", unprepared(entry{"session_store", "write"}, entry{"node", "write"}, entry{"beego", "write"},
		entry{"session_store", "write patch"}, entry{"session_store", "write release"}, entry{"opaque", "write"})},
	{writeAsync, 20, "synchronous_commit=off", []entry{{"session_store", "write"}, {"node", "write"},
		{"redis none", "write"}, {"session_store", "write patch"}}},
	{mixed, 20, "", each("mixed")},
	{login, 20, "", append(each("login"), entry{"redis always", "login"}, entry{"session_store", "login patch"},
		entry{"session_store", "login steps"})},
	{first, 0, "", append(each("first"), entry{"redis always", "first"}, entry{"session_store", "first start"})},
}

func each(kind string) []entry {
	return []entry{{"session_store", kind}, {"node", kind}, {"beego", kind}, {"redis", kind}}
}

func unprepared(entries ...entry) []entry {
	for i := range entries {
		entries[i].kind = "unprepared " + entries[i].kind
	}
	return entries
}

// What each entry is, in words.
var titles = map[string]string{
	"floor lookup":                "`SELECT 1`",
	"node lookup":                 "hand-written `SELECT`",
	"redis lookup":                "Redis `GET`",
	"session_store get":           "`session_get(sid)`",
	"session_store get key":       "`session_get(sid, key)`",
	"session_store read":          "session_store: `session_fetch`",
	"session_store read jsonb":    "session_store: `session_load`",
	"node read":                   "hand-written: `SELECT`, `UPDATE` of the expiry",
	"beego read":                  "beego: `SELECT`, `UPDATE`",
	"redis read":                  "Redis: `GET`, `EXPIRE`",
	"redis none read":             "Redis without persistence: `GET`, `EXPIRE`",
	"session_store write":         "session_store: `session_fetch`, `session_save` at the version",
	"session_store write patch":   "session_store: `session_fetch`, `session_patch`",
	"session_store write release": "session_store: `session_fetch`, `session_release` at the version",
	"session_store write set":     "session_store: `session_fetch`, `session_set`",
	"session_store set only":      "session_store: `session_set` alone",
	"opaque write":                "session_store: `session_fetch`, `session_release_raw` at the version",
	"node write":                  "hand-written: `SELECT`, upsert",
	"beego write":                 "beego: `SELECT`, `UPDATE`",
	"redis write":                 "Redis: `GET`, `SET EX`",
	"redis none write":            "Redis without persistence: `GET`, `SET EX`",
	"redis always write":          "Redis, `appendfsync always`: `GET`, `SET EX`",
	"session_store login":         "session_store: `session_fetch`, `session_regenerate` and `session_save` at the version",
	"session_store login patch":   "session_store: `session_fetch`, `session_regenerate` and `session_patch`",
	"session_store login steps":   "session_store: `session_fetch`, `session_regenerate`, `session_patch`",
	"node login":                  "hand-written: `SELECT`, `DELETE`, upsert",
	"beego login":                 "beego: `SELECT`, `UPDATE` of the key, `UPDATE`",
	"redis login":                 "Redis: `GET`, `DEL`, `SET EX`",
	"redis always login":          "Redis, `appendfsync always`: `GET`, `DEL`, `SET EX`",
	"session_store first":         "session_store: `session_save` at version 0",
	"session_store first start":   "session_store: `session_start(NULL)`",
	"node first":                  "hand-written: upsert",
	"beego first":                 "beego: `SELECT`, `INSERT`, `UPDATE`",
	"redis first":                 "Redis: `SET EX`",
	"redis always first":          "Redis, `appendfsync always`: `SET EX`",
	"session_store mixed":         "session_store",
	"node mixed":                  "hand-written",
	"beego mixed":                 "beego",
	"redis mixed":                 "Redis",
}

// A target is a ratio of two entries at 8 clients: of their rates (at least) or of their WAL (at most).
type target struct {
	text, comparison string
	ours, other      entry
	wanted           float64
	wal              bool
}

var targets = []target{
	{"`session_fetch` / hand-written SELECT", lookup, entry{"session_store", "read"}, entry{"node", "lookup"}, 1, false},
	{"the same, both unprepared", lookupUnprepared, entry{"session_store", "unprepared read"},
		entry{"node", "unprepared lookup"}, 1.3, false},
	{"`session_get(sid, key)` / hand-written SELECT", lookup, entry{"session_store", "get key"}, entry{"node", "lookup"},
		1.1, false},
	{"`session_get(sid, key)` / `SELECT 1`", lookup, entry{"session_store", "get key"},
		entry{"floor", "lookup"}, 0.45, false},
	{"`session_get(sid)` / hand-written SELECT", lookup, entry{"session_store", "get"},
		entry{"node", "lookup"}, 0.95, false},
	{"read request, 20 a minute / hand-written", read20, entry{"session_store", "read"}, entry{"node", "read"}, 3, false},
	{walText, read20, entry{"session_store", "read"}, entry{"node", "read"}, 0.06, true},
	{"read request, 20 a minute / Redis without persistence", read20, entry{"session_store", "read"},
		entry{"redis none", "read"}, 0.7, false},
	{"read request, one a minute / hand-written", read1, entry{"session_store", "read"},
		entry{"node", "read"}, 1.2, false},
	{"writing request (fetch, save) / hand-written", write, entry{"session_store", "write"},
		entry{"node", "write"}, 1.15, false},
	{walText, write, entry{"session_store", "write"}, entry{"node", "write"}, 0.7, true},
	{"writing request (fetch, save) / beego", write, entry{"session_store", "write"}, entry{"beego", "write"}, 1, false},
	{"writing request (fetch, patch) / hand-written", write, entry{"session_store", "write patch"}, entry{"node", "write"},
		1.25, false},
	{walText, write, entry{"session_store", "write patch"}, entry{"node", "write"}, 0.7, true},
	{"writing request (fetch, patch) / beego", write, entry{"session_store", "write patch"}, entry{"beego", "write"},
		1.1, false},
	{"writing request (opaque payload) / hand-written", write, entry{"opaque", "write"},
		entry{"node", "write"}, 1.2, false},
	{"writing request (opaque payload) / beego", write, entry{"opaque", "write"}, entry{"beego", "write"}, 1.1, false},
	{"mixed load, 20 a minute / hand-written", mixed, entry{"session_store", "mixed"}, entry{"node", "mixed"}, 2, false},
	{"login (save) / hand-written", login, entry{"session_store", "login"}, entry{"node", "login"}, 1.05, false},
	{"login (patch) / hand-written", login, entry{"session_store", "login patch"}, entry{"node", "login"}, 1.05, false},
	{"first visit (save) / hand-written", first, entry{"session_store", "first"}, entry{"node", "first"}, 1, false},
}

const walText = "its WAL without full-page images / hand-written"
