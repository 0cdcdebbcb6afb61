package main

import (
	"context"
	"net/url"
	"sync"

	"github.com/vmware/govmomi/simulator"
)

// vcenter is the one simulated server. The library keeps its inventory in the global simulator.Map.
type vcenter struct {
	config *config
	model  *simulator.Model
	guests *guests
	faults *faults
	counts *counts
	serial serial
	rest   *restAPI

	nfcHost       string   // where disks are uploaded to
	others        []string // files of the last import that are no disks
	nfcThumbprint string   // of its certificate
}

// inventory guards simulator.Map and all that hangs on it. The library locks object by object, which leaves half-made
// machines visible; here every call reads under the shared lock and every background task writes under the exclusive one.
var inventory sync.RWMutex

func newVCenter(c *config) (*vcenter, error) {
	v := &vcenter{config: c, guests: newGuests(c.Guests), faults: &faults{}, counts: newCounts()}
	simulator.SessionIdleTimeout = c.SessionTimeout.duration()
	if err := v.createModel(); err != nil {
		return nil, err
	}
	v.model.Service.Listen = &url.URL{User: url.UserPassword(c.Username, c.Password)}
	v.rest = v.newREST()
	return v, v.populate(newContext())
}

// newContext is for work of the server's own that no session asked for.
func newContext() *simulator.Context {
	return &simulator.Context{
		Context: context.Background(),
		Session: &simulator.Session{Registry: simulator.NewRegistry()},
		Map:     simulator.Map,
	}
}

// serial makes what must be unique.
type serial struct {
	mu   sync.Mutex
	last int
}

func (s *serial) next() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last++
	return s.last
}
