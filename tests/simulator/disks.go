package main

import (
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// attachment is a disk that somebody attaches to a machine: a person, or a storage driver.
type attachment struct {
	Machine    string `json:"machine"`
	File       string `json:"file"` // "[LocalDS_0] fcd/volume.vmdk"; made if it is not there
	FirstClass bool   `json:"first_class"`
}

func attachDisk(w http.ResponseWriter, r *http.Request) {
	var wish attachment
	if !read(w, r, &wish) {
		return
	}
	withMachine(w, wish.Machine, func(m *machine) error { return m.attach(wish) })
}

func (m *machine) attach(wish attachment) error {
	file, err := hostPath(wish.File)
	if err != nil {
		return err
	}
	operation := types.VirtualDeviceConfigSpecFileOperation("")
	if _, err := os.Stat(file); err != nil {
		operation = types.VirtualDeviceConfigSpecFileOperationCreate
		_ = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	disk := &types.VirtualDisk{CapacityInKB: kibPerGiB, CapacityInBytes: kibPerGiB * 1024}
	disk.Key, disk.ControllerKey, disk.UnitNumber = -1, controllerKey, m.freeUnit()
	disk.Backing = &types.VirtualDiskFlatVer2BackingInfo{
		VirtualDeviceFileBackingInfo: types.VirtualDeviceFileBackingInfo{FileName: wish.File},
		DiskMode:                     string(types.VirtualDiskModePersistent),
	}
	if wish.FirstClass {
		disk.VDiskId = &types.ID{Id: uuid.New().String()}
	}
	spec := &types.VirtualDeviceConfigSpec{
		Operation: types.VirtualDeviceConfigSpecOperationAdd, FileOperation: operation, Device: disk}
	fault := m.reconfigure(newContext(), types.VirtualMachineConfigSpec{DeviceChange: []types.BaseVirtualDeviceConfigSpec{spec}})
	if fault != nil {
		return fmt.Errorf("%T", fault)
	}
	return nil
}

func (m *machine) freeUnit() *int32 {
	taken := map[int32]bool{7: true} // the controller's own
	for _, device := range m.Config.Hardware.Device {
		if base := device.GetVirtualDevice(); base.ControllerKey == controllerKey && base.UnitNumber != nil {
			taken[*base.UnitNumber] = true
		}
	}
	unit := int32(0)
	for taken[unit] {
		unit++
	}
	return &unit
}

func takeSnapshot(w http.ResponseWriter, r *http.Request) {
	var which machineConfig
	if read(w, r, &which) {
		withMachine(w, which.Path, func(m *machine) error {
			m.snapshot("backup")
			return nil
		})
	}
}

// deleteSnapshotDisks does what vCenter does with a machine's snapshots: their disks go, attached or not.
func (m *machine) deleteSnapshotDisks() {
	if m.Snapshot == nil {
		return
	}
	snapshot := simulator.Map.Get(*m.Snapshot.CurrentSnapshot).(*simulator.VirtualMachineSnapshot)
	for _, device := range snapshot.Config.Hardware.Device {
		if disk, ok := device.(*types.VirtualDisk); ok {
			if file, err := hostPath(fileOf(disk)); err == nil {
				_ = os.Remove(file)
			}
		}
	}
}

// deleteOtherFiles empties a machine's folder but for disks, and removes it if there are none.
func deleteOtherFiles(name string) {
	folder, err := hostPath(name)
	if err != nil {
		return
	}
	files, _ := filepath.Glob(path.Join(folder, "*"))
	for _, file := range files {
		if filepath.Ext(file) != ".vmdk" {
			_ = os.RemoveAll(file)
		}
	}
	_ = os.Remove(folder)
}

// answerDisks tells the files of all disks that exist, attached or not.
func answerDisks(w http.ResponseWriter, _ *http.Request) {
	inventory.RLock()
	defer inventory.RUnlock()
	found := []string{}
	for _, entity := range simulator.Map.All("Datastore") {
		datastore := entity.(*simulator.Datastore)
		root := datastore.Info.GetDatastoreInfo().Url
		files, _ := filepath.Glob(path.Join(root, "*", "*.vmdk"))
		for _, file := range files {
			if !strings.HasSuffix(file, "-flat.vmdk") {
				found = append(found, fmt.Sprintf("[%s] %s", datastore.Name, strings.TrimPrefix(file, root+"/")))
			}
		}
	}
	sort.Strings(found)
	answer(w, found)
}

func fileOf(disk *types.VirtualDisk) string {
	if backing, ok := disk.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
		return backing.GetVirtualDeviceFileBackingInfo().FileName
	}
	return ""
}

// hostPath is where the file of a datastore lies on this host.
func hostPath(name string) (string, error) {
	var file object.DatastorePath
	if file.FromString(name) {
		for _, entity := range simulator.Map.All("Datastore") {
			if datastore := entity.(*simulator.Datastore); datastore.Name == file.Datastore {
				return path.Join(datastore.Info.GetDatastoreInfo().Url, file.Path), nil
			}
		}
	}
	return "", fmt.Errorf("%s is no file of a datastore", name)
}
