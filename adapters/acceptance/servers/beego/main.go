// A beego application with the requests of ../../README.md. beego has no option for rolling cookies, so the
// application sends them again itself.
package main

import (
	"database/sql"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/beego/beego/v2/server/web"
	"github.com/beego/beego/v2/server/web/session"
	_ "github.com/jackc/pgx/v5/stdlib"
	sessionstore "github.com/session-store/session_store/adapters/go/beego"
)

const month = 30 * 24 * time.Hour

// database is the application's own.
var database *sql.DB

type object map[string]any

var rolling = os.Getenv("ROLLING") == "yes"

// value is a key of what /set sets, apart from the application's own.
const value = "value "

type controller struct{ web.Controller }

func (c *controller) Untouched() {
	c.answer(object{}, nil)
}

// Session asks the database, for beego's stores do not list their keys.
func (c *controller) Session() {
	var payload []byte
	err := database.QueryRow(`SELECT payload FROM session_fetch($1, slide => false)`, c.sid()).Scan(&payload)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		c.answer(nil, err)
		return
	}
	data := object{}
	if len(payload) > 0 {
		values, err := session.DecodeGob(payload)
		if err != nil {
			c.answer(nil, err)
			return
		}
		for key := range values {
			if name, found := strings.CutPrefix(key.(string), value); found {
				data[name] = values[key]
			}
		}
	}
	c.answer(object{"data": data}, nil)
}

func (c *controller) Set() {
	c.wait()
	c.answer(object{}, c.SetSession(value+c.GetString("key"), c.GetString("value")))
}

func (c *controller) Unset() {
	c.wait()
	c.answer(object{}, c.DelSession(value+c.GetString("key")))
}

func (c *controller) Login() {
	c.wait()
	c.forgetCookie()
	user := c.GetString("user")
	err := sessionstore.Login(c.Ctx, user, object{"browser": c.Ctx.Input.UserAgent()})
	if err == nil {
		err = c.SetSession("user", user)
	}
	if err == nil && c.GetString("remember") == "yes" {
		err = c.remember()
	}
	c.answer(object{}, err)
}

func (c *controller) remember() error {
	if err := c.SetSession("remember", true); err != nil {
		return err
	}
	c.setCookie()
	return sessionstore.SetLifetime(c.Ctx.Request.Context(), c.StartSession(), month)
}

// setCookie sends the session's cookie again, with the age that it has.
func (c *controller) setCookie() {
	config := web.BConfig.WebConfig.Session
	age := config.SessionCookieLifeTime
	if c.GetSession("remember") != nil {
		age = int(month.Seconds())
	}
	c.forgetCookie()
	http.SetCookie(c.Ctx.ResponseWriter, &http.Cookie{
		Name: config.SessionName, Value: c.sid(), Path: "/", HttpOnly: true, MaxAge: age,
	})
}

// forgetCookie is for an answer that has another one: beego would send both.
func (c *controller) forgetCookie() {
	c.Ctx.ResponseWriter.Header().Del("Set-Cookie")
}

func (c *controller) Whoami() {
	c.answer(object{"user": c.GetSession("user")}, nil)
}

func (c *controller) Logout() {
	c.forgetCookie()
	err := c.DestroySession()
	c.CruSession = nil
	c.answer(object{}, err)
}

func (c *controller) SetFlash() {
	c.answer(object{}, c.SetSession("flash", c.GetString("message")))
}

func (c *controller) Flash() {
	message, err := sessionstore.Pop(c.Ctx.Request.Context(), c.StartSession(), "flash")
	c.answer(object{"message": message}, err)
}

func (c *controller) Devices() {
	devices, err := sessionstore.Devices(c.Ctx.Request.Context(), c.StartSession())
	if devices == nil {
		devices = []sessionstore.Device{}
	}
	c.answer(object{"devices": devices}, err)
}

func (c *controller) Revoke() {
	revoked, err := sessionstore.Revoke(c.Ctx.Request.Context(), c.StartSession(), c.GetString("handle"))
	c.answer(object{"revoked": revoked}, err)
}

func (c *controller) RevokeOthers() {
	revoked, err := sessionstore.RevokeOthers(c.Ctx.Request.Context(), c.StartSession())
	c.answer(object{"revoked": revoked}, err)
}

func (c *controller) sid() string {
	return c.StartSession().SessionID(c.Ctx.Request.Context())
}

func (c *controller) wait() {
	milliseconds, _ := c.GetInt("wait")
	time.Sleep(time.Duration(milliseconds) * time.Millisecond)
}

// answer saves first: beego would do it when the answer is written, and have no way to say that it failed.
func (c *controller) answer(what any, err error) {
	if err == nil && c.CruSession != nil {
		err = sessionstore.Save(c.Ctx.Request.Context(), c.CruSession)
		if err == nil && rolling {
			c.setCookie()
		}
		if errors.Is(err, sessionstore.ErrEnded) { // a logout that came meanwhile wins, and is no fault
			err = nil
		}
	}
	if err != nil {
		c.Ctx.Output.SetStatus(http.StatusInternalServerError)
		what = object{"error": err.Error()}
	}
	c.Data["json"] = what
	_ = c.ServeJSON()
}

// failure is for the 503 that beego answers when a session cannot be loaded.
type failure struct{ web.Controller }

func (c *failure) Error503() {
	c.Ctx.Output.SetStatus(http.StatusInternalServerError)
	c.Data["json"] = object{"error": "no session"}
	_ = c.ServeJSON()
}

func main() {
	var err error
	if database, err = sql.Open("pgx", "sslmode=disable default_query_exec_mode=cache_describe"); err != nil {
		panic(err)
	}
	database.SetMaxIdleConns(-1) // it looks seldom: none waits until the server is restarted
	for path, methods := range map[string]string{
		"/untouched": "get:Untouched", "/session": "get:Session", "/set": "post:Set", "/unset": "post:Unset",
		"/login": "post:Login", "/whoami": "get:Whoami", "/logout": "post:Logout",
		"/flash": "get:Flash;post:SetFlash", "/devices": "get:Devices", "/revoke": "post:Revoke",
		"/revoke_others": "post:RevokeOthers",
	} {
		web.Router(path, &controller{}, methods)
	}
	web.ErrorController(&failure{})
	web.Run()
}
