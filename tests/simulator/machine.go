package main

import (
	"sort"
	"time"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// machine is the library's virtual machine with tasks that take time, extraConfig that replaces, and a guest.
type machine struct {
	simulator.VirtualMachine
	vcenter  *vcenter
	hardware hardware
	policies []string // ids of storage policies that it was made with
	linkedTo string   // name of the snapshot that its disk lies above
	boots    int      // power-ons so far: what a guest planned before the last one is void
	leased   bool     // it is being imported, and nothing may change it
	uploads  map[string]uploadDump
}

// createVM makes a machine from hardware, powered off. A linked one keeps a parent's disk below its own.
func (v *vcenter) createVM(
	ctx *simulator.Context, at place, name string, h hardware, parent *types.VirtualDiskFlatVer2BackingInfo,
) (*machine, types.BaseMethodFault) {
	devices, fault := h.devices(at, v.serial.next(), parent)
	if fault != nil {
		return nil, fault
	}
	spec := types.VirtualMachineConfigSpec{
		Name:         name,
		Uuid:         uuid.New().String(),
		InstanceUuid: uuid.New().String(),
		GuestId:      string(types.VirtualMachineGuestOsIdentifierUbuntu64Guest),
		NumCPUs:      h.cpu,
		MemoryMB:     h.memoryMiB,
		Files:        &types.VirtualMachineFileInfo{VmPathName: "[" + at.datastore.Name + "] " + name},
		DeviceChange: devices,
	}
	created, fault := outcome(at.folder.CreateVMTask(ctx, &types.CreateVM_Task{
		This: at.folder.Self, Config: spec, Pool: at.pool, Host: &at.host}))
	if fault != nil {
		return nil, fault
	}
	return v.adopt(created.(types.ManagedObjectReference), h), nil
}

// adopt puts our machine in the place of the library's.
func (v *vcenter) adopt(ref types.ManagedObjectReference, h hardware) *machine {
	library := simulator.Map.Get(ref).(*simulator.VirtualMachine)
	m := &machine{VirtualMachine: *library, vcenter: v, hardware: h}
	m.Guest.Net = nil // known only while the guest runs
	simulator.Map.Remove(ref)
	simulator.Map.Put(m)
	return m
}

func (m *machine) snapshot(name string) {
	snapshot := &simulator.VirtualMachineSnapshot{}
	snapshot.Vm = m.Self
	snapshot.Config = *m.Config
	simulator.Map.Put(snapshot)
	if m.Snapshot == nil {
		m.Snapshot = &types.VirtualMachineSnapshotInfo{}
	}
	level := &m.Snapshot.RootSnapshotList
	for len(*level) > 0 { // below the current one
		level = &(*level)[0].ChildSnapshotList
	}
	*level = []types.VirtualMachineSnapshotTree{{
		Snapshot: snapshot.Self, Vm: m.Self, Name: name, CreateTime: time.Now(), State: m.Runtime.PowerState}}
	m.Snapshot.CurrentSnapshot = &snapshot.Self
}

// snapshotName is that of one of the machine's snapshots; "" for any other.
func (m *machine) snapshotName(ref *types.ManagedObjectReference) string {
	if m.Snapshot == nil || ref == nil {
		return ""
	}
	for level := m.Snapshot.RootSnapshotList; len(level) > 0; level = level[0].ChildSnapshotList {
		if level[0].Snapshot == *ref {
			return level[0].Name
		}
	}
	return ""
}

// start begins a task on this machine that lasts as long as tasks do.
func (m *machine) start(method string, do work) types.ManagedObjectReference {
	return m.vcenter.start(m, method, m.Name, m.vcenter.config.TaskTime, func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		if simulator.Map.Get(m.Self) == nil {
			return nil, &types.ManagedObjectNotFound{Obj: m.Self}
		}
		if m.leased {
			return nil, &types.TaskInProgress{Task: types.ManagedObjectReference{Type: "Task", Value: "import"}}
		}
		return do(ctx)
	})
}

func (m *machine) PowerOnVMTask(*simulator.Context, *types.PowerOnVM_Task) soap.HasFault {
	return &methods.PowerOnVM_TaskBody{Res: &types.PowerOnVM_TaskResponse{Returnval: m.start("PowerOnVM_Task", m.powerOn)}}
}

func (m *machine) powerOn(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
	_, fault := outcome(m.VirtualMachine.PowerOnVMTask(ctx, &types.PowerOnVM_Task{This: m.Self}))
	if fault == nil {
		now := time.Now()
		m.Runtime.BootTime = &now
		m.boot()
	}
	return nil, fault
}

func (m *machine) PowerOffVMTask(*simulator.Context, *types.PowerOffVM_Task) soap.HasFault {
	return &methods.PowerOffVM_TaskBody{Res: &types.PowerOffVM_TaskResponse{Returnval: m.start("PowerOffVM_Task", m.powerOff)}}
}

func (m *machine) powerOff(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
	_, fault := outcome(m.VirtualMachine.PowerOffVMTask(ctx, &types.PowerOffVM_Task{This: m.Self}))
	if fault == nil {
		m.halt()
	}
	return nil, fault
}

func (m *machine) DestroyTask(*simulator.Context, *types.Destroy_Task) soap.HasFault {
	return &methods.Destroy_TaskBody{Res: &types.Destroy_TaskResponse{Returnval: m.start("Destroy_Task", m.destroy)}}
}

func (m *machine) destroy(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
	folder := m.Config.Files.LogDirectory
	m.Config.Files.LogDirectory = m.Config.Files.VmPathName // the library deletes it whole, with disks that are not attached
	_, fault := outcome(m.VirtualMachine.DestroyTask(ctx, &types.Destroy_Task{This: m.Self}))
	m.Config.Files.LogDirectory = folder
	if fault == nil {
		deleteOtherFiles(folder)
		m.deleteSnapshotDisks()
		m.leaveVApp()
		m.vcenter.rest.forget(m.Self)
		leaveRules(m.Self)
	}
	return nil, fault
}

func (m *machine) ReconfigVMTask(_ *simulator.Context, req *types.ReconfigVM_Task) soap.HasFault {
	task := m.start("ReconfigVM_Task", func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) {
		return nil, m.reconfigure(ctx, req.Spec)
	})
	return &methods.ReconfigVM_TaskBody{Res: &types.ReconfigVM_TaskResponse{Returnval: task}}
}

// reconfigure applies the whole specification or, if anything in it is wrong, nothing.
func (m *machine) reconfigure(ctx *simulator.Context, spec types.VirtualMachineConfigSpec) types.BaseMethodFault {
	if fault := m.checkDevices(spec.DeviceChange); fault != nil {
		return fault
	}
	if isTrue(spec.VAppConfigRemoved) {
		m.Config.VAppConfig = nil
	}
	options := spec.ExtraConfig
	spec.ExtraConfig = nil // the library would append duplicates
	_, fault := outcome(m.VirtualMachine.ReconfigVMTask(ctx, &types.ReconfigVM_Task{This: m.Self, Spec: spec}))
	if fault == nil {
		m.replaceExtraConfig(options)
	}
	return fault
}

func (m *machine) setExtraConfig(values map[string]string) {
	var options []types.BaseOptionValue
	for key, value := range values {
		options = append(options, &types.OptionValue{Key: key, Value: value})
	}
	sort.Slice(options, func(i, j int) bool { return options[i].GetOptionValue().Key < options[j].GetOptionValue().Key })
	m.replaceExtraConfig(options)
}

// replaceExtraConfig sets options as vCenter does: one value a key, and an empty value deletes its key.
func (m *machine) replaceExtraConfig(options []types.BaseOptionValue) {
	changed := map[string]bool{}
	for _, option := range options {
		changed[option.GetOptionValue().Key] = true
	}
	var all []types.BaseOptionValue
	for _, old := range m.Config.ExtraConfig {
		if !changed[old.GetOptionValue().Key] {
			all = append(all, old)
		}
	}
	for _, option := range options {
		if option.GetOptionValue().Value != "" {
			all = append(all, option)
		}
	}
	simulator.Map.Update(m, []types.PropertyChange{{Name: "config.extraConfig", Val: all}})
}

// leaveRules takes a destroyed machine out of its cluster's rules and groups, as vCenter does.
func leaveRules(vm types.ManagedObjectReference) {
	for _, entity := range simulator.Map.All("ClusterComputeResource") {
		config := entity.(*simulator.ClusterComputeResource).ConfigurationEx.(*types.ClusterConfigInfoEx)
		for _, rule := range config.Rule {
			switch rule := rule.(type) {
			case *types.ClusterAntiAffinityRuleSpec:
				simulator.RemoveReference(&rule.Vm, vm)
			case *types.ClusterAffinityRuleSpec:
				simulator.RemoveReference(&rule.Vm, vm)
			}
		}
		for _, group := range config.Group {
			if group, ok := group.(*types.ClusterVmGroup); ok {
				simulator.RemoveReference(&group.Vm, vm)
			}
		}
	}
}
