package sessionstore

import (
	"reflect"
	"runtime"
	"sync"

	"github.com/beego/beego/v2/server/web/session"
)

// beego's manager asks SessionExist and, at once, SessionRead, both with an empty context: nothing tells which calls
// belong together, nor that an id is one that the manager has just drawn and needs no look-up. The caller does. If it
// is another one (a provider of the application around this one), each call looks up by itself.
var (
	sessionStart        = nameOf((*session.Manager).SessionStart)
	sessionRegenerateID = nameOf((*session.Manager).SessionRegenerateID)
)

func nameOf(function any) string {
	return runtime.FuncForPC(reflect.ValueOf(function).Pointer()).Name()
}

// caller is the name of the function that called the method that asks.
func caller() string {
	var pcs [1]uintptr
	runtime.Callers(3, pcs[:])
	frame, _ := runtime.CallersFrames(pcs[:]).Next()
	return frame.Function
}

// handover carries what SessionExist found to the SessionRead that follows it.
type handover struct {
	lock  sync.Mutex
	bySid map[string]*found
}

type found struct {
	content
	readers int // still to come
}

func (h *handover) give(sid string, loaded content) {
	h.lock.Lock()
	defer h.lock.Unlock()
	f := h.bySid[sid]
	if f == nil {
		if h.bySid == nil {
			h.bySid = make(map[string]*found)
		}
		f = &found{}
		h.bySid[sid] = f
	}
	f.readers++
	// Requests at the same time share the newest, so that none gets something older than what it found itself.
	if loaded.version > f.version {
		f.content = loaded
	}
}

func (h *handover) take(sid string) (content, bool) {
	h.lock.Lock()
	defer h.lock.Unlock()
	f := h.bySid[sid]
	if f == nil {
		return content{}, false
	}
	if f.readers--; f.readers == 0 {
		delete(h.bySid, sid)
	}
	return f.content, true
}
