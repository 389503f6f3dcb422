package sessionstore

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"sync"
	"time"

	"github.com/beego/beego/v2/server/web/session"
)

// ErrEnded says that a session is not there any more: somebody logged out, or it expired. It is not begun anew.
var ErrEnded = errors.New("session_store: the session has ended")

var (
	errBusy    = errors.New("session_store: others change the session all the time")
	errNotOurs = errors.New("session_store: the request has no session of this provider")
)

// attempts is how often a save yields to others. One of them succeeds each time, so it is more than come at once.
const attempts = 1000

// SessionStore is beego's session.Store.
type SessionStore struct {
	db database

	lock     sync.RWMutex
	sid      string
	saved    content // as it was loaded or last saved
	values   map[any]any
	touched  bool  // values may differ from what is saved
	flushed  bool  // all that is saved was dropped
	ended    bool  // found gone by a save
	lifetime int64 // of a session that is not stored yet
}

var _ session.Store = (*SessionStore)(nil)

// Set sets a value. A nil value, which a gob cannot hold and Get does not tell from none, deletes.
func (st *SessionStore) Set(ctx context.Context, key, value any) error {
	if value == nil {
		return st.Delete(ctx, key)
	}
	st.lock.Lock()
	defer st.lock.Unlock()
	st.values[key] = value
	st.touched = true
	return nil
}

// Get returns a value, nil if there is none.
func (st *SessionStore) Get(_ context.Context, key any) any {
	st.lock.Lock()
	defer st.lock.Unlock()
	value, found := st.values[key]
	if found && changeable(value) {
		st.touched = true
	}
	return value
}

// Delete deletes a value.
func (st *SessionStore) Delete(_ context.Context, key any) error {
	st.lock.Lock()
	defer st.lock.Unlock()
	delete(st.values, key)
	st.touched = true
	return nil
}

// Flush deletes all values.
func (st *SessionStore) Flush(context.Context) error {
	st.lock.Lock()
	defer st.lock.Unlock()
	st.values = make(map[any]any)
	st.touched, st.flushed = true, true
	return nil
}

// SessionID returns the id.
func (st *SessionStore) SessionID(context.Context) string {
	st.lock.RLock()
	defer st.lock.RUnlock()
	return st.sid
}

// SessionRelease saves what has changed; beego calls it at the end of each request. What goes wrong is logged. A
// session that has ended meanwhile stays so, which is nothing to log.
func (st *SessionStore) SessionRelease(ctx context.Context, _ http.ResponseWriter) {
	if err := st.save(ctx); err != nil && !errors.Is(err, ErrEnded) {
		session.SLogger.Println("session_store: the session was not saved:", err)
	}
}

// SessionReleaseIfPresent is SessionRelease for a session that is stored already; it does not begin one.
func (st *SessionStore) SessionReleaseIfPresent(ctx context.Context, w http.ResponseWriter) {
	st.lock.RLock()
	stored := st.saved.version != 0
	st.lock.RUnlock()
	if stored {
		st.SessionRelease(ctx, w)
	}
}

// Save saves now what has changed, for a handler that must know before it answers; then beego has nothing left to save.
func Save(ctx context.Context, store session.Store) error {
	st, err := own(store)
	if err != nil {
		return err
	}
	return st.save(ctx)
}

// Pop takes a value out of the session, at once: of requests at the same time one gets it, the others nil. For
// messages that are to be shown once.
func Pop(ctx context.Context, store session.Store, key any) (any, error) {
	st, err := own(store)
	if err != nil {
		return nil, err
	}
	st.lock.Lock()
	defer st.lock.Unlock()
	if err := st.saveLocked(ctx); err != nil {
		return nil, err
	}
	for range attempts {
		value, found := st.values[key]
		if !found {
			return nil, nil
		}
		rest := maps.Clone(st.values)
		delete(rest, key)
		payload, err := session.EncodeGob(rest)
		if err != nil {
			return nil, err
		}
		saved, err := st.write(ctx, payload)
		if err != nil {
			return nil, err
		}
		if saved {
			st.values = rest
			return value, nil
		}
	}
	return nil, errBusy
}

// SetLifetime has the session end when it was idle for so long, instead of SessionGCMaxLifetime: "remember me". The
// cookie is the application's to set.
func SetLifetime(ctx context.Context, store session.Store, lifetime time.Duration) error {
	st, err := own(store)
	if err != nil {
		return err
	}
	if lifetime < time.Second {
		return fmt.Errorf("session_store: a lifetime of %v", lifetime)
	}
	st.lock.Lock()
	defer st.lock.Unlock()
	if st.saved.version == 0 {
		st.lifetime = int64(lifetime / time.Second)
		return nil
	}
	live, err := st.db.touch(ctx, st.sid, int64(lifetime/time.Second))
	if err == nil && !live {
		err = ErrEnded
	}
	return err
}

func own(store session.Store) (*SessionStore, error) {
	st, ok := store.(*SessionStore)
	if !ok || st == nil {
		return nil, errNotOurs
	}
	return st, nil
}

// load replaces what there is by what is stored.
func (st *SessionStore) load(loaded content) error {
	values, err := loaded.values()
	if err != nil {
		return err
	}
	st.saved, st.values = loaded, values
	st.touched, st.flushed = false, false
	return nil
}

func (st *SessionStore) save(ctx context.Context) error {
	st.lock.Lock()
	defer st.lock.Unlock()
	return st.saveLocked(ctx)
}

// saveLocked keeps what others have saved since the session was loaded: it goes by the version and, where that is not
// the newest any more, makes its own changes once more to what is.
func (st *SessionStore) saveLocked(ctx context.Context) error {
	if !st.touched {
		return nil
	}
	payload, err := session.EncodeGob(st.values)
	if err != nil {
		return err
	}
	changed, err := st.change(payload)
	if err != nil || changed.none() {
		return err
	}
	for range attempts {
		saved, err := st.write(ctx, payload)
		if err != nil || saved {
			return err
		}
		changed.apply(st.values)
		if payload, err = session.EncodeGob(st.values); err != nil {
			return err
		}
	}
	return errBusy
}

// write stores the payload if the session is as it was loaded. If others were faster it loads what they saved, and is
// false; if there is no session any more it is ErrEnded.
func (st *SessionStore) write(ctx context.Context, payload []byte) (bool, error) {
	if st.ended {
		return false, ErrEnded
	}
	version, saved, err := st.db.save(ctx, st.sid, content{payload, st.saved.version}, st.lifetime)
	if err != nil {
		return false, err
	}
	if saved {
		st.saved = content{payload, version}
		st.touched, st.flushed, st.lifetime = false, false, 0
		return true, nil
	}
	latest, found, err := st.db.fetch(ctx, st.sid)
	if err != nil {
		return false, err
	}
	if !found {
		st.ended = true
		return false, ErrEnded
	}
	values, err := latest.values()
	if err != nil {
		return false, err
	}
	st.saved, st.values, st.lifetime = latest, values, 0
	return false, nil
}

// change is what a request did to the values.
type change struct {
	clear  bool
	set    map[any]any
	remove []any
}

// change compares decoded values, the stored with the current ones: the gobs of one map are not always the same bytes,
// and a value may have changed in place, without Set.
func (st *SessionStore) change(payload []byte) (change, error) {
	before, err := st.saved.values()
	if err != nil {
		return change{}, err
	}
	now, err := content{payload: payload}.values()
	if err != nil {
		return change{}, err
	}
	c := change{set: make(map[any]any)}
	for key, value := range now {
		if old, found := before[key]; !found || !reflect.DeepEqual(old, value) {
			c.set[key] = st.values[key]
		}
	}
	for key := range before {
		if _, found := now[key]; !found {
			c.remove = append(c.remove, key)
		}
	}
	if st.flushed && !c.none() {
		c.clear, c.set = true, maps.Clone(st.values)
	}
	return c, nil
}

func (c change) none() bool {
	return len(c.set) == 0 && len(c.remove) == 0
}

func (c change) apply(values map[any]any) {
	if c.clear {
		clear(values)
	}
	for _, key := range c.remove {
		delete(values, key)
	}
	maps.Copy(values, c.set)
}

// changeable tells values that can change in place from those that only Set changes.
func changeable(value any) bool {
	switch kind := reflect.ValueOf(value).Kind(); kind {
	case reflect.String, reflect.Bool:
		return false
	default:
		return kind < reflect.Int || kind > reflect.Complex128
	}
}
