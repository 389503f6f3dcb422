// Package memory takes the place of fiber's own storage in its tests: a thin fiber.Storage over the store.
package memory

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/alexedwards/scs/v2"
	_ "github.com/jackc/pgx/v5/stdlib"

	sessionstore "github.com/session-store/session_store/adapters/go/scs"
)

var (
	store   = connect()
	started = time.Now().UnixNano()
	made    atomic.Int64
)

func connect() scs.Store {
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(20)
	return sessionstore.New(db).Store
}

// Storage has its own tokens in the database, and remembers their names, which the database does not know.
type Storage struct {
	prefix string
	names  sync.Map
}

// New returns an empty storage.
func New(config ...Config) *Storage {
	configDefault(config...)
	return &Storage{prefix: fmt.Sprintf("fiber-%d-%d-", started, made.Add(1))}
}

// Get returns nil where there is nothing.
func (s *Storage) Get(key string) ([]byte, error) {
	value, found, err := store.Find(s.prefix + key)
	if err != nil || !found || key == "" {
		return nil, err
	}
	return value, nil
}

// Set ignores an empty key or value; without a duration there is no expiration.
func (s *Storage) Set(key string, value []byte, expiration time.Duration) error {
	if key == "" || len(value) == 0 {
		return nil
	}
	if expiration == 0 {
		expiration = 100 * 365 * 24 * time.Hour
	}
	s.names.Store(key, true)
	return store.Commit(s.prefix+key, value, time.Now().Add(expiration))
}

// Delete is no error where there is nothing.
func (s *Storage) Delete(key string) error { return store.Delete(s.prefix + key) }

// Reset deletes all keys.
func (s *Storage) Reset() (err error) {
	s.names.Range(func(name, _ any) bool {
		err = s.Delete(name.(string))
		return err == nil
	})
	return err
}

// GetWithContext is Get unless the context is over; so are the others.
func (s *Storage) GetWithContext(ctx context.Context, key string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return s.Get(key)
}

// SetWithContext is Set.
func (s *Storage) SetWithContext(ctx context.Context, key string, value []byte, expiration time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Set(key, value, expiration)
}

// DeleteWithContext is Delete.
func (s *Storage) DeleteWithContext(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Delete(key)
}

// ResetWithContext is Reset.
func (s *Storage) ResetWithContext(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.Reset()
}

// Keys returns those that are live.
func (s *Storage) Keys() (keys [][]byte, err error) {
	s.names.Range(func(name, _ any) bool {
		var value []byte
		if value, err = s.Get(name.(string)); value != nil {
			keys = append(keys, []byte(name.(string)))
		}
		return err == nil
	})
	return keys, err
}

// Close leaves the connections to the other storages.
func (s *Storage) Close() error { return nil }

// Conn is what it stands on.
func (s *Storage) Conn() scs.Store { return store }
