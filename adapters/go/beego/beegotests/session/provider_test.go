// Package session is where beego's own tests of its file and memory providers run against this provider. They are
// copied here as they are, from beego's module; see ../../test.sh.
package session

import (
	"context"
	"database/sql"
	"os"

	"github.com/beego/beego/v2/server/web/session"
	_ "github.com/jackc/pgx/v5/stdlib"
	sessionstore "github.com/session-store/session_store/adapters/go/beego"
)

type (
	Store         = session.Store
	ManagerConfig = session.ManagerConfig
)

var (
	NewManager = session.NewManager
	filepder   = &FileProvider{}
	db         *sql.DB
)

func init() {
	var err error
	if db, err = sql.Open("pgx", os.Getenv("DATABASE_URL")); err != nil {
		panic(err)
	}
	session.Register("memory", sessionstore.New(db))
}

// FileProvider is this provider with what the tests know of the file provider: its two fields, that it begins with no
// sessions, since the tests remove its directory, and that SessionRead stores a session which has no values yet.
type FileProvider struct {
	*sessionstore.Provider
	maxlifetime int64
	savePath    string
}

func (fp *FileProvider) SessionInit(ctx context.Context, maxlifetime int64, savePath string) error {
	fp.Provider, fp.maxlifetime, fp.savePath = sessionstore.New(db), maxlifetime, savePath
	if _, err := db.Exec(`SELECT session_clear()`); err != nil {
		return err
	}
	return fp.Provider.SessionInit(ctx, maxlifetime, savePath)
}

func (fp *FileProvider) SessionRead(ctx context.Context, sid string) (Store, error) {
	if fp.Provider == nil { // one test reads first
		if err := fp.SessionInit(ctx, 180, ""); err != nil {
			return nil, err
		}
	}
	if st, err := fp.Provider.SessionRead(ctx, sid); err != nil {
		return st, err
	}
	_, err := db.Exec(`SELECT session_release_raw($1, '', 0, make_interval(secs => $2))`, sid, fp.maxlifetime)
	if err != nil {
		return nil, err
	}
	return fp.Provider.SessionRead(ctx, sid)
}
