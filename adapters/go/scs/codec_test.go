package sessionstore

import (
	"database/sql"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
)

func TestTheCodecForgetsWhatRequestsHadItRemember(t *testing.T) {
	db, err := sql.Open("pgx", os.Getenv("DATABASE_URL"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	m := New(db)
	handler := m.LoadAndSave(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			m.Put(r.Context(), "visits", m.GetInt(r.Context(), "visits")+1)
		}
	}))
	var cookie *http.Cookie
	for range 5 {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			r, w := httptest.NewRequest(method, "/", nil), httptest.NewRecorder()
			if cookie != nil {
				r.AddCookie(cookie)
			}
			handler.ServeHTTP(w, r)
			if method == http.MethodPost {
				cookie = w.Result().Cookies()[0]
			}
		}
	}
	codec := m.Codec.(*codec)
	if len(codec.found) != 0 || len(codec.encoded) != 0 {
		t.Errorf("it remembers %d payloads that were found and %d that were saved", len(codec.found), len(codec.encoded))
	}
	for range 2 * remembered {
		if _, err := codec.Encode(time.Now(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if len(codec.encoded) > remembered {
		t.Errorf("it remembers %d payloads that nobody saves", len(codec.encoded))
	}
}
