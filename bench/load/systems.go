package main

import (
	"fmt"
	"maps"
	"time"

	"github.com/jackc/pgx/v5"
)

const ttl = 24 * time.Hour

// What one request does; it returns the id under which the session goes on.
type request func(w *worker, sid string) (string, error)

// system is one contestant: its requests by kind and where its sessions are.
type system struct {
	name     string
	requests map[string]request
	sids     []string
	cursor   int   // the next cold session
	slides   bool  // reads write only when a session is due
	warmed   int64 // the minute in which the hot sessions were last read
}

// redisSockets are the Redis servers by system: the log synced each second, no log at all, synced for each command.
var redisSockets = map[string]string{
	"redis": "redis.sock", "redis none": "redis-none.sock", "redis always": "redis-always.sock",
}

// fewer has the systems that hold no more sessions than five working sets.
var fewer = []string{"opaque", "redis none", "redis always"}

// systems makes all contestants.
func systems() map[string]*system {
	all := map[string]map[string]request{
		"floor": {"lookup": func(w *worker, sid string) (string, error) {
			var one int32
			return sid, w.query(&one, "one")
		}},
		"node":          nodeRequests(),
		"beego":         beegoRequests(),
		"session_store": ownRequests(),
		"opaque":        opaqueRequests(),
	}
	for name := range redisSockets {
		all[name] = redisRequests(name)
	}
	made := map[string]*system{}
	for name, requests := range all {
		mix(requests)
		addUnprepared(requests)
		made[name] = &system{name: name, requests: requests, slides: name == "session_store" || name == "opaque"}
	}
	return made
}

func epoch(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

func firstError(errs ...func() error) error {
	for _, f := range errs {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

func nodeRequests() map[string]request {
	get := func(w *worker, sid string) error { return w.query(&w.data, "node_get", sid, epoch(time.Now())) }
	set := func(w *worker, sid string, data string) error {
		return w.exec("node_set", data, epoch(time.Now().Add(ttl)), sid)
	}
	return map[string]request{
		"lookup": func(w *worker, sid string) (string, error) { return sid, get(w, sid) },
		"read": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return get(w, sid) },
				func() error { return w.exec("node_touch", epoch(time.Now().Add(ttl)), sid) })
		},
		"write": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return get(w, sid) },
				func() error { return set(w, sid, string(w.changed())) })
		},
		"login": func(w *worker, sid string) (string, error) {
			fresh := newID()
			return fresh, firstError(func() error { return get(w, sid) },
				func() error { return w.exec("node_destroy", sid) },
				func() error { return set(w, fresh, string(w.changed())) })
		},
		"first": func(w *worker, sid string) (string, error) {
			return sid, set(w, newID(), "{}")
		},
	}
}

func beegoRequests() map[string]request {
	read := func(w *worker, sid string) error { return w.query(&w.data, "beego_read", sid) }
	save := func(w *worker, sid string, data []byte) error {
		return w.exec("beego_save", data, time.Now(), sid)
	}
	return map[string]request{
		"lookup": func(w *worker, sid string) (string, error) { return sid, read(w, sid) },
		"read": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return read(w, sid) },
				func() error { return save(w, sid, w.data) })
		},
		"write": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return read(w, sid) },
				func() error { return save(w, sid, w.changed()) })
		},
		"login": func(w *worker, sid string) (string, error) {
			fresh := newID()
			return fresh, firstError(func() error { return read(w, sid) },
				func() error { return w.exec("beego_rename", fresh, sid) },
				func() error { return save(w, fresh, w.changed()) })
		},
		"first": func(w *worker, sid string) (string, error) {
			fresh := newID()
			return sid, firstError(
				func() error {
					if err := read(w, fresh); err != pgx.ErrNoRows {
						return fmt.Errorf("a fresh id exists: %w", err)
					}
					return w.exec("beego_insert", fresh, []byte("{}"), time.Now())
				},
				func() error { return save(w, fresh, []byte("{}")) })
		},
	}
}

func redisRequests(name string) map[string]request {
	get := func(w *worker, sid string) (err error) {
		w.trips++
		w.data, err = w.redis[name].Get(ctx, "sess:"+sid).Bytes()
		return err
	}
	set := func(w *worker, sid string, data []byte) error {
		w.trips++
		return w.redis[name].Set(ctx, "sess:"+sid, data, ttl).Err()
	}
	return map[string]request{
		"lookup": func(w *worker, sid string) (string, error) { return sid, get(w, sid) },
		"read": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return get(w, sid) },
				func() error { w.trips++; return w.redis[name].Expire(ctx, "sess:"+sid, ttl).Err() })
		},
		"write": func(w *worker, sid string) (string, error) {
			return sid, firstError(func() error { return get(w, sid) },
				func() error { return set(w, sid, w.changed()) })
		},
		"login": func(w *worker, sid string) (string, error) {
			fresh := newID()
			return fresh, firstError(func() error { return get(w, sid) },
				func() error { w.trips++; return w.redis[name].Del(ctx, "sess:"+sid).Err() },
				func() error { return set(w, fresh, w.changed()) })
		},
		"first": func(w *worker, sid string) (string, error) {
			return sid, set(w, newID(), []byte("{}"))
		},
	}
}

// fetch is session_fetch, or another call that returns the content and the version.
func (w *worker) fetch(statement, sid string, version *int64) error {
	return w.row(statement, sid).Scan(&w.data, version)
}

// ownWrite is a request that reads and then saves; the version it saves at is that of what it read.
func ownWrite(read string, save func(w *worker, sid string, version *int64) error) request {
	return func(w *worker, sid string) (string, error) {
		var version int64
		return sid, firstError(func() error { return w.fetch(read, sid, &version) },
			func() error { return save(w, sid, &version) })
	}
}

// ownLogin reads, and renews the id and saves in one statement.
func ownLogin(statement string, args func(w *worker, version int64) []any) request {
	return func(w *worker, sid string) (fresh string, err error) {
		var version int64
		err = firstError(func() error { return w.fetch("fetch", sid, &version) },
			func() error {
				return w.row(statement, append([]any{sid}, args(w, version)...)...).Scan(&fresh, &version)
			})
		return fresh, err
	}
}

// ownLoginInSteps reads, renews the id and then saves.
func ownLoginInSteps(save func(w *worker, sid string, version *int64) error) request {
	return func(w *worker, sid string) (fresh string, err error) {
		var version int64
		err = firstError(func() error { return w.fetch("fetch", sid, &version) },
			func() error { return w.query(&fresh, "regenerate", sid) },
			func() error { return save(w, fresh, &version) })
		return fresh, err
	}
}

// A version that is NULL would be an error: of a save that did not happen.
func ownRequests() map[string]request {
	save := func(w *worker, sid string, version *int64) error {
		return w.query(version, "save", sid, string(w.changed()), *version)
	}
	release := func(w *worker, sid string, version *int64) error {
		return w.query(version, "release", sid, string(w.changed()), *version)
	}
	patch := func(w *worker, sid string, version *int64) error {
		return w.query(version, "patch", sid, `{"seen":`+w.seen()+`}`)
	}
	set := func(w *worker, sid string, version *int64) error {
		return w.query(version, "set_key", sid, w.seen())
	}
	return map[string]request{
		"get":     func(w *worker, sid string) (string, error) { return sid, w.query(&w.data, "get", sid) },
		"get key": func(w *worker, sid string) (string, error) { return sid, w.query(&w.data, "get_key", sid) },
		"read": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, w.fetch("fetch", sid, &version)
		},
		"read jsonb": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, w.fetch("load", sid, &version)
		},
		"write":         ownWrite("fetch", save),
		"write patch":   ownWrite("fetch", patch),
		"write release": ownWrite("fetch", release),
		"write set":     ownWrite("fetch", set),
		"set only": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, set(w, sid, &version)
		},
		"login": ownLogin("login_save", func(w *worker, version int64) []any {
			return []any{string(w.changed()), version}
		}),
		"login patch": ownLogin("login_patch", func(w *worker, _ int64) []any {
			return []any{`{"seen":` + w.seen() + `}`}
		}),
		"login steps": ownLoginInSteps(patch),
		"first": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, w.query(&version, "save", newID(), "{}", 0)
		},
		"first start": func(w *worker, sid string) (string, error) {
			var fresh string
			return sid, w.query(&fresh, "start")
		},
	}
}

// opaqueRequests are for the same documents as payloads, as a client with a serializer of its own stores them.
func opaqueRequests() map[string]request {
	return map[string]request{
		"read": func(w *worker, sid string) (string, error) {
			var version int64
			return sid, w.fetch("fetch_raw", sid, &version)
		},
		"write": ownWrite("fetch_raw", func(w *worker, sid string, version *int64) error {
			return w.query(version, "save_raw", sid, w.changed(), *version)
		}),
	}
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

// addUnprepared adds every request as a client makes it that prepares no statement.
func addUnprepared(kinds map[string]request) {
	for kind, perform := range maps.Clone(kinds) {
		kinds["unprepared "+kind] = func(w *worker, sid string) (string, error) {
			w.unprepared = true
			defer func() { w.unprepared = false }()
			return perform(w, sid)
		}
	}
}
