package main

import (
	"sort"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// addNetworks makes switches with their port groups, and opaque networks, which every cluster reaches at first. Two switches
// may have port groups of one name, in one folder, where that begins with `NSX-`: NSX makes them so.
func (v *vcenter) addNetworks(ctx *simulator.Context, datacenter *simulator.Datacenter) {
	folder := simulator.Map.Get(datacenter.NetworkFolder).(*simulator.Folder)
	before := map[types.ManagedObjectReference]bool{}
	for _, known := range folder.ChildEntity {
		before[known] = true
	}
	names := []string{}
	for name := range v.config.Switches {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		addSwitch(ctx, folder, name, v.config.Switches[name])
	}
	for _, name := range v.config.Opaque {
		_ = folder.AddOpaqueNetwork(types.OpaqueNetworkSummary{
			NetworkSummary: types.NetworkSummary{Name: name}, OpaqueNetworkId: "id-of-" + name})
	}
	for _, network := range folder.ChildEntity {
		if !before[network] && network.Type != "DistributedVirtualSwitch" {
			showEverywhere(network)
		}
	}
}

func addSwitch(ctx *simulator.Context, folder *simulator.Folder, name string, groups []string) {
	spec := &types.VMwareDVSConfigSpec{DVSConfigSpec: types.DVSConfigSpec{Name: name}}
	made, _ := outcome(folder.CreateDVSTask(ctx, &types.CreateDVS_Task{
		This: folder.Self, Spec: types.DVSCreateSpec{ConfigSpec: spec}}))
	dvs := simulator.Map.Get(made.(types.ManagedObjectReference)).(*simulator.DistributedVirtualSwitch)
	for _, host := range simulator.Map.All("HostSystem") {
		dvs.Summary.HostMember = append(dvs.Summary.HostMember, host.Reference())
	}
	var specs []types.DVPortgroupConfigSpec
	for _, group := range groups {
		specs = append(specs, types.DVPortgroupConfigSpec{Name: group})
	}
	_, _ = outcome(dvs.AddDVPortgroupTask(ctx, &types.AddDVPortgroup_Task{This: dvs.Self, Spec: specs}))
}

func showEverywhere(network types.ManagedObjectReference) {
	for _, entity := range simulator.Map.All("ClusterComputeResource") {
		cluster := entity.(*simulator.ClusterComputeResource)
		cluster.Network = append(cluster.Network, network)
		for _, ref := range cluster.Host {
			host := simulator.Map.Get(ref).(*simulator.HostSystem)
			host.Network = append(host.Network, network)
		}
	}
}

// hide takes datastores and networks from all clusters but one.
func hide(alone map[string]string) {
	for _, entity := range simulator.Map.All("ClusterComputeResource") {
		cluster := entity.(*simulator.ClusterComputeResource)
		cluster.Datastore = without(cluster.Datastore, alone, cluster.Name)
		cluster.Network = without(cluster.Network, alone, cluster.Name)
		for _, ref := range cluster.Host {
			host := simulator.Map.Get(ref).(*simulator.HostSystem)
			host.Datastore = without(host.Datastore, alone, cluster.Name)
			host.Network = without(host.Network, alone, cluster.Name)
		}
	}
}

func without(refs []types.ManagedObjectReference, alone map[string]string, cluster string) []types.ManagedObjectReference {
	left := []types.ManagedObjectReference{}
	for _, ref := range refs {
		name := nameOf(ref)
		if network, ok := simulator.Map.Get(ref).(*mo.OpaqueNetwork); ok {
			name = network.Network.Name
		}
		if owner, limited := alone[name]; limited && owner != cluster {
			continue
		}
		if owner, limited := alone[ref.Value]; limited && owner != cluster {
			continue
		}
		left = append(left, ref)
	}
	return left
}

// opaqueNetwork is the one that a card's backing names, if the host reaches it.
func opaqueNetwork(id, kind string, host types.ManagedObjectReference) *mo.OpaqueNetwork {
	for _, ref := range networksOf(host) {
		if network, ok := simulator.Map.Get(ref).(*mo.OpaqueNetwork); ok {
			summary := network.Summary.(*types.OpaqueNetworkSummary)
			if summary.OpaqueNetworkId == id && summary.OpaqueNetworkType == kind {
				return network
			}
		}
	}
	return nil
}
