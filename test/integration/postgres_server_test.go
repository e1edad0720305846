package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// postgres is Debian's PostgreSQL with a temporary directory and port.
type postgres struct {
	t    *testing.T
	dir  string
	port int
	user *syscall.Credential // nil: the user of the test
	cmd  *exec.Cmd
	said bytes.Buffer // by all its programs
}

// startPostgres initializes a database and serves it until the test ends.
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	dir, err := os.MkdirTemp("", "holdfast-postgres") // other users cannot read t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &postgres{t: t, dir: dir, port: freePort(t)}
	if os.Getuid() == 0 { // PostgreSQL does not run as root
		p.user = credential(t, "postgres")
		if err := os.Chown(dir, int(p.user.Uid), int(p.user.Gid)); err != nil {
			t.Fatal(err)
		}
	}
	p.cmd = p.command("initdb", "-D", dir, "-U", "holdfast", "--auth=trust", "--no-sync", "--no-instructions")
	if err := p.cmd.Run(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, p.said.Bytes())
	}
	p.start()
	t.Cleanup(func() {
		p.signal(syscall.SIGCONT)
		p.kill()
		if t.Failed() {
			t.Logf("the database said:\n%s", p.said.Bytes())
		}
	})
	return p
}

// command returns one of PostgreSQL's programs in the newest installed version.
func (p *postgres) command(name string, args ...string) *exec.Cmd {
	p.t.Helper()
	all, err := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
	if err != nil || len(all) == 0 {
		p.t.Fatalf("PostgreSQL's %s is not in /usr/lib/postgresql: make test installs it", name)
	}
	slices.SortFunc(all, func(a, b string) int { return majorVersion(a) - majorVersion(b) })
	cmd := exec.Command(all[len(all)-1], args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.dir, &p.said, &p.said
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: p.user, Pdeathsig: syscall.SIGKILL}
	return cmd
}

func majorVersion(path string) int {
	n, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return n
}

// start starts the server and returns after its first answer.
func (p *postgres) start() {
	p.t.Helper()
	// Without fsync a commit survives the death of every process, which is
	// enough here, but not that of the machine.
	p.cmd = p.command("postgres", "-D", p.dir, "-p", strconv.Itoa(p.port), "-c", "listen_addresses=127.0.0.1",
		"-c", "unix_socket_directories=", "-c", "fsync=off", "-c", "restart_after_crash=off")
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		conn, err := pgx.Connect(ctx, p.url())
		if err == nil {
			_ = conn.Close(ctx)
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.t.Fatalf("the database does not come up: %v\n%s", err, p.said.Bytes())
		}
	}
}

func (p *postgres) url() string {
	return fmt.Sprintf("postgres://holdfast@127.0.0.1:%d/postgres?sslmode=disable", p.port)
}

// kill ends all processes of the server at once.
func (p *postgres) kill() {
	p.signal(syscall.SIGKILL)
	_ = p.cmd.Wait() // the error is "killed"
}

// signal signals all processes of the server. Each has its own process group,
// so a signal to the first group would not reach the others.
func (p *postgres) signal(s syscall.Signal) {
	p.t.Helper()
	first := p.cmd.Process.Pid
	_ = syscall.Kill(first, s) // it may be dead; while stopped, it starts no others
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		p.t.Fatal(err)
	}
	for _, stat := range stats {
		text, err := os.ReadFile(stat)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // it has ended meanwhile
		}
		// pid (name) state parent: proc(5)
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(first) {
			pid, err := strconv.Atoi(strings.Split(stat, "/")[2])
			if err != nil {
				p.t.Fatal(err)
			}
			_ = syscall.Kill(pid, s)
		}
	}
}

// answers reports whether the server answers a new connection. PostgreSQL first
// answers the request for TLS with N.
func (p *postgres) answers(within time.Duration) bool {
	p.t.Helper()
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", p.port))
	if err != nil {
		p.t.Fatalf("a stopped server must accept connections: %v", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(within))
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil { // SSLRequest
		p.t.Fatal(err)
	}
	answer := make([]byte, 1)
	_, err = io.ReadFull(conn, answer)
	return err == nil && answer[0] == 'N'
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func credential(t *testing.T, name string) *syscall.Credential {
	t.Helper()
	u, err := user.Lookup(name)
	if err != nil {
		t.Fatalf("PostgreSQL does not run as root, and %v: make test installs it", err)
	}
	uid, _ := strconv.ParseUint(u.Uid, 10, 32)
	gid, _ := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
}
