// Package memstore takes the place of scs's own in its tests: what its managers keep goes to Backing.
package memstore

import (
	"fmt"
	"sync/atomic"
	"time"
)

// Backing is set by the tests before they begin.
var Backing interface {
	Find(token string) ([]byte, bool, error)
	Commit(token string, b []byte, expiry time.Time) error
	Delete(token string) error
}

var (
	started = time.Now().UnixNano()
	made    atomic.Int64
)

// MemStore is what scs.New uses. Each has tokens of its own.
type MemStore struct{ prefix string }

// New returns an empty store.
func New() *MemStore { return &MemStore{fmt.Sprintf("scs-%d-%d-", started, made.Add(1))} }

// Find is Backing's.
func (m *MemStore) Find(token string) ([]byte, bool, error) { return Backing.Find(m.prefix + token) }

// Commit is Backing's.
func (m *MemStore) Commit(token string, b []byte, expiry time.Time) error {
	return Backing.Commit(m.prefix+token, b, expiry)
}

// Delete is Backing's.
func (m *MemStore) Delete(token string) error { return Backing.Delete(m.prefix + token) }
