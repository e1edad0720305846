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

// The environment variable with the role of this program if it was started by
// itself. A server ends with its standard input, so it does not outlive its parent.
const roleVariable = "HOLDFAST_BENCH_ROLE"

// play runs the role of the environment, if there is one.
func play() (played bool, err error) {
	switch role := os.Getenv(roleVariable); role {
	case "":
		return false, nil
	case "server":
		return true, serveSite(os.Stdin, os.Stdout)
	case "lane with":
		return true, measureLane(holdfastLoggedClient, os.Stdout)
	case "lane with counted":
		return true, countLane(holdfastLoggedClient, os.Stdout)
	case "lane without":
		return true, measureLane(holdfastUncounted, os.Stdout)
	case "lane without counted":
		return true, countLane(holdfastUncounted, os.Stdout)
	case "census":
		return true, openAnswers.take(os.Stdout)
	default:
		return true, fmt.Errorf("%s is %q: must be server, census, or lane with or without, and counted if it is to count", roleVariable, role)
	}
}

// started holds the child processes: without a reference, their pipes would be
// closed by the collector.
var started []*exec.Cmd

// start starts program in a role.
func start(program, role string) (stdin io.Writer, stdout io.Reader, err error) {
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	started = append(started, cmd)
	return in, out, cmd.Start()
}

// siteURL is the URL of the server, which the first call starts.
var siteURL = sync.OnceValues(func() (string, error) {
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	_, out, err := start(program, "server")
	if err != nil {
		return "", err
	}
	url, err := bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(url), err
})

// serveSite prints its URL and serves until stdin ends.
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

// openPath is the path of an answer with a body that does not end.
const openPath = "/open"

// answerAll answers every request with constant bytes and little work.
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
