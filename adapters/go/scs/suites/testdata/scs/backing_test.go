package scs_test

import (
	"database/sql"
	"os"

	"github.com/alexedwards/scs/v2/memstore"
	_ "github.com/jackc/pgx/v5/stdlib"

	sessionstore "github.com/session-store/session_store/adapters/go/scs"
)

// Beside scs's own tests it has them run on the database.
func init() {
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		panic(err)
	}
	memstore.Backing = sessionstore.New(db).Store
}
