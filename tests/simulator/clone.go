package main

import (
	"math/rand"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// place is where a machine is made.
type place struct {
	folder    *simulator.Folder
	pool      types.ManagedObjectReference
	host      types.ManagedObjectReference
	datastore *simulator.Datastore
}

// CloneVMTask takes its time and honours the whole specification; the library's own shares devices between the clones.
func (m *machine) CloneVMTask(_ *simulator.Context, req *types.CloneVM_Task) soap.HasFault {
	clone := func(ctx *simulator.Context) (types.AnyType, types.BaseMethodFault) { return m.clone(ctx, req) }
	task := m.vcenter.start(m, "CloneVM_Task", req.Name, m.vcenter.config.CloneTime, clone)
	return &methods.CloneVM_TaskBody{Res: &types.CloneVM_TaskResponse{Returnval: task}}
}

func (m *machine) clone(ctx *simulator.Context, req *types.CloneVM_Task) (types.AnyType, types.BaseMethodFault) {
	at, fault := m.placeFor(req)
	if fault != nil {
		return nil, fault
	}
	if taken := simulator.Map.FindByName(req.Name, childrenAt(at)); taken != nil {
		return nil, &types.DuplicateName{Name: req.Name, Object: taken.Reference()}
	}
	parent, fault := m.parentDisk(req.Spec)
	if fault != nil {
		return nil, fault
	}
	inherited := m.hardware
	inherited.mac = m.manualAddress()
	vm, fault := m.vcenter.createVM(ctx, at, req.Name, inherited, parent)
	if fault != nil {
		return nil, fault
	}
	vm.enterVApp(at)
	vm.policies = policiesOf(req.Spec)
	vm.Config.Version, vm.Config.Firmware = m.Config.Version, m.Config.Firmware
	if parent != nil {
		vm.linkedTo = m.snapshotName(req.Spec.Snapshot)
	}
	vm.replaceExtraConfig(m.Config.ExtraConfig) // all of it, whoever wrote it
	vm.Config.Annotation = m.Config.Annotation
	m.vcenter.forget(&req.Spec)
	if fault := vm.finishClone(ctx, req.Spec); fault != nil {
		_, _ = vm.destroy(ctx) // a failed clone leaves nothing
		return nil, fault
	}
	return vm.Self, nil
}

// finishClone makes the copy what its specification says.
func (m *machine) finishClone(ctx *simulator.Context, spec types.VirtualMachineCloneSpec) types.BaseMethodFault {
	config := types.VirtualMachineConfigSpec{}
	if spec.Config != nil {
		config = *spec.Config
	}
	config.DeviceChange = append(spec.Location.DeviceChange, config.DeviceChange...)
	if !m.vcenter.config.TakesFilesLiterally {
		keepOwnFiles(config.DeviceChange)
	}
	if fault := m.reconfigure(ctx, config); fault != nil {
		return fault
	}
	if spec.Template {
		m.MarkAsTemplate(&types.MarkAsTemplate{This: m.Self})
		return nil
	}
	if spec.PowerOn {
		_, fault := m.powerOn(ctx)
		return fault
	}
	return nil
}

// keepOwnFiles forgets the files that edits of disks name: clients send the template's, and vCenter puts the clone's there.
func keepOwnFiles(changes []types.BaseVirtualDeviceConfigSpec) {
	for _, change := range changes {
		spec := change.GetVirtualDeviceConfigSpec()
		if disk, ok := spec.Device.(*types.VirtualDisk); ok && spec.Operation == types.VirtualDeviceConfigSpecOperationEdit {
			disk.Backing = nil
		}
	}
}

// placeFor resolves where the clone goes; what the specification leaves out is the source's.
func (m *machine) placeFor(req *types.CloneVM_Task) (place, types.BaseMethodFault) {
	folder, ok := simulator.Map.Get(req.Folder).(*simulator.Folder)
	if !ok {
		return place{}, &types.ManagedObjectNotFound{Obj: req.Folder}
	}
	pool := req.Spec.Location.Pool
	if pool == nil {
		pool = m.ResourcePool // a template has none
	}
	if pool == nil {
		return place{}, &types.InvalidArgument{InvalidProperty: "spec.location.pool"}
	}
	cluster, ok := clusterOf(*pool)
	if !ok {
		return place{}, &types.ManagedObjectNotFound{Obj: *pool}
	}
	datastore, ok := simulator.Map.Get(m.Datastore[0]).(*simulator.Datastore)
	if wanted := req.Spec.Location.Datastore; wanted != nil {
		datastore, ok = simulator.Map.Get(*wanted).(*simulator.Datastore)
	}
	if !ok {
		return place{}, &types.ManagedObjectNotFound{Obj: *req.Spec.Location.Datastore}
	}
	if simulator.FindReference(cluster.Datastore, datastore.Self) == nil {
		return place{}, &types.InvalidArgument{InvalidProperty: "spec.location.datastore"}
	}
	if req.Spec.Location.Host == nil && !choosesHosts(cluster) {
		return place{}, &types.InvalidArgument{InvalidProperty: "spec.location.host"}
	}
	host := cluster.Host[rand.Intn(len(cluster.Host))]
	if req.Spec.Location.Host != nil {
		host = *req.Spec.Location.Host
	}
	return place{folder: folder, pool: *pool, host: host, datastore: datastore}, nil
}

// clusterOf climbs from a resource pool to its cluster.
func clusterOf(pool types.ManagedObjectReference) (*simulator.ClusterComputeResource, bool) {
	for ref := &pool; ref != nil; {
		switch entity := simulator.Map.Get(*ref).(type) {
		case *simulator.ClusterComputeResource:
			return entity, true
		case mo.Entity:
			ref = entity.Entity().Parent
		default:
			return nil, false
		}
	}
	return nil, false
}

// parentDisk is the disk below a linked clone's; nil for a full clone.
func (m *machine) parentDisk(spec types.VirtualMachineCloneSpec) (*types.VirtualDiskFlatVer2BackingInfo, types.BaseMethodFault) {
	if spec.Location.DiskMoveType != string(types.VirtualMachineRelocateDiskMoveOptionsCreateNewChildDiskBacking) {
		return nil, nil
	}
	if m.snapshotName(spec.Snapshot) == "" {
		return nil, &types.InvalidArgument{InvalidProperty: "spec.snapshot"}
	}
	for _, device := range m.Config.Hardware.Device {
		if disk, ok := device.(*types.VirtualDisk); ok {
			return disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo), nil
		}
	}
	return nil, nil
}
