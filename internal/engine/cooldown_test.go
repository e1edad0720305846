package engine

import (
	"sync"
	"testing"
	"time"
)

func TestCooldown(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	var c Cooldown
	if c.Requested() {
		t.Error("requested at the beginning")
	}
	c.Request(now, 0)
	if c.Requested() {
		t.Error("a request for nothing counts")
	}
	c.Request(now, 10*time.Second)
	if !c.Requested() {
		t.Error("the request does not count")
	}
	if at, active := c.Until(now, 0.5); !active || !at.Equal(now.Add(10*time.Second+500*time.Millisecond)) {
		t.Errorf("until %v %v", at, active)
	}
	if at, active := c.Until(now.Add(10*time.Second), 0.5); active {
		t.Errorf("over, but active until %v", at)
	}
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			c.Request(now, time.Duration(i)*time.Minute)
			c.Requested()
			c.Until(now, 0)
		})
	}
	wg.Wait()
	if at, _ := c.Until(now, 0); !at.Equal(now.Add(7 * time.Minute)) {
		t.Errorf("until %v, want the end of the longest", at)
	}
}
