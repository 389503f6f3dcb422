// The load generator of bench/adapters.sh: browsers that keep their connection and their cookie. It reads kinds of request
// from its input and answers with figures, so that the sessions of one measurement are there in the next.
//
// A session is used by one browser only, which knows what it holds: an answer that says something else ends the program.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"
)

var (
	address  = flag.String("address", "", "the server's host and port")
	cookie   = flag.String("cookie", "", "the name of its cookie")
	clients  = flag.Int("clients", 8, "browsers at once")
	sessions = flag.Int("sessions", 100, "sessions of each, half of them logged in, before anything is measured")
)

// session is what a browser knows of one of its sessions.
type session struct {
	cookie string
	seen   string // the key that writes change
}

// browser has one connection, and the sessions of many visitors.
type browser struct {
	random         *rand.Rand
	connection     net.Conn
	reader         *bufio.Reader
	visitors       []*session // nobody's
	users          []*session // logged in
	ended          []*session // by a logout, or by a login that gave them another id
	number, writes int
	times          []time.Duration
}

// kinds of request. Each is false where there is no session left to make it with.
var kinds = map[string]func(*browser) bool{
	"untouched": (*browser).untouched,
	"first":     (*browser).first,
	"login":     (*browser).login,
	"logout":    (*browser).logout,
	"read":      (*browser).read,
	"write":     (*browser).write,
	"mixed":     (*browser).mixed,
}

func main() {
	flag.Parse()
	log.SetFlags(0)
	browsers := make([]*browser, *clients)
	for i := range browsers {
		browsers[i] = &browser{random: rand.New(rand.NewPCG(1, uint64(i))), number: i + 1}
	}
	together(browsers, func(b *browser) {
		for range *sessions {
			b.first()
		}
		for len(b.users) < *sessions/2 {
			b.login()
		}
	})
	say(map[string]any{"ready": true})
	for {
		var kind string
		var seconds float64
		if _, err := fmt.Scan(&kind, &seconds); err != nil {
			return
		}
		if kind == "check" {
			say(check(browsers))
		} else {
			say(measure(browsers, kind, time.Duration(seconds*float64(time.Second))))
		}
	}
}

func say(what map[string]any) {
	if err := json.NewEncoder(os.Stdout).Encode(what); err != nil {
		log.Fatal(err)
	}
}

func together(browsers []*browser, do func(*browser)) {
	var all sync.WaitGroup
	for _, b := range browsers {
		all.Go(func() { do(b) })
	}
	all.Wait()
}

// measure makes requests for so long, or for as long as there are sessions to make them with.
func measure(browsers []*browser, kind string, lasts time.Duration) map[string]any {
	var all sync.Mutex
	var rate float64
	var times []time.Duration
	for _, b := range browsers {
		b.connect()
	}
	together(browsers, func(b *browser) {
		b.times = b.times[:0]
		began := time.Now()
		for time.Since(began) < lasts && kinds[kind](b) {
		}
		took := time.Since(began)
		all.Lock()
		defer all.Unlock()
		rate += float64(len(b.times)) / took.Seconds()
		times = append(times, b.times...)
	})
	slices.Sort(times)
	figures := map[string]any{"rate": rate, "requests": len(times)}
	if len(times) > 0 {
		figures["p50"], figures["p99"] = times[len(times)/2].Seconds(), times[len(times)*99/100].Seconds()
	}
	return figures
}

// check reads all sessions once more: those that live have what was written, those that ended have nothing.
func check(browsers []*browser) map[string]any {
	var all sync.Mutex
	live, ended := 0, 0
	together(browsers, func(b *browser) {
		b.connect()
		alive := slices.Concat(b.visitors, b.users)
		for _, s := range alive {
			b.ask("GET", "/read", &session{cookie: s.cookie}, s.seen)
		}
		for _, s := range b.ended[max(0, len(b.ended)-100):] {
			b.ask("GET", "/read", &session{cookie: s.cookie}, "none")
		}
		all.Lock()
		defer all.Unlock()
		live, ended = live+len(alive), ended+min(len(b.ended), 100)
	})
	return map[string]any{"live": live, "ended": ended}
}

// mixed is 80 % reads, 15 % writes, 3 % sessions that begin, 1 % logins and 1 % logouts.
func (b *browser) mixed() bool {
	switch dice := b.random.IntN(100); {
	case dice < 80:
		return b.read()
	case dice < 95:
		return b.write()
	case dice < 98:
		return b.first()
	case dice < 99:
		return b.login() || b.first()
	default:
		return b.logout() || b.read()
	}
}

func (b *browser) untouched() bool {
	s := &session{}
	b.ask("GET", "/untouched", s, "none")
	return true
}

func (b *browser) first() bool {
	s := &session{seen: b.next()}
	b.ask("POST", "/first?seen="+s.seen, s, s.seen)
	if s.cookie == "" {
		log.Fatal("/first: no cookie")
	}
	b.visitors = append(b.visitors, s)
	return true
}

// login leaves some visitors for the other kinds.
func (b *browser) login() bool {
	if len(b.visitors) <= *sessions/4 {
		return false
	}
	s := take(b, &b.visitors)
	before := *s
	b.writes++
	b.ask("POST", fmt.Sprintf("/login?user=%d%06d", b.number, b.writes), s, s.seen)
	if s.cookie == before.cookie {
		log.Fatal("/login: the id is the same")
	}
	b.users, b.ended = append(b.users, s), append(b.ended, &before)
	return true
}

func (b *browser) logout() bool {
	if len(b.users) <= *sessions/4 {
		return false
	}
	s := take(b, &b.users)
	b.ask("POST", "/logout", &session{cookie: s.cookie}, "none")
	b.ended = append(b.ended, s)
	return true
}

func (b *browser) read() bool {
	s := b.any()
	b.ask("GET", "/read", s, s.seen)
	return true
}

func (b *browser) write() bool {
	s := b.any()
	s.seen = b.next()
	b.ask("POST", "/write?seen="+s.seen, s, s.seen)
	return true
}

func (b *browser) next() string {
	b.writes++
	return fmt.Sprintf("%d-%d", b.number, b.writes)
}

// any is one of few sessions, for those that are used at all are used again soon.
func (b *browser) any() *session {
	from := b.visitors
	if b.random.IntN(2) == 0 {
		from = b.users
	}
	few := from[max(0, len(from)-*sessions/4):]
	return few[b.random.IntN(len(few))]
}

func take(b *browser, from *[]*session) *session {
	i, last := b.random.IntN(len(*from)), len(*from)-1
	s := (*from)[i]
	(*from)[i] = (*from)[last]
	*from = (*from)[:last]
	return s
}

func (b *browser) connect() {
	if b.connection != nil {
		b.connection.Close()
	}
	var err error
	if b.connection, err = net.Dial("tcp", *address); err != nil {
		log.Fatal(err)
	}
	b.reader = bufio.NewReader(b.connection)
}

// ask makes a request, minds the cookie, and compares the answer. An http.Client would take as long as some of the servers.
func (b *browser) ask(method, path string, s *session, wanted string) {
	if b.connection == nil {
		b.connect()
	}
	request := method + " " + path + " HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: browser\r\n"
	if method == "POST" {
		request += "Content-Length: 0\r\n"
	}
	if s.cookie != "" {
		request += "Cookie: " + *cookie + "=" + s.cookie + "\r\n"
	}
	began := time.Now()
	if _, err := io.WriteString(b.connection, request+"\r\n"); err != nil {
		log.Fatalf("%s: %v", path, err)
	}
	response, err := http.ReadResponse(b.reader, nil)
	if err != nil {
		log.Fatalf("%s: %v", path, err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatalf("%s: %v", path, err)
	}
	b.times = append(b.times, time.Since(began))
	if response.StatusCode != http.StatusOK || string(body) != wanted {
		log.Fatalf("%s: %s, %q instead of %q", path, response.Status, body, wanted)
	}
	for _, c := range response.Cookies() { // the last one counts
		if c.Name == *cookie && c.Value != "" && c.MaxAge >= 0 {
			s.cookie = c.Value
		}
	}
	if response.Close {
		b.connect()
	}
}
