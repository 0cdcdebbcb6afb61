package main

import (
	"path"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// What a vCenter may have differently from the usual one.

// disableDRS leaves the choice of hosts to clients.
func disableDRS() {
	for _, entity := range simulator.Map.All("ClusterComputeResource") {
		config := entity.(*simulator.ClusterComputeResource).ConfigurationEx.(*types.ClusterConfigInfoEx)
		config.DrsConfig.Enabled = types.NewBool(false)
	}
}

func choosesHosts(cluster *simulator.ClusterComputeResource) bool {
	return *cluster.ConfigurationEx.(*types.ClusterConfigInfoEx).DrsConfig.Enabled
}

// addGroups makes empty DRS groups of machines.
func addGroups(names []string) {
	for _, entity := range simulator.Map.All("ClusterComputeResource") {
		config := entity.(*simulator.ClusterComputeResource).ConfigurationEx.(*types.ClusterConfigInfoEx)
		for _, name := range names {
			config.Group = append(config.Group, &types.ClusterVmGroup{ClusterGroupInfo: types.ClusterGroupInfo{Name: name}})
		}
	}
}

// poolDatastores puts all datastores of a datacenter into one datastore cluster.
func poolDatastores(ctx *simulator.Context, datacenter *simulator.Datacenter, name string) {
	folder := simulator.Map.Get(datacenter.DatastoreFolder).(*simulator.Folder)
	body := folder.CreateStoragePod(ctx, &types.CreateStoragePod{This: folder.Self, Name: name})
	pod := simulator.Map.Get(body.(*methods.CreateStoragePodBody).Res.Returnval).(*simulator.StoragePod)
	all := append([]types.ManagedObjectReference{}, datacenter.Datastore...) // moving changes the list
	pod.MoveIntoFolderTask(ctx, &types.MoveIntoFolder_Task{This: pod.Self, List: all})
}

// authorization is the library's manager, with privileges that the account does not have.
type authorization struct {
	simulator.AuthorizationManager
	vcenter *vcenter
}

func (v *vcenter) denyPrivileges() {
	library := simulator.Map.Get(*simulator.Map.Get(types.ManagedObjectReference{
		Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content.AuthorizationManager)
	simulator.Map.Put(&authorization{*library.(*simulator.AuthorizationManager), v})
}

func (a *authorization) HasPrivilegeOnEntities(req *types.HasPrivilegeOnEntities) soap.HasFault {
	body := a.AuthorizationManager.HasPrivilegeOnEntities(req).(*methods.HasPrivilegeOnEntitiesBody)
	for _, entity := range body.Res.Returnval {
		for i := range entity.PrivAvailability {
			entity.PrivAvailability[i].IsGranted = !a.vcenter.denies(entity.PrivAvailability[i].PrivId)
		}
	}
	return body
}

func (v *vcenter) denies(privilege string) bool {
	for _, pattern := range v.config.Denied {
		if fits, _ := path.Match(pattern, privilege); fits {
			return true
		}
	}
	return false
}

// forget takes out of a clone's specification what a careless server ignores.
func (v *vcenter) forget(spec *types.VirtualMachineCloneSpec) {
	for _, part := range v.config.CloneIgnores {
		switch {
		case part == "power":
			spec.PowerOn = false
		case part == "instance" && spec.Config != nil:
			config := *spec.Config
			config.InstanceUuid = ""
			spec.Config = &config
		case part == "size" && spec.Config != nil:
			config := *spec.Config
			config.NumCPUs, config.MemoryMB = 0, 0
			spec.Config = &config
		}
	}
}
