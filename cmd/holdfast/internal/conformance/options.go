package conformance

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"time"

	"github.com/holdfast-go/holdfast/internal/conformance"
)

// options are the flags of the command.
type options struct {
	program, proxy, listen, only string
	patience                     time.Duration
	h2, asJSON, list             bool
}

// rules are those that --only selects.
func (o *options) rules() ([]conformance.Rule, error) {
	e, err := regexp.Compile(o.only)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	rules := slices.DeleteFunc(conformance.Rules(), func(r conformance.Rule) bool { return !e.MatchString(r.ID()) })
	if len(rules) == 0 {
		return nil, fmt.Errorf("--only %q: no rule has such a name; --list prints the names", o.only)
	}
	return rules, nil
}

// maxPatience bounds a run, which has about eighty calls.
const maxPatience = time.Minute

// client is the client under test.
func (o *options) client() (conformance.Contender, error) {
	switch {
	case (o.program == "") == (o.proxy == ""):
		return conformance.Contender{}, errors.New("give either --exec or --client")
	case o.patience < 0 || o.patience > maxPatience:
		return conformance.Contender{}, fmt.Errorf("--patience %s: must be 0 to %s", o.patience, maxPatience)
	case o.proxy == "":
		if o.listen != "" {
			return conformance.Contender{}, errors.New("--listen goes with --client")
		}
		c, err := conformance.Program(o.program)
		if err != nil {
			return c, fmt.Errorf("--exec: %w", err)
		}
		return c, nil
	case o.listen == "":
		return conformance.Contender{}, errors.New("--client needs --listen, the address that the proxy calls")
	case o.h2:
		return conformance.Contender{}, errors.New("--http2 goes with --exec")
	}
	u, err := url.Parse(o.proxy)
	if err != nil || u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return conformance.Contender{}, errors.New("--client: must be an http URL without a password and a query")
	}
	if _, port, err := net.SplitHostPort(o.listen); err != nil || port == "" || port == "0" {
		return conformance.Contender{}, fmt.Errorf("--listen %q: must be the host and port that the proxy calls, such as 127.0.0.1:9000", o.listen)
	}
	return conformance.Proxy(o.proxy), nil
}
