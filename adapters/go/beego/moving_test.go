package sessionstore

import (
	"fmt"
	"net/url"
	"os"
	"regexp"
	"testing"

	_ "github.com/beego/beego/v2/server/web/session/postgres"
	"github.com/jackc/pgx/v5"
)

func TestNobodyIsLoggedOutByMovingFromBeegosProvider(t *testing.T) {
	application, owner := newDatabase(t)
	run(t, owner, `CREATE TABLE session (session_key char(64) NOT NULL, session_data bytea, session_expiry timestamp NOT NULL,
		CONSTRAINT session_key PRIMARY KEY (session_key)); GRANT ALL ON session TO app`)

	before := serveWith(t, "postgresql", application)
	browsers := make([]*browser, 20)
	for i := range browsers {
		browsers[i] = before.browser(t)
		browsers[i].post(fmt.Sprintf("/set?key=user&value=user%d", i))
		browsers[i].post("/count?key=visits")
	}
	run(t, owner, `UPDATE session SET session_expiry = localtimestamp - interval '2 hours' WHERE session_key = '`+browsers[19].sid()+`'`)

	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```sql\n(.*?)```").FindSubmatch(readme)
	if block == nil {
		t.Fatal("the README has no SQL")
	}
	run(t, owner, string(block[1]))

	after := serveWith(t, "session_store", application)
	for i, b := range browsers[:19] {
		b.server = after
		sid := b.sid()
		b.expect("user", fmt.Sprintf("user%d", i))
		b.post("/count?key=visits")
		b.expect("counts", map[string]int{"visits": 2})
		if b.sid() != sid {
			t.Errorf("browser %d has another cookie", i)
		}
	}
	browsers[19].server = after
	browsers[19].expect("user", nil)
}

// newDatabase returns the addresses of a database without the extension, for the application and its owner.
func newDatabase(t *testing.T) (string, string) {
	t.Helper()
	name := "moving_" + fmt.Sprint(os.Getpid())
	run(t, os.Getenv("OWNER_URL"), "CREATE DATABASE "+name)
	t.Cleanup(func() { run(t, os.Getenv("OWNER_URL"), "DROP DATABASE "+name+" WITH (FORCE)") })
	addresses := []string{os.Getenv("DATABASE_URL"), os.Getenv("OWNER_URL")}
	for i, text := range addresses {
		address, err := url.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		address.Path, address.RawQuery = "/"+name, "sslmode=disable"
		addresses[i] = address.String()
	}
	return addresses[0], addresses[1]
}

// run runs a script, as psql does.
func run(t *testing.T, address, script string) {
	t.Helper()
	connection, err := pgx.Connect(background, address)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close(background)
	if _, err := connection.Exec(background, script, pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatalf("%s\n%v", script, err)
	}
}
