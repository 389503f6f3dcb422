package sessionstore

import (
	"maps"
	"sync"
	"time"

	"github.com/alexedwards/scs/v2"
)

// codec is scs's GobCodec. It remembers what it has just decoded of what the store found, and what it has just encoded
// for the store to save, so that the store need not decode them again to compare. Nothing depends on it: with another
// codec, or for values that may change in place, the store decodes.
type codec struct {
	scs.GobCodec

	mu      sync.Mutex
	found   map[*byte]*content // by their payloads, until they are decoded
	encoded map[*byte]values   // until they are saved
}

// More are none of scs's, which asks the store right before it decodes and after it has encoded.
const remembered = 1000

type values struct {
	deadline time.Time
	values   map[string]any
}

func newCodec() *codec {
	return &codec{found: map[*byte]*content{}, encoded: map[*byte]values{}}
}

func (c *codec) Encode(deadline time.Time, v map[string]any) ([]byte, error) {
	payload, err := c.GobCodec.Encode(deadline, v)
	if err == nil && plain(v) {
		remember(c, c.encoded, payload, values{deadline, v})
	}
	return payload, err
}

func (c *codec) Decode(payload []byte) (time.Time, map[string]any, error) {
	deadline, v, err := c.GobCodec.Decode(payload)
	if content, ok := recall(c, c.found, payload); ok && err == nil {
		content.values = snapshot(deadline, v)
	}
	return deadline, v, err
}

func remember[T any](c *codec, in map[*byte]T, payload []byte, value T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(in) >= remembered {
		clear(in)
	}
	in[&payload[0]] = value
}

func recall[T any](c *codec, in map[*byte]T, payload []byte) (value T, ok bool) {
	if len(payload) == 0 {
		return value, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	value, ok = in[&payload[0]]
	delete(in, &payload[0])
	return value, ok
}

// snapshot returns values that stay as they are, or nil if they might not.
func snapshot(deadline time.Time, v map[string]any) *values {
	if !plain(v) {
		return nil
	}
	return &values{deadline, maps.Clone(v)}
}

// plain tells whether no value can change in place, or is another after gob has had it.
func plain(v map[string]any) bool {
	for _, value := range v {
		switch value.(type) {
		case string, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64, time.Time:
		default:
			return false
		}
	}
	return true
}
