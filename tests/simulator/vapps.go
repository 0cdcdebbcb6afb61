package main

import (
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// A vApp is a resource pool that is listed in a folder of machines, and whose machines are listed in it alone: they have no
// parent. The library gives them one, which it needs itself; ours is not told (see collect).

func addVApps(datacenter *simulator.Datacenter, names []string) {
	hosts := simulator.Map.Get(datacenter.HostFolder).(*simulator.Folder)
	cluster := simulator.Map.Get(hosts.ChildEntity[0]).(*simulator.ClusterComputeResource)
	pool := simulator.Map.Get(*cluster.ResourcePool).(*simulator.ResourcePool)
	folder := simulator.Map.Get(datacenter.VmFolder).(*simulator.Folder)
	for _, name := range names {
		pool.CreateVApp(&types.CreateVApp{This: pool.Self, Name: name, ResSpec: types.DefaultResourceConfigSpec()})
		folder.ChildEntity = append(folder.ChildEntity, simulator.Map.FindByName(name, pool.ResourcePool.ResourcePool).Reference())
	}
}

func vappAt(at place) *simulator.VirtualApp {
	app, _ := simulator.Map.Get(at.pool).(*simulator.VirtualApp)
	return app
}

func childrenAt(at place) []types.ManagedObjectReference {
	if app := vappAt(at); app != nil {
		return app.Vm
	}
	return at.folder.ChildEntity
}

func (m *machine) enterVApp(at place) {
	if app := vappAt(at); app != nil {
		m.ParentVApp = &app.Self
		simulator.RemoveReference(&at.folder.ChildEntity, m.Self)
	}
}

func (m *machine) leaveVApp() {
	if m.ParentVApp != nil {
		simulator.RemoveReference(&simulator.Map.Get(*m.ParentVApp).(*simulator.VirtualApp).Vm, m.Self)
	}
}

// withoutParent is what is told of a machine in a vApp.
func withoutParent(object types.ObjectContent) []types.DynamicProperty {
	m, ok := simulator.Map.Get(object.Obj).(*machine)
	if !ok || m.ParentVApp == nil {
		return object.PropSet
	}
	var told []types.DynamicProperty
	for _, property := range object.PropSet {
		if property.Name != "parent" {
			told = append(told, property)
		}
	}
	return told
}
