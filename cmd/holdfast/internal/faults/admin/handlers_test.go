package admin_test

import (
	"encoding/json"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/cmdtest"
	"github.com/holdfast-go/holdfast/cmd/holdfast/internal/faults"
	"github.com/holdfast-go/holdfast/fault"
)

// program is holdfast faults, which serves the interface.
var program = cmdtest.Of(faults.NewCommand)

// startAdmin runs the command with an admin listener, and returns its two URLs and the
// header with the token.
func startAdmin(t *testing.T, plan string) (r *cmdtest.Running, url, adminURL, bearer string) {
	t.Helper()
	r = program.Start(t, "token ", "faults", "--plan", plan, "--admin", "127.0.0.1:0")
	said := r.Stdout.String()
	found := regexp.MustCompile(`^(\S+) follows .*\nadmin on (http://\S+)/_holdfast/ · token (\S{26})\n$`).FindStringSubmatch(said)
	if found == nil {
		t.Fatalf("it wrote %q", said)
	}
	return r, found[1], found[2], "Bearer " + found[3]
}

func TestHandlers(t *testing.T) {
	r, url, admin, bearer := startAdmin(t, cmdtest.JSON(t, `{"seed": 7, "rules": [{"fault": {"status": 503}}]}`))
	ask := func(method, path, body string, header ...string) (int, string) {
		t.Helper()
		return cmdtest.Fetch(t, method, admin+path, bearer, body, header...)
	}
	serves := func(want int) {
		t.Helper()
		if status, _ := cmdtest.Fetch(t, http.MethodGet, url, "", "", "X-Operation-ID", "op"); status != want {
			t.Errorf("the server answers %d, want %d", status, want)
		}
	}
	serves(503)
	if status, body := ask(http.MethodGet, "/_holdfast/plan", ""); status != 200 {
		t.Errorf("GET plan: %d %s", status, body)
	} else if plan, err := fault.Parse([]byte(body)); err != nil || plan.Seed != 7 || len(plan.Rules) != 1 {
		t.Errorf("GET plan gave %s, %v", body, err)
	}

	// An invalid plan changes nothing.
	for _, tt := range []struct {
		body, kind string
		status     int
		says       string
	}{
		{`{"rules": [{"fault": {"status": 418}}, {"fault": {"status": 99}}]}`, "application/json", 422, `"path": "rules[1].fault.status",`},
		{`{"rulse": []}`, "application/json", 422, "did you mean rules?"},
		{`{"rules": `, "application/json", 422, "line 1, column 10"},
		{"", "application/json", 422, "unexpected end"},
		{"seed: 1\nrulse: []\n", "application/yaml", 422, `"line": 2,`},
		{`{"connections": [{"fault": {"tls": "alert"}}]}`, "", 422, "give --tls"},
		{`{"rules": [{"fault": {"h2": "rst_stream_refused"}}]}`, "", 422, `"path": "rules[0].fault.h2"`},
		{strings.Repeat(" ", fault.MaxPlanBytes+1), "", 413, "more than 1048576 bytes"},
	} {
		status, body := ask(http.MethodPut, "/_holdfast/plan", tt.body, "Content-Type", tt.kind)
		if status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("PUT %.60q: %d %s; want %d and %q", tt.body, status, body, tt.status, tt.says)
		}
	}
	serves(503)
	if status, body := ask(http.MethodPut, "/_holdfast/plan", "rules:\n- fault: {status: 418}\n", "Content-Type", "application/yaml; charset=utf-8"); status != 200 || !strings.Contains(body, "418") {
		t.Errorf("PUT: %d %s", status, body)
	}
	serves(418)
	if status, body := ask(http.MethodPut, "/_holdfast/plan", `{}`); status != 200 {
		t.Errorf("PUT: %d %s", status, body)
	}
	serves(200)

	var page struct {
		Run, Gone, Next int
		Attempts        []struct{ Number, Status int }
	}
	status, body := ask(http.MethodGet, "/_holdfast/record?after=2", "")
	if err := json.Unmarshal([]byte(body), &page); status != 200 || err != nil || page.Run != 1 || page.Next != 4 ||
		len(page.Attempts) != 2 || page.Attempts[0].Number != 3 || page.Attempts[1].Status != 200 {
		t.Errorf("GET record: %d %s, %v", status, body, err)
	}
	if status, body := ask(http.MethodGet, "/_holdfast/effects", ""); status != 200 || !strings.Contains(body, `"done": 1,`) {
		t.Errorf("GET effects: %d %s", status, body)
	}
	if status, body := ask(http.MethodPost, "/_holdfast/begin", ""); status != 200 || !strings.Contains(body, `"run": 2`) {
		t.Errorf("POST begin: %d %s", status, body)
	}
	if status, body := ask(http.MethodGet, "/_holdfast/effects", ""); status != 200 || !strings.Contains(body, `"done": 0,`) {
		t.Errorf("GET effects after begin: %d %s", status, body)
	}
	for _, tt := range []struct {
		method, path string
		status       int
		says         string
	}{
		{http.MethodGet, "/_holdfast/begin", 405, "takes POST"},
		{http.MethodDelete, "/_holdfast/plan", 405, "takes GET and PUT"},
		{http.MethodGet, "/", 404, "there are /_holdfast/plan"},
		{http.MethodGet, "/_holdfast/record?after=-1", 400, "after=N"},
		{http.MethodGet, "/_holdfast/record?after=1&after=2", 400, "after=N"},
		{http.MethodGet, "/_holdfast/record?afetr=1", 400, "after=N"},
	} {
		if status, body := ask(tt.method, tt.path, ""); status != tt.status || !strings.Contains(body, tt.says) {
			t.Errorf("%s %s: %d %s; want %d and %q", tt.method, tt.path, status, body, tt.status, tt.says)
		}
	}
	if status := r.Interrupt(t, strings.TrimPrefix(url, "http://")); status != 0 {
		t.Errorf("exit status %d", status)
	}
	if conn, err := net.Dial("tcp", strings.TrimPrefix(admin, "http://")); err == nil {
		conn.Close()
		t.Error("the admin listener is still there")
	}
	if said := r.Stdout.String(); !strings.Contains(said, "run 2: 0 requests") || strings.Count(said, strings.TrimPrefix(bearer, "Bearer ")) != 1 {
		t.Errorf("it wrote %q; want the token once, and what run 2 was", said)
	}
}

func TestToken(t *testing.T) {
	const token = "correct-horse-battery"
	r := program.Start(t, "/_holdfast/\n", "faults", "--plan", "healthy", "--admin", "localhost:0", "--admin-token", token)
	admin := regexp.MustCompile(`http://\S+/_holdfast/\n`).FindString(r.Stdout.String())
	if strings.Contains(r.Stdout.String(), token) {
		t.Errorf("it printed a token that was given: %q", r.Stdout)
	}
	admin = strings.TrimSuffix(admin, "\n")
	for _, tt := range []struct {
		authorization string
		status        int
	}{
		{"", 401}, {"Bearer", 401}, {"Bearer ", 401}, {"Bearer wrong-horse-battery", 401}, {token, 401}, {"Basic " + token, 401},
		{"Bearer " + token + "x", 401}, {"Bearer " + token[1:], 401}, {"Bearer " + token, 200}, {"bearer " + token, 200},
	} {
		for _, path := range []string{"plan", "effects", "nothing"} {
			want := tt.status
			if path == "nothing" && want == 200 {
				want = 404
			}
			status, body := cmdtest.Fetch(t, http.MethodGet, admin+path, tt.authorization, "")
			if status != want || strings.Contains(body, "horse") {
				t.Errorf("%q, %s: %d %s; want %d, without the token", tt.authorization, path, status, body, want)
			}
		}
	}
	// Without the token PUT changes nothing.
	if status, _ := cmdtest.Fetch(t, http.MethodPut, admin+"plan", "Bearer guess", `{"seed": 5}`); status != 401 {
		t.Errorf("PUT with a wrong token: %d", status)
	}
	if _, body := cmdtest.Fetch(t, http.MethodGet, admin+"plan", "Bearer "+token, ""); !strings.Contains(body, `"seed": 1,`) {
		t.Errorf("the plan is now %s", body)
	}
	url, _, _ := strings.Cut(r.Stdout.String(), " ")
	if status := r.Interrupt(t, strings.TrimPrefix(url, "http://")); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
