package main

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

const (
	controllerKey = 1000
	diskKey       = 2000
	cardKey       = 4000
	kibPerGiB     = 1 << 20
)

// hardware is what a clone inherits from its source.
type hardware struct {
	cpu       int32
	memoryMiB int64
	diskGiB   int64
	network   string
	mac       string // chosen by hand; "": vCenter chooses
}

// devices makes one controller, one disk and, with a network, one card for it, with the keys that vCenter gives them.
func (h hardware) devices(
	at place, serial int, parent *types.VirtualDiskFlatVer2BackingInfo,
) ([]types.BaseVirtualDeviceConfigSpec, types.BaseMethodFault) {
	controller := &types.ParaVirtualSCSIController{}
	controller.Key = controllerKey
	controller.SharedBus = types.VirtualSCSISharingNoSharing

	disk := &types.VirtualDisk{CapacityInKB: h.diskGiB * kibPerGiB, CapacityInBytes: h.diskGiB * kibPerGiB * 1024}
	disk.Key, disk.ControllerKey, disk.UnitNumber = diskKey, controllerKey, types.NewInt32(0)
	disk.Backing = &types.VirtualDiskFlatVer2BackingInfo{
		DiskMode:        string(types.VirtualDiskModePersistent),
		ThinProvisioned: types.NewBool(true),
		Parent:          parent,
	}

	made, keys := object.VirtualDeviceList{controller, disk}, []int32{controllerKey, diskKey}
	if h.network != "" {
		card, fault := h.card(at, serial)
		if fault != nil {
			return nil, fault
		}
		made, keys = append(made, card), append(keys, cardKey)
	}

	specs, _ := made.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd)
	for i, device := range made {
		device.GetVirtualDevice().Key = keys[i] // ConfigSpec makes them negative
	}
	disk.ControllerKey = controllerKey
	return specs, nil
}

func (h hardware) card(at place, serial int) (*types.VirtualVmxnet3, types.BaseMethodFault) {
	backing, fault := backingFor(h.network, at.host)
	if fault != nil {
		return nil, fault
	}
	card := &types.VirtualVmxnet3{}
	card.Key, card.Backing = cardKey, backing
	card.AddressType, card.MacAddress = string(types.VirtualEthernetCardMacTypeAssigned), macAddress(serial)
	if h.mac != "" {
		card.AddressType, card.MacAddress = string(types.VirtualEthernetCardMacTypeManual), h.mac
	}
	return card, nil
}

// macAddress is unique; the library's own repeat after 4096 machines.
func macAddress(serial int) string {
	return fmt.Sprintf("00:50:56:%02x:%02x:%02x", 0x80|serial>>16&0x3f, serial>>8&0xff, serial&0xff)
}

// checkDevices refuses what vCenter refuses, and fills in what the library needs and clients may leave out.
func (m *machine) checkDevices(changes []types.BaseVirtualDeviceConfigSpec) types.BaseMethodFault {
	devices := object.VirtualDeviceList(m.Config.Hardware.Device)
	for i, change := range changes {
		spec := change.GetVirtualDeviceConfigSpec()
		var old types.BaseVirtualDevice
		if spec.Operation == types.VirtualDeviceConfigSpecOperationEdit {
			if old = devices.FindByKey(spec.Device.GetVirtualDevice().Key); old == nil {
				return &types.InvalidDeviceSpec{DeviceIndex: int32(i)}
			}
			inherit(spec.Device.GetVirtualDevice(), old.GetVirtualDevice())
		}
		if spec.Operation == types.VirtualDeviceConfigSpecOperationRemove {
			continue
		}
		var fault types.BaseMethodFault
		switch device := spec.Device.(type) {
		case *types.VirtualDisk:
			fault = m.checkDisk(device, old, int32(i))
		case types.BaseVirtualEthernetCard:
			fault = m.checkCard(device.GetVirtualEthernetCard(), old)
		}
		if fault != nil {
			return fault
		}
	}
	return nil
}

// inherit keeps what an edit does not name.
func inherit(device, old *types.VirtualDevice) {
	if device.Backing == nil {
		device.Backing = old.Backing
	}
	if device.ControllerKey == 0 {
		device.ControllerKey = old.ControllerKey
	}
	if device.UnitNumber == nil {
		device.UnitNumber = old.UnitNumber
	}
	if device.Connectable == nil {
		device.Connectable = old.Connectable
	}
	label := *old.DeviceInfo.GetDescription()
	device.DeviceInfo = &label
}

func (m *machine) checkDisk(disk *types.VirtualDisk, old types.BaseVirtualDevice, index int32) types.BaseMethodFault {
	if disk.CapacityInBytes == 0 {
		disk.CapacityInBytes = disk.CapacityInKB * 1024
	}
	disk.CapacityInKB = disk.CapacityInBytes / 1024
	if old, ok := old.(*types.VirtualDisk); ok {
		if disk.CapacityInKB < old.CapacityInKB {
			return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "capacityInKB"}, DeviceIndex: index}
		}
	}
	backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	if !ok {
		return &types.InvalidDeviceBacking{InvalidDeviceSpec: types.InvalidDeviceSpec{DeviceIndex: index}}
	}
	var file object.DatastorePath
	if file.FromString(backing.FileName); file.Datastore == "" {
		file.FromString(m.Config.Files.VmPathName)
		backing.FileName = "[" + file.Datastore + "]"
	}
	host := simulator.Map.Get(*m.Runtime.Host).(*simulator.HostSystem)
	if simulator.Map.FindByName(file.Datastore, host.Datastore) == nil {
		return &types.InvalidDatastorePath{DatastorePath: backing.FileName}
	}
	return nil
}

func (m *machine) checkCard(card *types.VirtualEthernetCard, old types.BaseVirtualDevice) types.BaseMethodFault {
	if isManual(card) && !manualAddresses.MatchString(card.MacAddress) {
		return &types.InvalidDeviceSpec{InvalidVmConfig: types.InvalidVmConfig{Property: "macAddress"}}
	}
	if old, ok := old.(types.BaseVirtualEthernetCard); ok && card.MacAddress == "" && !isManual(old.GetVirtualEthernetCard()) {
		card.MacAddress = old.GetVirtualEthernetCard().MacAddress
	}
	if card.MacAddress == "" {
		card.MacAddress = macAddress(m.vcenter.serial.next())
	}
	host := *m.Runtime.Host
	switch backing := card.Backing.(type) {
	case *types.VirtualEthernetCardNetworkBackingInfo:
		_, fault := backingFor(backing.DeviceName, host)
		return fault
	case *types.VirtualEthernetCardOpaqueNetworkBackingInfo:
		if opaqueNetwork(backing.OpaqueNetworkId, backing.OpaqueNetworkType, host) == nil {
			return &types.NotFound{}
		}
		return nil
	case *types.VirtualEthernetCardDistributedVirtualPortBackingInfo:
		ref := types.ManagedObjectReference{Type: "DistributedVirtualPortgroup", Value: backing.Port.PortgroupKey}
		if simulator.FindReference(networksOf(host), ref) == nil {
			return &types.NotFound{}
		}
		return nil
	}
	return &types.InvalidArgument{InvalidProperty: "device.backing"}
}

// manualAddresses are those that VMware leaves to whoever chooses addresses by hand.
var manualAddresses = regexp.MustCompile(`^00:50:56:[0-3][0-9a-f](:[0-9a-f]{2}){2}$`)

func isManual(card *types.VirtualEthernetCard) bool {
	return strings.EqualFold(card.AddressType, string(types.VirtualEthernetCardMacTypeManual))
}

// manualAddress is the address of a machine's card that somebody has chosen, which its clones inherit; "": none was.
func (m *machine) manualAddress() string {
	for _, device := range m.Config.Hardware.Device {
		if card, ok := device.(types.BaseVirtualEthernetCard); ok && isManual(card.GetVirtualEthernetCard()) {
			return card.GetVirtualEthernetCard().MacAddress
		}
	}
	return ""
}

// backingFor connects a card to a network that the host has.
func backingFor(name string, host types.ManagedObjectReference) (types.BaseVirtualDeviceBackingInfo, types.BaseMethodFault) {
	switch network := simulator.Map.FindByName(name, networksOf(host)).(type) {
	case *mo.Network:
		return &types.VirtualEthernetCardNetworkBackingInfo{
			VirtualDeviceDeviceBackingInfo: types.VirtualDeviceDeviceBackingInfo{DeviceName: name}}, nil
	case *simulator.DistributedVirtualPortgroup:
		dvs := simulator.Map.Get(*network.Config.DistributedVirtualSwitch).(*simulator.DistributedVirtualSwitch)
		return &types.VirtualEthernetCardDistributedVirtualPortBackingInfo{
			Port: types.DistributedVirtualSwitchPortConnection{SwitchUuid: dvs.Uuid, PortgroupKey: network.Key}}, nil
	}
	return nil, &types.InvalidDeviceBacking{InvalidDeviceSpec: types.InvalidDeviceSpec{
		InvalidVmConfig: types.InvalidVmConfig{Property: "network " + name}}}
}

// networksOf are the networks of the host's cluster.
func networksOf(host types.ManagedObjectReference) []types.ManagedObjectReference {
	parent := simulator.Map.Get(host).(*simulator.HostSystem).Parent
	return simulator.Map.Get(*parent).(*simulator.ClusterComputeResource).Network
}
