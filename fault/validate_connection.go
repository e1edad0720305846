package fault

func (c *checker) connRule(path string, r ConnRule) {
	c.nth(path+".nth", r.Nth)
	c.timing(path, r.When, r.Repeat)
	c.probability(path+".probability", r.Probability)
	f, path := r.Fault, path+".fault"
	acts := f.actions()
	switch {
	case len(acts) == 0 && f.Latency == nil:
		c.addf(path, "is empty: name a fault")
	case len(acts) > 1:
		c.addf(path, "has %s: a connection can have only one of them", and(acts))
	}
	if f.Refuse && (r.Nth != "" || r.Probability != 0) {
		c.addf(path+".refuse", "depends on time only: the server does not see refused connections, so nth and probability cannot count them")
	}
	oneOf(c, path+".tls", f.TLS)
	oneOf(c, path+".h2", f.H2, h2Connections...)
	if f.Latency == nil {
		return
	}
	c.latency(path+".latency", *f.Latency)
	if *f.Latency == (Latency{}) {
		c.addf(path+".latency", "is empty: give one of fixed, uniform, lognormal, bimodal")
	}
	if f.Refuse {
		c.addf(path+".latency", "cannot be combined with refuse, which the kernel does at once")
	}
}

func (c *checker) capacity(path string, l Capacity) {
	for _, count := range []struct {
		name string
		n    int
	}{{"workers", l.Workers}, {"queue", l.Queue}} {
		if count.n < 0 || count.n > MaxInService {
			c.addf(path+"."+count.name, "%d must be 0 to %d", count.n, MaxInService)
		}
	}
	if l.Queue != 0 && l.Workers == 0 {
		c.addf(path+".queue", "needs workers: without a limit on workers no request waits")
	}
	c.wait(path+".service_time", l.ServiceTime, 0)
	c.wait(path+".latency.base", l.Latency.Base, 0)
	c.wait(path+".latency.per_in_flight", l.Latency.PerInFlight, 0)
	oneOf(c, path+".abandoned", l.Abandoned)
}
