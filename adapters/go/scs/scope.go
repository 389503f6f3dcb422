package sessionstore

import (
	"context"
	"maps"
	"reflect"
	"sync"
	"time"
)

// scope is what a request knows of its session. It is in the request's context: scs's own place, its values, is cleared,
// merged and listed, and a Codec cannot tell which request it serves.
type scope struct {
	store *store

	mu       sync.Mutex
	loaded   *content // what scs's values were when they were last loaded or saved; nil without a session
	replayed bool     // the database has more than that, of others
	renewing bool     // the session moves to the token that it is saved under
	binding  *binding // whose it becomes then
}

// binding is the principal of a login; without one the session becomes nobody's.
type binding struct {
	principal  string
	attributes any // JSON or NULL
}

// claim says that a save is to remove a key and wants to know whether another request was faster.
type claim struct {
	key  string
	lost bool
}

type (
	scopeKey     struct{ store *store }
	claimKey     struct{}
	operationKey struct{}
	operation    int
)

// What scs is about when it asks the store; the others speak for themselves.
const (
	renewal operation = iota + 1
	merge
)

func operationOf(ctx context.Context) operation {
	op, _ := ctx.Value(operationKey{}).(operation)
	return op
}

func (s *store) scope(ctx context.Context) *scope {
	scope, _ := ctx.Value(scopeKey{s}).(*scope)
	return scope
}

func (s *scope) found(c *content) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loaded = c
}

// delete keeps a session that is renewed, for commit to move it.
func (s *scope) delete(ctx context.Context, token string, renewal bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if renewal {
		s.renewing = s.loaded != nil
		return nil
	}
	return s.end(ctx, token)
}

// end ends the session, which may be about to move to the token.
func (s *scope) end(ctx context.Context, token string) error {
	if s.renewing {
		token = s.loaded.id
	}
	err := s.store.destroy(ctx, token)
	if err == nil && (s.loaded == nil || s.loaded.id == token) {
		s.forget()
	}
	return err
}

func (s *scope) forget() { s.loaded, s.replayed, s.renewing, s.binding = nil, false, false, nil }

func (s *scope) commit(ctx context.Context, next *content, expiry time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Until(expiry) <= 0 {
		return s.end(ctx, next.id)
	}
	if s.loaded == nil || s.loaded.id != next.id && !s.renewing {
		return s.create(ctx, next, expiry)
	}
	return s.update(ctx, next)
}

func (s *scope) create(ctx context.Context, next *content, expiry time.Time) error {
	deadline := expiry
	if s.store.manager.IdleTimeout > 0 { // then the expiry may be the idle one
		mine, err := s.decode(next)
		if err != nil {
			return err
		}
		deadline = mine.deadline
	}
	session, more := asItIs, []any(nil)
	if s.binding != nil && s.binding.principal != "" {
		session, more = begunBound, []any{s.binding.principal, s.binding.attributes}
	}
	version, err := s.store.save(ctx, session, next, s.store.life(deadline), more...)
	if err == nil && !version.Valid {
		err = errTaken
	}
	if err == nil {
		s.saved(next, version.Int64)
	}
	return err
}

func (s *scope) update(ctx context.Context, next *content) error {
	base, err := s.decode(s.loaded)
	if err != nil {
		return err
	}
	mine, err := s.decode(next)
	if err != nil {
		return err
	}
	same := !s.renewing && s.loaded.lifetime == s.store.lifetime()
	if same && reflect.DeepEqual(base.values, mine.values) && !moved(base.deadline, mine.deadline) {
		return s.unchanged(ctx)
	}
	return s.write(ctx, next, base, mine)
}

// quick is how long a request may take of which a login in a parallel request is not to be expected.
const quick = 100 * time.Millisecond

// unchanged writes nothing. But scs sends the cookie again when an idle timeout is set: not if that would overwrite
// another's, which a login in a parallel request has sent meanwhile. Quick requests are not worth the question.
func (s *scope) unchanged(ctx context.Context) error {
	if time.Since(s.loaded.at) < quick {
		return nil
	}
	exists, err := s.store.exists(ctx, s.loaded.id)
	if err == nil && !exists {
		err = ErrEnded
	}
	return err
}

func (s *scope) write(ctx context.Context, next *content, base, mine values) error {
	session, more := asItIs, []any(nil)
	if s.renewing {
		session, more = renewed, []any{s.loaded.id}
		if s.binding != nil {
			session = unbound
		}
		if s.binding != nil && s.binding.principal != "" {
			session, more = bound, append(more, s.binding.principal, s.binding.attributes)
		}
	}
	next.version = s.loaded.version
	if s.replayed {
		next.version = -1 // no session has it
	}
	if !s.replayed || s.renewing {
		version, err := s.store.save(ctx, session, next, s.life(base, mine), more...)
		if err != nil {
			return err
		}
		if version.Valid {
			s.saved(next, version.Int64)
			return nil
		}
	}
	version, err := s.replay(ctx, next.id, base, mine)
	if err == nil {
		s.saved(next, version)
		s.replayed = true
	}
	return err
}

// life leaves the deadline as it is where the request has: reckoned anew it would differ by an instant each time, and the
// database would have to change its indexes.
func (s *scope) life(base, mine values) life {
	l := s.store.life(mine.deadline)
	if !s.renewing && mine.deadline.Equal(base.deadline) && s.loaded.lifetime == l.lifetime {
		l.remaining = nil
	}
	return l
}

// replay makes the request's changes to what others have saved meanwhile, until nobody comes in between.
func (s *scope) replay(ctx context.Context, token string, base, mine values) (int64, error) {
	claim, _ := ctx.Value(claimKey{}).(*claim)
	for {
		c, err := s.store.load(ctx, token, false)
		if err != nil {
			return 0, err
		}
		if c == nil {
			return 0, ErrEnded
		}
		theirs, err := s.decode(c)
		if err != nil {
			return 0, err
		}
		if claim != nil && !reflect.DeepEqual(theirs.values[claim.key], base.values[claim.key]) {
			claim.lost = true
			base.values = maps.Clone(base.values)
			delete(base.values, claim.key) // what is there now is another's, who will pop it
		}
		if !mine.deadline.Equal(base.deadline) {
			theirs.deadline = mine.deadline
		}
		apply(theirs.values, base.values, mine.values)
		if c.payload, err = s.store.codec().Encode(theirs.deadline, theirs.values); err != nil {
			return 0, err
		}
		version, err := s.store.save(ctx, asItIs, c, s.store.life(theirs.deadline))
		if err != nil || version.Valid {
			return version.Int64, err
		}
	}
}

func (s *scope) saved(c *content, version int64) {
	s.forget()
	s.loaded = &content{id: c.id, payload: c.payload, version: version, lifetime: s.store.lifetime(), at: time.Now()}
	if c.values != nil {
		s.loaded.values = snapshot(c.values.deadline, c.values.values)
	}
}

// stored tells whether the value came from the database under this key.
func (s *scope) stored(key string, value any) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.loaded == nil {
		return false
	}
	loaded, err := s.decode(s.loaded)
	return err == nil && reflect.DeepEqual(loaded.values[key], value)
}

// decode is how contents are compared: gob writes one map in many ways.
func (s *scope) decode(c *content) (v values, err error) {
	if c.values != nil {
		return *c.values, nil
	}
	v.deadline, v.values, err = s.store.codec().Decode(c.payload)
	return v, err
}

// apply does to theirs what turned base into mine.
func apply(theirs, base, mine map[string]any) {
	for key, value := range mine {
		if old, ok := base[key]; !ok || !reflect.DeepEqual(old, value) {
			theirs[key] = value
		}
	}
	for key := range base {
		if _, ok := mine[key]; !ok {
			delete(theirs, key)
		}
	}
}

// moved tells whether a deadline is worth a write: always if it comes earlier, else if it is more than a step of the
// database's grid later, for applications that set it on every request.
func moved(before, after time.Time) bool {
	step := min(time.Minute, time.Until(after)/16)
	return after.Before(before) || after.Sub(before) > step
}
