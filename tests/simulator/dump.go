package main

import (
	"net/http"
	"sort"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// vmDump is what a test may assert of a machine.
type vmDump struct {
	ID          string                `json:"id"`
	Name        string                `json:"name"`
	Path        string                `json:"path"` // inventory path
	Power       string                `json:"power"`
	Template    bool                  `json:"template"`
	CPU         int32                 `json:"cpu"`
	Memory      int32                 `json:"memory_mib"`
	Annotation  string                `json:"annotation"`
	Pool        string                `json:"pool"`
	Host        string                `json:"host"`
	Datastores  []string              `json:"datastores"`
	Policies    []string              `json:"policies"`  // ids of storage policies, of its home first
	Tags        []string              `json:"tags"`      // `category/tag`
	LinkedTo    string                `json:"linked_to"` // name of the snapshot that its disk lies above
	Firmware    string                `json:"firmware"`
	SecureBoot  bool                  `json:"secure_boot"`
	Networks    []string              `json:"networks"`
	Cards       []cardDump            `json:"cards"`
	Disks       []diskDump            `json:"disks"`
	Properties  bool                  `json:"properties"` // it has those of an OVF template
	Uploads     map[string]uploadDump `json:"uploads"`    // by file
	Addresses   []string              `json:"addresses"`
	ExtraConfig map[string]string     `json:"extra_config"`
}

type cardDump struct {
	MAC    string `json:"mac_address"`
	Manual bool   `json:"manual"` // chosen by hand
}

type diskDump struct {
	GiB    int64  `json:"gib"`
	Linked bool   `json:"linked"`
	File   string `json:"file"`
}

func answerVMs(w http.ResponseWriter, _ *http.Request) {
	inventory.RLock()
	defer inventory.RUnlock()
	dumps := []vmDump{}
	for _, entity := range simulator.Map.All("VirtualMachine") {
		dumps = append(dumps, dump(entity.(*machine)))
	}
	sort.Slice(dumps, func(i, j int) bool { return dumps[i].Path < dumps[j].Path })
	answer(w, dumps)
}

func dump(m *machine) vmDump {
	d := vmDump{
		ID: m.Self.Value, Name: m.Name, Path: inventoryPath(m), Power: string(m.Runtime.PowerState), Template: m.Config.Template,
		CPU: m.Config.Hardware.NumCPU, Memory: m.Config.Hardware.MemoryMB, Annotation: m.Config.Annotation,
		Host: nameOf(*m.Runtime.Host), Addresses: []string{}, ExtraConfig: map[string]string{},
	}
	d.Policies, d.Tags = m.policies, m.vcenter.rest.names(m.Self)
	d.LinkedTo, d.Firmware = m.linkedTo, m.Config.Firmware
	d.Properties, d.Uploads = m.Config.VAppConfig != nil, m.uploads
	if m.Config.BootOptions != nil {
		d.SecureBoot = isTrue(m.Config.BootOptions.EfiSecureBootEnabled)
	}
	if m.ResourcePool != nil {
		d.Pool = nameOf(*m.ResourcePool)
	}
	for _, datastore := range m.Datastore {
		d.Datastores = append(d.Datastores, nameOf(datastore))
	}
	for _, device := range m.Config.Hardware.Device {
		switch device := device.(type) {
		case *types.VirtualDisk:
			linked := device.Backing.(*types.VirtualDiskFlatVer2BackingInfo).Parent != nil
			d.Disks = append(d.Disks, diskDump{GiB: device.CapacityInKB / kibPerGiB, Linked: linked, File: fileOf(device)})
		case types.BaseVirtualEthernetCard:
			card := device.GetVirtualEthernetCard()
			d.Networks = append(d.Networks, networkName(card))
			d.Cards = append(d.Cards, cardDump{MAC: card.MacAddress, Manual: isManual(card)})
		}
	}
	for _, nic := range m.Guest.Net {
		d.Addresses = append(d.Addresses, nic.IpAddress...)
	}
	for _, option := range m.Config.ExtraConfig {
		if value, ok := option.GetOptionValue().Value.(string); ok {
			d.ExtraConfig[option.GetOptionValue().Key] = value
		}
	}
	return d
}

func inventoryPath(entity mo.Entity) string {
	path := ""
	for entity.Entity().Parent != nil {
		path = "/" + entity.Entity().Name + path
		entity = simulator.Map.Get(*entity.Entity().Parent).(mo.Entity)
	}
	return path
}

// clusterDump is what a test may assert of a cluster: its rules and groups, as lists of machine names.
type clusterDump struct {
	Name   string              `json:"name"`
	Rules  []ruleDump          `json:"rules"`
	Groups map[string][]string `json:"groups"`
}

type ruleDump struct {
	Name      string   `json:"name"`
	Kind      string   `json:"kind"` // "anti-affinity" or "affinity"
	Enabled   bool     `json:"enabled"`
	Mandatory bool     `json:"mandatory"`
	VMs       []string `json:"vms"`
}

func answerClusters(w http.ResponseWriter, _ *http.Request) {
	inventory.RLock()
	defer inventory.RUnlock()
	dumps := []clusterDump{}
	for _, entity := range simulator.Map.All("ClusterComputeResource") {
		config := entity.(*simulator.ClusterComputeResource).ConfigurationEx.(*types.ClusterConfigInfoEx)
		d := clusterDump{Name: entity.Entity().Name, Rules: []ruleDump{}, Groups: map[string][]string{}}
		for _, rule := range config.Rule {
			d.Rules = append(d.Rules, dumpRule(rule))
		}
		for _, group := range config.Group {
			if vms, ok := group.(*types.ClusterVmGroup); ok {
				d.Groups[vms.Name] = namesOf(vms.Vm)
			}
		}
		dumps = append(dumps, d)
	}
	sort.Slice(dumps, func(i, j int) bool { return dumps[i].Name < dumps[j].Name })
	answer(w, dumps)
}

func dumpRule(rule types.BaseClusterRuleInfo) ruleDump {
	info := rule.GetClusterRuleInfo()
	d := ruleDump{Name: info.Name, Enabled: isTrue(info.Enabled), Mandatory: isTrue(info.Mandatory)}
	switch rule := rule.(type) {
	case *types.ClusterAntiAffinityRuleSpec:
		d.Kind, d.VMs = "anti-affinity", namesOf(rule.Vm)
	case *types.ClusterAffinityRuleSpec:
		d.Kind, d.VMs = "affinity", namesOf(rule.Vm)
	}
	return d
}

func namesOf(refs []types.ManagedObjectReference) []string {
	names := []string{}
	for _, ref := range refs {
		names = append(names, nameOf(ref))
	}
	sort.Strings(names)
	return names
}

// answerSessions tells how many sessions are open: a client that ended well has left none.
func (v *vcenter) answerSessions(w http.ResponseWriter, _ *http.Request) {
	answer(w, len(sessions())+v.rest.open())
}

func (v *vcenter) expireSessions(w http.ResponseWriter, _ *http.Request) {
	v.rest.expire()
	request := &types.TerminateSession{SessionId: sessions()}
	body := simulator.Map.SessionManager().TerminateSession(newContext(), request).(*methods.TerminateSessionBody)
	answer(w, body.Fault_ == nil)
}

func sessions() []string {
	manager := newContext().Session.Get(simulator.Map.SessionManager().Self).(*simulator.SessionManager)
	keys := []string{}
	for _, session := range manager.SessionList {
		keys = append(keys, session.Key)
	}
	return keys
}

func isTrue(value *bool) bool { return value != nil && *value }
