package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// serveAdmin starts the port through which a test looks behind the scenes, and answers its URL. Plain HTTP, JSON.
func (v *vcenter) serveAdmin() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/counts", v.answerCounts)
	mux.HandleFunc("/reset", v.resetCounts)
	mux.HandleFunc("/vms", answerVMs)
	mux.HandleFunc("/clusters", answerClusters)
	mux.HandleFunc("/sessions", v.answerSessions)
	mux.HandleFunc("/expire-sessions", v.expireSessions)
	mux.HandleFunc("/faults", v.changeFaults)
	mux.HandleFunc("/guests", v.changeGuests)
	mux.HandleFunc("/machines", v.createMachine)
	mux.HandleFunc("/copy", v.copyMachine)
	mux.HandleFunc("/extra-config", changeExtraConfig)
	mux.HandleFunc("/destroy", destroyMachine)
	mux.HandleFunc("/disks", answerDisks)
	mux.HandleFunc("/attach", attachDisk)
	mux.HandleFunc("/snapshot", takeSnapshot)
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}

func (v *vcenter) answerCounts(w http.ResponseWriter, _ *http.Request) { answer(w, v.counts.all()) }

func (v *vcenter) resetCounts(w http.ResponseWriter, _ *http.Request) {
	v.counts.reset()
	answer(w, nil)
}

// changeFaults adds a fault (POST) or removes all (DELETE).
func (v *vcenter) changeFaults(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodDelete {
		v.faults.clear()
		answer(w, nil)
		return
	}
	rule := &faultConfig{}
	if !read(w, r, rule) {
		return
	}
	if err := v.faults.add(rule); err != nil {
		refuse(w, err)
		return
	}
	answer(w, nil)
}

// changeGuests replaces the rules for machines that are powered on from now on.
func (v *vcenter) changeGuests(w http.ResponseWriter, r *http.Request) {
	var rules []guestConfig
	if read(w, r, &rules) {
		v.guests.replace(rules)
		answer(w, nil)
	}
}

// createMachine makes a machine as somebody else would.
func (v *vcenter) createMachine(w http.ResponseWriter, r *http.Request) {
	var machine machineConfig
	if !read(w, r, &machine) {
		return
	}
	inventory.Lock()
	defer inventory.Unlock()
	if err := v.addMachine(newContext(), machine); err != nil {
		refuse(w, err)
		return
	}
	answer(w, nil)
}

// copyWish is a copy that somebody makes of a machine: a full one, or a linked one of its current snapshot.
type copyWish struct {
	Machine string `json:"machine"`
	Path    string `json:"path"`
	Linked  bool   `json:"linked"`
}

func (v *vcenter) copyMachine(w http.ResponseWriter, r *http.Request) {
	var wish copyWish
	if !read(w, r, &wish) {
		return
	}
	withMachine(w, wish.Machine, func(m *machine) error {
		ctx := newContext()
		at := firstPlace(ctx, wish.Path)
		spec := types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Pool: &at.pool, Host: &at.host}}
		if wish.Linked {
			spec.Location.DiskMoveType = string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking)
			spec.Snapshot = m.Snapshot.CurrentSnapshot
		}
		_, fault := m.clone(ctx, &types.CloneVM_Task{Folder: at.folder.Self, Name: path.Base(wish.Path), Spec: spec})
		if fault != nil {
			return fmt.Errorf("%T", fault)
		}
		return nil
	})
}

// changeExtraConfig sets extraConfig as the guest inside of the machine, or somebody else, would.
func changeExtraConfig(w http.ResponseWriter, r *http.Request) {
	var change machineConfig
	if !read(w, r, &change) {
		return
	}
	withMachine(w, change.Path, func(m *machine) error {
		m.setExtraConfig(change.ExtraConfig)
		return nil
	})
}

// destroyMachine removes a machine as somebody else would.
func destroyMachine(w http.ResponseWriter, r *http.Request) {
	var which machineConfig
	if !read(w, r, &which) {
		return
	}
	withMachine(w, which.Path, func(m *machine) error {
		if m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn {
			if _, fault := m.powerOff(newContext()); fault != nil {
				return fmt.Errorf("%T", fault)
			}
		}
		if _, fault := m.destroy(newContext()); fault != nil {
			return fmt.Errorf("%T", fault)
		}
		return nil
	})
}

// withMachine acts on the machine of that name, under the exclusive lock.
func withMachine(w http.ResponseWriter, name string, act func(*machine) error) {
	inventory.Lock()
	defer inventory.Unlock()
	for _, entity := range simulator.Map.All("VirtualMachine") {
		m := entity.(*machine)
		if m.Name != path.Base(name) {
			continue
		}
		if err := act(m); err != nil {
			refuse(w, err)
			return
		}
		answer(w, nil)
		return
	}
	refuse(w, fmt.Errorf("no machine is called %s", name))
}

func read(w http.ResponseWriter, r *http.Request, into interface{}) bool {
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		refuse(w, err)
		return false
	}
	return true
}

func answer(w http.ResponseWriter, value interface{}) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, err error) { http.Error(w, err.Error(), http.StatusBadRequest) }
