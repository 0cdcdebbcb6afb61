package main

import (
	"strings"

	"github.com/vmware/govmomi/ovf"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// ovfManager is the library's, which takes what it does not find for granted.
type ovfManager struct {
	simulator.OvfManager
	vcenter *vcenter
}

func (v *vcenter) addImports() {
	content := simulator.Map.Get(types.ManagedObjectReference{
		Type: "ServiceInstance", Value: "ServiceInstance"}).(*simulator.ServiceInstance).Content
	simulator.Map.Put(&ovfManager{*simulator.Map.Get(*content.OvfManager).(*simulator.OvfManager), v})
}

func (m *ovfManager) CreateImportSpec(ctx *simulator.Context, req *types.CreateImportSpec) soap.HasFault {
	refuse := func(fault types.BaseMethodFault) soap.HasFault {
		return &methods.CreateImportSpecBody{Fault_: simulator.Fault(faultMessage(fault), fault)}
	}
	cluster, ok := clusterOf(req.ResourcePool)
	switch {
	case m.vcenter.denies("VApp.Import"):
		return refuse(&types.NoPermission{Object: req.ResourcePool, PrivilegeId: "VApp.Import"})
	case !ok:
		return refuse(&types.ManagedObjectNotFound{Obj: req.ResourcePool})
	case simulator.FindReference(cluster.Datastore, req.Datastore) == nil:
		return refuse(&types.InvalidArgument{InvalidProperty: "datastore"})
	case req.Cisp.HostSystem == nil && !choosesHosts(cluster):
		return refuse(&types.InvalidArgument{InvalidProperty: "cisp.hostSystem"})
	}
	for _, mapped := range req.Cisp.NetworkMapping {
		if simulator.FindReference(cluster.Network, mapped.Network) == nil {
			return refuse(&types.InvalidArgument{InvalidProperty: "cisp.networkMapping"})
		}
	}
	body := m.OvfManager.CreateImportSpec(ctx, req)
	if made, ok := body.(*methods.CreateImportSpecBody); ok && made.Res != nil {
		m.addOthers(req, &made.Res.Returnval)
	}
	return body
}

// addOthers wants files that are no disks, such as a machine's NVRAM, of which the library does not know.
func (m *ovfManager) addOthers(req *types.CreateImportSpec, result *types.OvfCreateImportSpecResult) {
	known := map[string]bool{}
	for _, item := range result.FileItem {
		known[item.Path] = true
	}
	described, _ := ovf.Unmarshal(strings.NewReader(req.OvfDescriptor))
	m.vcenter.others = nil
	for _, file := range described.References {
		if !known[file.Href] {
			m.vcenter.others = append(m.vcenter.others, file.Href)
			result.FileItem = append(result.FileItem, types.OvfFileItem{
				DeviceId: "/" + req.Cisp.EntityName + "/" + file.Href, Path: file.Href, Create: true})
		}
	}
}
