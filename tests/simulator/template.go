package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// What becomes a template is renamed, shut down and remembered by a snapshot: by tasks that take time, as with vCenter.

func (m *machine) RenameTask(req *types.Rename_Task) soap.HasFault {
	task := m.start("Rename_Task", func(*simulator.Context) (types.AnyType, types.BaseMethodFault) {
		folder := simulator.Map.Get(*m.Parent).(*simulator.Folder)
		if taken := simulator.Map.FindByName(req.NewName, folder.ChildEntity); taken != nil {
			return nil, &types.DuplicateName{Name: req.NewName, Object: taken.Reference()}
		}
		simulator.Map.Update(m, []types.PropertyChange{{Name: "name", Val: req.NewName}})
		return nil, nil
	})
	return &methods.Rename_TaskBody{Res: &types.Rename_TaskResponse{Returnval: task}}
}

func (m *machine) CreateSnapshotTask(req *types.CreateSnapshot_Task) soap.HasFault {
	task := m.start("CreateSnapshot_Task", func(*simulator.Context) (types.AnyType, types.BaseMethodFault) {
		m.snapshot(req.Name)
		return *m.Snapshot.CurrentSnapshot, nil
	})
	return &methods.CreateSnapshot_TaskBody{Res: &types.CreateSnapshot_TaskResponse{Returnval: task}}
}

// ShutdownGuest answers at once, and the guest takes its time.
func (m *machine) ShutdownGuest(_ *simulator.Context, req *types.ShutdownGuest) soap.HasFault {
	if m.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		return &methods.ShutdownGuestBody{Fault_: simulator.Fault("", &types.InvalidPowerState{
			RequestedState: types.VirtualMachinePowerStatePoweredOn, ExistingState: m.Runtime.PowerState})}
	}
	m.later(m.vcenter.config.TaskTime, func() { _, _ = m.powerOff(newContext()) })
	return &methods.ShutdownGuestBody{Res: &types.ShutdownGuestResponse{}}
}
