// Package redis is where beego's own tests of its Redis provider run against this provider, in the same way.
package redis

import (
	"context"
	"os"
	"time"

	"github.com/beego/beego/v2/server/web/session"
	sessionstore "github.com/session-store/session_store/adapters/go/beego"
	_ "github.com/stretchr/testify/assert" // which they use
)

func init() {
	session.Register("redis", &Provider{})
}

// Provider is this provider under the other's name; the fields are for a test of Redis's settings, which is not run.
type Provider struct {
	sessionstore.Provider
	SavePath    string
	idleTimeout time.Duration
	maxlifetime int64
}

func (p *Provider) SessionInit(ctx context.Context, maxlifetime int64, _ string) error {
	return p.Provider.SessionInit(ctx, maxlifetime, os.Getenv("DATABASE_URL")+"?sslmode=disable")
}
