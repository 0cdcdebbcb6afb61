package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// guests decides what happens inside of machines.
type guests struct {
	mu        sync.Mutex
	rules     []guestConfig
	addresses map[string]string // machine name → address that it was given, and keeps
	given     map[string]int    // network → how many addresses were given
}

func newGuests(rules []guestConfig) *guests {
	return &guests{rules: rules, addresses: map[string]string{}, given: map[string]int{}}
}

func (g *guests) replace(rules []guestConfig) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rules = rules
}

// ruleFor is the first rule that fits, with its addresses filled in.
func (g *guests) ruleFor(name string) guestConfig {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, rule := range g.rules {
		if !matches(rule.Name, name) {
			continue
		}
		if len(rule.Addresses) == 0 && rule.Network != "" {
			rule.Addresses = []string{g.lease(name, rule.Network)}
		}
		return rule
	}
	return guestConfig{}
}

// lease gives a machine the next address of a network; a machine of the same name gets the same one again.
func (g *guests) lease(name, network string) string {
	if address, ok := g.addresses[name]; ok {
		return address
	}
	first, _, err := net.ParseCIDR(network)
	if err != nil {
		return ""
	}
	g.given[network]++
	next := binary.BigEndian.Uint32(first.To4()) + uint32(g.given[network])
	address := net.IP(binary.BigEndian.AppendUint32(nil, next)).String()
	g.addresses[name] = address
	return address
}

// boot plans what the guest does from now on.
func (m *machine) boot() {
	m.boots++
	rule := m.vcenter.guests.ruleFor(m.Name)
	if len(rule.Before) > 0 {
		m.later(0, func() { m.report(rule.Before, nil, rule.Disconnected) })
	}
	if len(rule.Before) == 0 || len(rule.Addresses) > 0 {
		m.later(rule.AddressDelay, func() {
			m.report(append(rule.Before[:len(rule.Before):len(rule.Before)], rule.Addresses...), rule.Others, rule.Disconnected)
		})
	}
	if len(rule.Publishes) > 0 {
		m.later(rule.AddressDelay+rule.PublishDelay, func() { m.setExtraConfig(rule.Publishes) })
	}
}

// later does something unless the machine has been powered off, restarted or destroyed meanwhile.
func (m *machine) later(delay seconds, do func()) {
	boot := m.boots
	time.AfterFunc(delay.duration(), func() {
		inventory.Lock()
		defer inventory.Unlock()
		running := m.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOn
		if running && m.boots == boot && simulator.Map.Get(m.Self) != nil {
			do()
		}
	})
}

// report is what guest tools tell: addresses of every card, the link-local ones among them, and a container bridge.
func (m *machine) report(addresses, others []string, disconnected bool) {
	nics := []types.GuestNicInfo{nic("", "02:42:ac:11:00:01", -1, "172.17.0.1")}
	for _, device := range m.Config.Hardware.Device {
		base, ok := device.(types.BaseVirtualEthernetCard)
		if !ok {
			continue
		}
		card := base.GetVirtualEthernetCard()
		all := append([]string{linkLocal(card.MacAddress)}, addresses...)
		told := nic(networkName(card), card.MacAddress, card.Key, all...)
		told.Connected = !disconnected
		nics = append(nics, told)
		addresses, disconnected = nil, false
		if len(others) > 0 {
			addresses, others = others[:1], others[1:]
		}
	}
	first := ""
	if all := nics[len(nics)-1].IpAddress; len(nics) > 1 && len(nics[1].IpAddress) > 1 {
		first = nics[1].IpAddress[1]
	} else if len(all) > 0 {
		first = all[0]
	}
	m.setGuest(nics, first, m.Name, types.VirtualMachineToolsRunningStatusGuestToolsRunning, types.VirtualMachineToolsStatusToolsOk)
}

// halt is what is known of a guest that does not run.
func (m *machine) halt() {
	m.setGuest(nil, "", "", types.VirtualMachineToolsRunningStatusGuestToolsNotRunning,
		types.VirtualMachineToolsStatusToolsNotRunning)
}

func (m *machine) setGuest(
	nics []types.GuestNicInfo, address, host string,
	running types.VirtualMachineToolsRunningStatus, tools types.VirtualMachineToolsStatus,
) {
	simulator.Map.Update(m, []types.PropertyChange{
		{Name: "guest.net", Val: nics},
		{Name: "guest.ipAddress", Val: address},
		{Name: "guest.hostName", Val: host},
		{Name: "guest.toolsRunningStatus", Val: string(running)},
		{Name: "guest.toolsStatus", Val: tools},
		{Name: "summary.guest.ipAddress", Val: address},
		{Name: "summary.guest.hostName", Val: host},
		{Name: "summary.guest.toolsRunningStatus", Val: string(running)},
	})
}

func nic(network, mac string, key int32, addresses ...string) types.GuestNicInfo {
	info := types.GuestNicInfo{
		Network: network, MacAddress: mac, DeviceConfigId: key, Connected: true,
		IpAddress: addresses, IpConfig: &types.NetIpConfigInfo{},
	}
	for _, address := range addresses {
		info.IpConfig.IpAddress = append(info.IpConfig.IpAddress, types.NetIpConfigInfoIpAddress{
			IpAddress: address, PrefixLength: 16, State: "preferred"})
	}
	return info
}

func networkName(card *types.VirtualEthernetCard) string {
	switch backing := card.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		return backing.DeviceName
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		return nameOf(types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: backing.Port.PortgroupKey})
	case *types.VirtualEthernetCardOpaqueNetworkBackingInfo:
		return backing.OpaqueNetworkId
	}
	return ""
}

func linkLocal(mac string) string {
	hardware, err := net.ParseMAC(mac)
	if err != nil {
		return "fe80::1"
	}
	return fmt.Sprintf("fe80::%02x%02x:%02xff:fe%02x:%02x%02x",
		hardware[0]^2, hardware[1], hardware[2], hardware[3], hardware[4], hardware[5])
}
