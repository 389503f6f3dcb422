// The requests of ../load on beego, with the session provider that STORE names.
package main

import (
	"database/sql"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"

	"github.com/beego/beego/v2/server/web"
	_ "github.com/beego/beego/v2/server/web/session/postgres"
	_ "github.com/jackc/pgx/v5/stdlib"

	sessionstore "github.com/session-store/session_store/adapters/go/beego"
)

var ours = os.Getenv("STORE") == "session_store"

type controller struct{ web.Controller }

func (c *controller) Untouched() {
	c.say("none")
}

func (c *controller) Read() {
	c.answer(nil)
}

func (c *controller) Write() {
	c.answer(c.SetSession("seen", c.GetString("seen")))
}

func (c *controller) First() {
	seen := c.GetString("seen")
	for i := range 10 {
		check(c.SetSession(fmt.Sprintf("key%d", i), strings.Repeat(fmt.Sprintf("value %d of %s ", i, seen), 3)))
	}
	c.answer(c.SetSession("seen", seen))
}

func (c *controller) Login() {
	user := c.GetString("user")
	var err error
	if ours {
		err = sessionstore.Login(c.Ctx, user, map[string]any{"browser": c.Ctx.Input.UserAgent()})
	} else {
		c.StartSession() // else beego would not release it, and leave its connection open
		err = c.SessionRegenerateID()
	}
	if err == nil {
		err = c.SetSession("user", user)
	}
	c.answer(err)
}

func (c *controller) Logout() {
	ended := c.StartSession()
	err := c.DestroySession()
	if !ours { // beego does not release it, and would leave its connection open; its UPDATE finds no row
		ended.SessionRelease(c.Ctx.Request.Context(), nil)
	}
	if err != nil {
		c.CustomAbort(500, err.Error())
	}
	c.say("none")
}

// answer says what the session holds now, so that the caller sees that the store has done its work.
func (c *controller) answer(err error) {
	if err != nil {
		c.CustomAbort(500, err.Error())
	}
	seen, found := c.GetSession("seen").(string)
	if !found {
		seen = "none"
	}
	c.say(seen)
}

func (c *controller) say(text string) {
	check(c.Ctx.Output.Body([]byte(text)))
}

func check(err error) {
	if err != nil {
		log.Panic(err)
	}
}

func main() {
	port, err := strconv.Atoi(os.Getenv("PORT"))
	check(err)
	web.BConfig.RunMode = web.PROD
	web.BConfig.WebConfig.AutoRender = false
	web.BConfig.Listen.HTTPAddr, web.BConfig.Listen.HTTPPort = "127.0.0.1", port
	session := &web.BConfig.WebConfig.Session
	session.SessionOn = true
	session.SessionProvider = os.Getenv("STORE")
	session.SessionProviderConfig = "sslmode=disable" // the rest is in PGHOST, PGUSER and so on
	session.SessionGCMaxLifetime, session.SessionCookieLifeTime = 3600, 3600
	if !ours {
		createTable()
	}
	for path, method := range map[string]string{
		"/untouched": "get:Untouched", "/read": "get:Read", "/write": "post:Write", "/first": "post:First",
		"/login": "post:Login", "/logout": "post:Logout",
	} {
		web.Router(path, &controller{}, method)
	}
	web.Run()
}

// createTable makes what beego's provider says in its documentation that it needs.
func createTable() {
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	check(err)
	defer db.Close()
	_, err = db.Exec(`CREATE TABLE session (session_key char(64) NOT NULL, session_data bytea,
		session_expiry timestamp NOT NULL, CONSTRAINT session_key PRIMARY KEY (session_key))`)
	check(err)
}
