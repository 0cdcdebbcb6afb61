package main

import (
	"context"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// settle is how long changes are gathered before a waiting client hears of them.
const settle = 30 * time.Millisecond

// collector replaces the library's PropertyCollector, whose wait collects every object anew for every single change.
// Here a wait compares what its filters see now with what they saw last. The library makes one zero value a session.
type collector struct {
	simulator.PropertyCollector

	mu      sync.Mutex
	touched chan struct{}
	cancel  context.CancelFunc
	seen    map[types.ManagedObjectReference]view // by filter
	version int
	rest    map[string][]types.ObjectContent // pages that were not fetched yet, by token
}

// view is what one filter saw last.
type view map[types.ManagedObjectReference]properties

type properties map[string]types.AnyType

func (c *collector) CreatePropertyCollector(ctx *simulator.Context, _ *types.CreatePropertyCollector) soap.HasFault {
	ref := ctx.Session.Put(&collector{
		PropertyCollector: simulator.PropertyCollector{PropertyCollector: mo.PropertyCollector{
			Self: types.ManagedObjectReference{Type: "PropertyCollector"}}},
	}).Reference()
	return &methods.CreatePropertyCollectorBody{Res: &types.CreatePropertyCollectorResponse{Returnval: ref}}
}

// PutObject, UpdateObject and RemoveObject are how the registry tells of changes once a client has waited.
func (c *collector) PutObject(mo.Reference)                            { c.touch() }
func (c *collector) UpdateObject(mo.Reference, []types.PropertyChange) { c.touch() }
func (c *collector) RemoveObject(ref types.ManagedObjectReference)     { c.touch() }

func (c *collector) touch() {
	select {
	case c.touched <- struct{}{}:
	default:
	}
}

// WaitForUpdatesEx answers what has changed since the last call, or nothing after MaxWaitSeconds.
func (c *collector) WaitForUpdatesEx(ctx *simulator.Context, r *types.WaitForUpdatesEx) soap.HasFault {
	wait, cancel := waitContext(r.Options)
	defer cancel()
	c.begin(ctx, cancel, r.Version == "")
	for {
		update, fault := c.changes(ctx)
		if fault != nil {
			return &methods.WaitForUpdatesExBody{Fault_: simulator.Fault("", fault)}
		}
		if update != nil || r.Version == "" {
			return updateBody(update, c.version)
		}
		select {
		case <-wait.Done():
			if wait.Err() == context.Canceled {
				return &methods.WaitForUpdatesExBody{Fault_: simulator.Fault("", &types.RequestCanceled{})}
			}
			return &methods.WaitForUpdatesExBody{Res: &types.WaitForUpdatesExResponse{}}
		case <-c.touched:
			time.Sleep(settle)
		}
	}
}

func updateBody(update []types.PropertyFilterUpdate, version int) soap.HasFault {
	set := &types.UpdateSet{Version: strconv.Itoa(version), FilterSet: update}
	return &methods.WaitForUpdatesExBody{Res: &types.WaitForUpdatesExResponse{Returnval: set}}
}

func waitContext(options *types.WaitOptions) (context.Context, context.CancelFunc) {
	if options == nil || options.MaxWaitSeconds == nil {
		return context.WithCancel(context.Background())
	}
	return context.WithTimeout(context.Background(), time.Duration(*options.MaxWaitSeconds)*time.Second)
}

// begin prepares for a wait; a client without a version knows nothing yet.
func (c *collector) begin(ctx *simulator.Context, cancel context.CancelFunc, afresh bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cancel = cancel
	if c.touched == nil {
		c.touched = make(chan struct{}, 1)
		ctx.Map.AddHandler(c)
	}
	if c.seen == nil || afresh {
		c.seen = map[types.ManagedObjectReference]view{}
	}
}

func (c *collector) CancelWaitForUpdates(*types.CancelWaitForUpdates) soap.HasFault {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cancel != nil {
		c.cancel()
	}
	return &methods.CancelWaitForUpdatesBody{Res: &types.CancelWaitForUpdatesResponse{}}
}

// changes compares every filter with what it saw last; nil: nothing has changed.
func (c *collector) changes(ctx *simulator.Context) ([]types.PropertyFilterUpdate, types.BaseMethodFault) {
	inventory.RLock()
	defer inventory.RUnlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	var updates []types.PropertyFilterUpdate
	for _, ref := range c.Filter {
		now, fault := c.look(ctx, ctx.Session.Get(ref).(*simulator.PropertyFilter).Spec)
		if fault != nil {
			return nil, fault
		}
		if objects := difference(c.seen[ref], now); len(objects) > 0 {
			updates = append(updates, types.PropertyFilterUpdate{Filter: ref, ObjectSet: objects})
		}
		c.seen[ref] = now
	}
	if updates != nil {
		c.version++
	}
	return updates, nil
}

// look collects what a filter sees now; an object that is gone is not an error but leaves.
func (c *collector) look(ctx *simulator.Context, spec types.PropertyFilterSpec) (view, types.BaseMethodFault) {
	spec.ReportMissingObjectsInResults = types.NewBool(true)
	objects, fault := c.collect(ctx, []types.PropertyFilterSpec{spec})
	if fault != nil {
		return nil, fault.VimFault().(types.BaseMethodFault)
	}
	now := view{}
	for _, object := range objects {
		values := properties{}
		for _, property := range object.PropSet {
			values[property.Name] = property.Val
		}
		now[object.Obj] = values
	}
	return now, nil
}

func difference(old, now view) []types.ObjectUpdate {
	var updates []types.ObjectUpdate
	for ref, values := range now {
		kind := types.ObjectUpdateKindModify
		if _, known := old[ref]; !known {
			kind = types.ObjectUpdateKindEnter
		}
		changes := changedProperties(old[ref], values)
		if len(changes) > 0 || kind == types.ObjectUpdateKindEnter {
			updates = append(updates, types.ObjectUpdate{Kind: kind, Obj: ref, ChangeSet: changes})
		}
	}
	for ref := range old {
		if _, still := now[ref]; !still {
			updates = append(updates, types.ObjectUpdate{Kind: types.ObjectUpdateKindLeave, Obj: ref})
		}
	}
	return updates
}

func changedProperties(old, now properties) []types.PropertyChange {
	var changes []types.PropertyChange
	for name, value := range now {
		if before, known := old[name]; !known || !reflect.DeepEqual(before, value) {
			changes = append(changes, types.PropertyChange{Name: name, Op: types.PropertyChangeOpAssign, Val: value})
		}
	}
	for name := range old {
		if _, still := now[name]; !still {
			changes = append(changes, types.PropertyChange{Name: name, Op: types.PropertyChangeOpAssign})
		}
	}
	return changes
}
