package main

import (
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// task runs in the background and can be cancelled; the library's are over before their call returns.
type task struct {
	mo.Task
	cancel    sync.Once
	cancelled chan struct{}
}

// work is what a task does at its end, under the exclusive inventory lock.
type work func(*simulator.Context) (types.AnyType, types.BaseMethodFault)

// start begins a task on entity that lasts a while and then does its work, or fails as the faults say for that method
// and name.
func (v *vcenter) start(entity mo.Reference, method, name string, lasts seconds, do work) types.ManagedObjectReference {
	t := v.newTask(entity, method)
	simulator.Map.Put(t)
	go func() {
		t.update(types.PropertyChange{Name: "info.startTime", Val: time.Now()},
			types.PropertyChange{Name: "info.state", Val: types.TaskInfoStateRunning},
			types.PropertyChange{Name: "info.progress", Val: int32(17)})
		select {
		case <-time.After(lasts.duration()):
		case <-t.cancelled:
			t.finish(func(*simulator.Context) (types.AnyType, types.BaseMethodFault) { return nil, &types.RequestCanceled{} }, "")
			return
		}
		fault, message := v.faults.take(method, name, inTask, entity.Reference())
		if fault != nil {
			do = func(*simulator.Context) (types.AnyType, types.BaseMethodFault) { return nil, fault }
		}
		t.finish(do, message)
	}()
	return t.Self
}

func (v *vcenter) newTask(entity mo.Reference, method string) *task {
	ref := entity.Reference()
	t := &task{cancelled: make(chan struct{})}
	t.Self = types.ManagedObjectReference{Type: "Task", Value: fmt.Sprintf("background-%d", v.serial.next())} // the library's: task-1 …
	t.Info = types.TaskInfo{
		Key:           t.Self.Value,
		Task:          t.Self,
		Name:          method,
		DescriptionId: ref.Type + "." + method,
		Entity:        &ref,
		EntityName:    nameOf(ref),
		State:         types.TaskInfoStateQueued,
		Cancelable:    true,
		Reason:        &types.TaskReasonUser{UserName: v.config.Username},
		QueueTime:     time.Now(),
	}
	return t
}

// CancelTask ends the task with RequestCanceled, unless its work has begun.
func (t *task) CancelTask(*types.CancelTask) soap.HasFault {
	t.cancel.Do(func() { close(t.cancelled) })
	return &methods.CancelTaskBody{Res: &types.CancelTaskResponse{}}
}

func (t *task) update(changes ...types.PropertyChange) {
	inventory.Lock()
	defer inventory.Unlock()
	simulator.Map.Update(t, changes)
}

// finish does the work; a fault comes with the message, or with one of its own where that is empty.
func (t *task) finish(do work, message string) {
	inventory.Lock()
	defer inventory.Unlock()
	result, fault := safely(do)
	changes := []types.PropertyChange{
		{Name: "info.completeTime", Val: time.Now()},
		{Name: "info.cancelable", Val: false},
		{Name: "info.state", Val: types.TaskInfoStateSuccess},
		{Name: "info.result", Val: result},
	}
	if fault != nil {
		if message == "" {
			message = faultMessage(fault)
		}
		changes[2].Val = types.TaskInfoStateError
		changes[3] = types.PropertyChange{Name: "info.error", Val: types.LocalizedMethodFault{
			Fault: fault, LocalizedMessage: message}}
	}
	simulator.Map.Update(t, changes)
}

// safely turns a crash of the library into a fault of this task alone.
func safely(do work) (result types.AnyType, fault types.BaseMethodFault) {
	defer func() {
		if problem := recover(); problem != nil {
			fmt.Fprintf(os.Stderr, "simulator: %v\n%s", problem, debug.Stack())
			result, fault = nil, &types.SystemError{Reason: fmt.Sprint(problem)}
		}
	}()
	return do(newContext())
}

// outcome is the result of a call into the library, whose tasks are over when it returns.
func outcome(body soap.HasFault) (types.AnyType, types.BaseMethodFault) {
	if fault := body.Fault(); fault != nil {
		return nil, fault.VimFault().(types.BaseMethodFault)
	}
	response := reflect.ValueOf(body).Elem().FieldByName("Res").Elem()
	ref := response.FieldByName("Returnval").Interface().(types.ManagedObjectReference)
	info := simulator.Map.Get(ref).(*simulator.Task).Info
	simulator.Map.Remove(ref)
	if info.Error != nil {
		return nil, info.Error.Fault
	}
	return info.Result, nil
}

func nameOf(ref types.ManagedObjectReference) string {
	if entity, ok := simulator.Map.Get(ref).(mo.Entity); ok {
		return entity.Entity().Name
	}
	return ""
}
