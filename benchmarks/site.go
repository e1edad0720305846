package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// The role that this program has when it was started by itself. A server and a
// lane end with their standard input, which their parent holds, and so never
// outlive it.
const roleVariable = "HOLDFAST_BENCH_ROLE"

// play plays the role that the environment asks for, if it asks for one.
func play() (played bool, err error) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		return false, nil
	case "server":
		return true, serveSite(os.Stdin, os.Stdout)
	case "lane with":
		return true, serveLane(holdfastLoggedClient, os.Stdin, os.Stdout)
	case "lane without":
		return true, serveLane(holdfastUncounted, os.Stdin, os.Stdout)
	case "census":
		return true, openAnswers.take(os.Stdout)
	default:
		return true, fmt.Errorf("%s is %q: must be server, census, lane with or lane without", roleVariable, role)
	}
}

// child is a process that runs for this one.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out io.Reader
}

// started are all of them: a pipe that nothing refers to is closed some day.
var started []*child

// start starts program in a role.
func start(program, role string) (*child, error) {
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c := &child{cmd, in, out}
	started = append(started, c)
	return c, cmd.Start()
}

// stop waits for its end.
func (c *child) stop() error {
	return errors.Join(c.in.Close(), c.cmd.Wait())
}

// siteURL is that of the server, which is started when somebody first asks.
var siteURL = sync.OnceValues(func() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	server, err := start(program, "server")
	if err != nil {
		return "", err
	}
	url, err := bufio.NewReader(server.out).ReadString('\n')
	return strings.TrimSpace(url), err
})

// serveSite tells its URL and serves until stdin ends.
func serveSite(stdin io.Reader, stdout io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "http://%s\n", l.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		_ = l.Close()
	}()
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		go answerAll(conn)
	}
}

// openPath is that of an answer whose body does not end.
const openPath = "/open"

// answerAll answers every request with the same bytes and hardly any work.
func answerAll(conn net.Conn) {
	defer conn.Close()
	whole := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{\"ok\":true}")
	begun := []byte("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	answer := whole
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadSlice('\n')
		switch {
		case err != nil:
			return
		case bytes.HasPrefix(line, []byte("GET "+openPath)):
			answer = begun
		case len(line) <= 2: // the headers have ended
			if _, err := conn.Write(answer); err != nil {
				return
			}
			answer = whole
		}
	}
}
