package main

import (
	"fmt"
	"path"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// createModel makes datacenters, clusters, hosts, datastores and networks, and replaces the property collector by ours.
func (v *vcenter) createModel() error {
	v.model = simulator.VPX()
	v.model.Datacenter = v.config.Datacenters
	v.model.Cluster = v.config.Clusters
	v.model.ClusterHost = v.config.Hosts
	v.model.Pool = v.config.Pools
	v.model.Datastore = v.config.Datastores
	v.model.Portgroup = v.config.Portgroups
	v.model.Host = 0
	v.model.Machine = 0
	if err := v.model.Create(); err != nil {
		return err
	}
	library := simulator.Map.Get(types.ManagedObjectReference{Type: "PropertyCollector", Value: "propertyCollector"})
	ours := &collector{}
	ours.Self = library.Reference()
	simulator.Map.Put(ours)
	if !v.config.DRS {
		disableDRS()
	}
	addGroups(v.config.VMGroups)
	for _, datacenter := range datacenters() {
		v.addNetworks(newContext(), datacenter)
		addVApps(datacenter, v.config.VApps)
	}
	v.denyPrivileges()
	v.addImports()
	return nil
}

// populate adds folders, templates and machines.
func (v *vcenter) populate(ctx *simulator.Context) error {
	for _, datacenter := range datacenters() {
		for _, folder := range v.config.Folders {
			folderAt(ctx, datacenter, folder)
		}
		if v.config.DatastoreCluster != "" {
			poolDatastores(ctx, datacenter, v.config.DatastoreCluster)
		}
	}
	for _, template := range v.config.Templates {
		if err := v.addTemplate(ctx, template); err != nil {
			return fmt.Errorf("template %s: %w", template.Path, err)
		}
	}
	for _, machine := range v.config.Machines {
		if err := v.addMachine(ctx, machine); err != nil {
			return fmt.Errorf("machine %s: %w", machine.Path, err)
		}
	}
	hide(v.config.Alone)
	return nil
}

func (v *vcenter) addTemplate(ctx *simulator.Context, t templateConfig) error {
	hardware := hardware{cpu: t.CPU, memoryMiB: t.Memory, diskGiB: t.Disk, network: t.Network, mac: t.MAC}
	at := firstPlace(ctx, t.Path)
	for _, datacenter := range datacenters() {
		if datacenter.Name == t.Datacenter {
			at = placeIn(ctx, datacenter, t.Path)
		}
	}
	vm, fault := v.createVM(ctx, at, path.Base(t.Path), hardware, nil)
	if fault != nil {
		return fmt.Errorf("%T", fault)
	}
	vm.Config.Version, vm.Config.Firmware = t.Version, t.Firmware
	for _, name := range append(t.Earlier, t.Snapshot) {
		if name != "" {
			vm.snapshot(name)
		}
	}
	vm.MarkAsTemplate(&types.MarkAsTemplate{This: vm.Self})
	return nil
}

func (v *vcenter) addMachine(ctx *simulator.Context, m machineConfig) error {
	hardware := hardware{cpu: 1, memoryMiB: 1024, diskGiB: 1, network: "VM Network"}
	vm, fault := v.createVM(ctx, firstPlace(ctx, m.Path), path.Base(m.Path), hardware, nil)
	if fault != nil {
		return fmt.Errorf("%T", fault)
	}
	vm.setExtraConfig(m.ExtraConfig)
	if m.PowerOn {
		_, fault = vm.powerOn(ctx)
	}
	if fault != nil {
		return fmt.Errorf("%T", fault)
	}
	return nil
}

// firstPlace is a folder of the first datacenter, and its first cluster.
func firstPlace(ctx *simulator.Context, name string) place {
	return placeIn(ctx, datacenters()[0], name)
}

// placeIn is a folder of a datacenter, and its first cluster.
func placeIn(ctx *simulator.Context, datacenter *simulator.Datacenter, name string) place {
	folder := folderAt(ctx, datacenter, path.Dir(name))
	hosts := simulator.Map.Get(datacenter.HostFolder).(*simulator.Folder)
	cluster := simulator.Map.Get(hosts.ChildEntity[0]).(*simulator.ClusterComputeResource)
	datastore := simulator.Map.Get(cluster.Datastore[0]).(*simulator.Datastore)
	return place{folder: folder, pool: *cluster.ResourcePool, host: cluster.Host[0], datastore: datastore}
}

func datacenters() []*simulator.Datacenter {
	root := simulator.Map.Get(simulator.Map.Get(types.ManagedObjectReference{
		Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content.RootFolder).(*simulator.Folder)
	var found []*simulator.Datacenter
	for _, child := range root.ChildEntity {
		found = append(found, simulator.Map.Get(child).(*simulator.Datacenter))
	}
	return found
}

// folderAt finds a folder below the datacenter's vm folder and makes what is missing of it.
func folderAt(ctx *simulator.Context, datacenter *simulator.Datacenter, name string) *simulator.Folder {
	folder := simulator.Map.Get(datacenter.VmFolder).(*simulator.Folder)
	for _, part := range strings.Split(name, "/") {
		if part == "." || part == "" {
			continue
		}
		child, ok := simulator.Map.FindByName(part, folder.ChildEntity).(mo.Entity)
		if !ok {
			body := folder.CreateFolder(ctx, &types.CreateFolder{This: folder.Self, Name: part}).(*methods.CreateFolderBody)
			child = simulator.Map.Get(body.Res.Returnval).(mo.Entity)
		}
		folder = child.(*simulator.Folder)
	}
	return folder
}
