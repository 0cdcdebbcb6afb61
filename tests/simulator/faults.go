package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// when a fault happens: as the answer to the call, or as the end of its task.
const (
	inCall = "call"
	inTask = "task"
	onWire = "wire" // no fault of the API's, see trouble.go
)

// faultConfig is a fault that a test asks for.
type faultConfig struct {
	Method  string          `json:"method"` // of the API: CloneVM_Task …
	Name    string          `json:"name"`   // pattern: the clone's name, or that of the object that is called
	Fault   string          `json:"fault"`  // its type: NoPermission …
	Fields  json.RawMessage `json:"fields"` // of the fault
	Message string          `json:"message"`
	When    string          `json:"when"`  // "call" or "task"
	Times   int             `json:"times"` // 0: always
}

type faults struct {
	mu    sync.Mutex
	rules []*faultConfig
}

func (f *faults) add(rule *faultConfig) error {
	if _, err := newFault(rule); err != nil && rule.When != onWire {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = append(f.rules, rule)
	return nil
}

func (f *faults) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rules = nil
}

// take answers the fault that should happen now, if any, and its message. A fault that names an object, and was not told
// which, names the one that was called.
func (f *faults) take(method, name, when string, called types.ManagedObjectReference) (types.BaseMethodFault, string) {
	rule := f.next(method, name, when)
	if rule == nil {
		return nil, ""
	}
	fault, _ := newFault(rule)
	object := reflect.ValueOf(fault).Elem().FieldByName("Object")
	if object.IsValid() && object.Interface() == (types.ManagedObjectReference{}) {
		object.Set(reflect.ValueOf(called))
	}
	return fault, rule.Message
}

// takeTrouble answers the kind of trouble that should happen to a call now; "": none.
func (f *faults) takeTrouble(method, name string) string {
	if rule := f.next(method, name, onWire); rule != nil {
		return rule.Fault
	}
	return ""
}

// next uses up the first rule that fits.
func (f *faults) next(method, name, when string) *faultConfig {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, rule := range f.rules {
		if rule.When != when || !matches(rule.Method, method) || !matches(rule.Name, name) {
			continue
		}
		if rule.Times == 1 {
			f.rules = append(f.rules[:i:i], f.rules[i+1:]...)
		}
		rule.Times--
		return rule
	}
	return nil
}

func newFault(rule *faultConfig) (types.BaseMethodFault, error) {
	kind, ok := types.TypeFunc()(rule.Fault)
	if !ok {
		return nil, fmt.Errorf("no fault is called %q", rule.Fault)
	}
	value := reflect.New(kind).Interface()
	if len(rule.Fields) > 0 {
		if err := json.Unmarshal(rule.Fields, value); err != nil {
			return nil, fmt.Errorf("fields of %s: %w", rule.Fault, err)
		}
	}
	fault, ok := value.(types.BaseMethodFault)
	if !ok {
		return nil, fmt.Errorf("%s is no fault", rule.Fault)
	}
	return fault, nil
}

// faultMessage is the text that comes with a fault where no test gave one.
func faultMessage(fault types.BaseMethodFault) string {
	return "The simulator answers " + reflect.TypeOf(fault).Elem().Name() + "."
}
