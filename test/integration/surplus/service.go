package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path"
	"sync"
	"time"
)

// variant is a time at which the second answer is sent.
type variant struct {
	name  string
	sends func(conn net.Conn, next *bufio.Reader, answer, second string) error
}

const atOnce = "in the same packet"

var variants = []variant{
	{atOnce, func(conn net.Conn, _ *bufio.Reader, answer, second string) error {
		_, err := io.WriteString(conn, answer+second)
		return err
	}},
	{"in the next packet", after(0)},
	{"0.1 ms later", after(100 * time.Microsecond)},
	{"1 ms later", after(time.Millisecond)},
	{"with the next request", func(conn net.Conn, next *bufio.Reader, answer, second string) error {
		if _, err := io.WriteString(conn, answer); err != nil {
			return err
		}
		if _, err := next.Peek(1); err != nil {
			return err
		}
		_, err := io.WriteString(conn, second)
		return err
	}},
}

// after sends the second answer in a packet of its own. As a service with a buffer does, it
// answers the next request afterwards.
func after(d time.Duration) func(net.Conn, *bufio.Reader, string, string) error {
	return func(conn net.Conn, _ *bufio.Reader, answer, second string) error {
		if _, err := io.WriteString(conn, answer); err != nil {
			return err
		}
		if d > 0 {
			time.Sleep(d)
		}
		_, err := io.WriteString(conn, second)
		return err
	}
}

// service answers each request with the name of its user, and then sends what is for another.
type service struct {
	url      string
	listener net.Listener
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
	serving  sync.WaitGroup
}

func serve(v variant) (*service, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &service{url: "http://" + l.Addr().String(), listener: l, conns: map[net.Conn]struct{}{}}
	s.serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[conn] = struct{}{}
			s.mu.Unlock()
			s.serving.Go(func() {
				s.talk(conn, v)
				s.mu.Lock()
				delete(s.conns, conn)
				s.mu.Unlock()
				_ = conn.Close()
			})
		}
	})
	return s, nil
}

func (s *service) talk(conn net.Conn, v variant) {
	in := bufio.NewReader(conn)
	for {
		req, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		name, id := path.Base(req.URL.Path), req.Header.Get("X-Request-ID")
		if err := v.sends(conn, in, answer(name, id), answer(another(name), "of-another")); err != nil || req.Close {
			return
		}
	}
}

func answer(name, id string) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nX-Request-ID: %s\r\n\r\n%s", len(name), id, name)
}

func userName(n int) string { return fmt.Sprintf("user-%d", n) }

// another is the user after this one.
func another(name string) string {
	for n := range users {
		if userName(n) == name {
			return userName((n + 1) % users)
		}
	}
	return userName(0)
}

func (s *service) close() {
	_ = s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		_ = conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// call returns the body of an answer.
func call(ctx context.Context, client *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<10))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("status %d", resp.StatusCode)
	}
	return string(body), err
}
