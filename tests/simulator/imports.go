package main

import (
	"crypto/sha1" // what vCenter names hosts' certificates by
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// The library's lease is ready at once, blocks nothing, and never ends; what is uploaded it throws away unseen.

const (
	leaseKind = "HttpNfcLease"
	nfcPath   = "/nfc/"
	streamed  = "application/x-vnd.vmware-streamVmdk"
)

// lease lends a machine to who imports it.
type lease struct {
	mo.HttpNfcLease
	vcenter *vcenter
	machine *machine
	missing map[string]string // files that are yet to be uploaded, by the names in their URLs: with which method
	ends    *time.Timer
}

// uploadDump is what a test may assert of a file that was uploaded.
type uploadDump struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// answerImport answers what concerns an import; it is called without the inventory's lock.
func (v *vcenter) answerImport(w http.ResponseWriter, request *request, body []byte) {
	method, err := simulator.UnmarshalBody(types.TypeFunc(), body)
	if err != nil {
		writeFault(w, err.Error(), &types.InvalidRequest{})
		return
	}
	inventory.Lock()
	defer inventory.Unlock()
	if req, ok := method.Body.(*types.ImportVApp); ok {
		ref, fault := v.importVApp(req)
		if fault != nil {
			writeFault(w, "", fault)
			return
		}
		writeBody(w, http.StatusOK, fmt.Sprintf(
			`<ImportVAppResponse xmlns="urn:vim25"><returnval type="%s">%s</returnval></ImportVAppResponse>`,
			leaseKind, html.EscapeString(ref.Value)))
		return
	}
	l, ok := simulator.Map.Get(request.this).(*lease)
	if !ok {
		writeFault(w, "", &types.ManagedObjectNotFound{Obj: request.this})
		return
	}
	if fault := l.call(method.Body); fault != nil {
		writeFault(w, "", fault)
		return
	}
	writeBody(w, http.StatusOK, fmt.Sprintf(`<%sResponse xmlns="urn:vim25"></%sResponse>`, request.method, request.method))
}

func (v *vcenter) importVApp(req *types.ImportVApp) (types.ManagedObjectReference, types.BaseMethodFault) {
	spec, ok := req.Spec.(*types.VirtualMachineImportSpec)
	if !ok {
		return types.ManagedObjectReference{}, &types.InvalidArgument{InvalidProperty: "spec"}
	}
	at, fault := v.placeOf(req, spec)
	if fault != nil {
		return types.ManagedObjectReference{}, fault
	}
	l := &lease{vcenter: v, missing: map[string]string{}}
	l.Self = types.ManagedObjectReference{Type: leaseKind, Value: fmt.Sprintf("lease-%d", v.serial.next())}
	l.State = types.HttpNfcLeaseStateInitializing
	simulator.Map.Put(l)
	time.AfterFunc(v.config.CloneTime.duration(), func() {
		inventory.Lock()
		defer inventory.Unlock()
		if fault := l.begin(at, spec.ConfigSpec); fault != nil {
			l.fail(fault)
		}
	})
	return l.Self, nil
}

func (v *vcenter) placeOf(req *types.ImportVApp, spec *types.VirtualMachineImportSpec) (place, types.BaseMethodFault) {
	cluster, ok := clusterOf(req.This)
	if !ok {
		return place{}, &types.ManagedObjectNotFound{Obj: req.This}
	}
	if v.denies("VApp.Import") {
		return place{}, &types.NoPermission{Object: req.This, PrivilegeId: "VApp.Import"}
	}
	if req.Folder == nil || req.This.Type != "ResourcePool" {
		return place{}, &types.InvalidArgument{InvalidProperty: "folder"}
	}
	folder, ok := simulator.Map.Get(*req.Folder).(*simulator.Folder)
	if !ok {
		return place{}, &types.ManagedObjectNotFound{Obj: *req.Folder}
	}
	if req.Host == nil && !choosesHosts(cluster) {
		return place{}, &types.InvalidArgument{InvalidProperty: "host"}
	}
	host := cluster.Host[0]
	if req.Host != nil {
		host = *req.Host
	}
	var home object.DatastorePath
	if spec.ConfigSpec.Files != nil {
		home.FromString(spec.ConfigSpec.Files.VmPathName)
	}
	datastore, ok := simulator.Map.FindByName(home.Datastore, cluster.Datastore).(*simulator.Datastore)
	if !ok {
		return place{}, &types.InvalidDatastorePath{DatastorePath: home.String()}
	}
	return place{folder: folder, pool: req.This, host: host, datastore: datastore}, nil
}

// begin makes the machine, and says where its files are to be sent.
func (l *lease) begin(at place, spec types.VirtualMachineConfigSpec) types.BaseMethodFault {
	if taken := simulator.Map.FindByName(spec.Name, childrenAt(at)); taken != nil {
		return &types.DuplicateName{Name: spec.Name, Object: taken.Reference()}
	}
	created, fault := outcome(at.folder.CreateVMTask(newContext(), &types.CreateVM_Task{
		This: at.folder.Self, Config: spec, Pool: at.pool, Host: &at.host}))
	if fault != nil {
		return fault
	}
	m := l.vcenter.adopt(created.(types.ManagedObjectReference), hardware{
		cpu: spec.NumCPUs, memoryMiB: spec.MemoryMB, network: "VM Network"})
	m.Config.VAppConfig = &types.VmConfigInfo{OvfEnvironmentTransport: []string{"iso"}}
	m.policies = policiesOf(types.VirtualMachineCloneSpec{
		Location: types.VirtualMachineRelocateSpec{Profile: spec.VmProfile}, Config: &spec})
	m.uploads, m.leased = map[string]uploadDump{}, true
	l.machine = m
	timeout := l.vcenter.config.LeaseTimeout
	info := &types.HttpNfcLeaseInfo{Lease: l.Self, Entity: m.Self, LeaseTimeout: int32(timeout)}
	for _, device := range m.Config.Hardware.Device {
		disk, ok := device.(*types.VirtualDisk)
		if !ok {
			continue
		}
		m.hardware.diskGiB = disk.CapacityInKB / kibPerGiB
		number := len(l.missing)
		name := path.Base(fileOf(disk))
		l.missing[name] = http.MethodPost
		info.DeviceUrl = append(info.DeviceUrl, types.HttpNfcLeaseDeviceUrl{
			Key:           fmt.Sprintf("/%s/disk:%d", m.Self.Value, number),
			ImportKey:     fmt.Sprintf("/%s/%s:%d", m.Name, object.VirtualDeviceList{}.Type(disk), number),
			Url:           "https://" + l.vcenter.nfcHost + nfcPath + l.Self.Value + "/" + name,
			SslThumbprint: l.vcenter.nfcThumbprint,
			Disk:          types.NewBool(true),
		})
	}
	for _, name := range l.vcenter.others {
		l.missing[name] = http.MethodPut
		info.DeviceUrl = append(info.DeviceUrl, types.HttpNfcLeaseDeviceUrl{
			Key:           "/" + m.Self.Value + "/" + name,
			ImportKey:     "/" + m.Name + "/" + name,
			Url:           "https://" + l.vcenter.nfcHost + nfcPath + l.Self.Value + "/" + name,
			SslThumbprint: l.vcenter.nfcThumbprint,
		})
	}
	l.ends = time.AfterFunc(timeout.duration(), func() {
		inventory.Lock()
		defer inventory.Unlock()
		if l.State == types.HttpNfcLeaseStateReady {
			l.fail(&types.Timedout{})
		}
	})
	simulator.Map.Update(l, []types.PropertyChange{{Name: "info", Val: info}, {Name: "state", Val: types.HttpNfcLeaseStateReady}})
	return nil
}

// call does what a client asks of a lease, which is ready.
func (l *lease) call(body types.AnyType) types.BaseMethodFault {
	if l.State != types.HttpNfcLeaseStateReady {
		return &types.InvalidState{}
	}
	switch body.(type) {
	case *types.HttpNfcLeaseProgress:
		l.ends.Reset(l.vcenter.config.LeaseTimeout.duration())
	case *types.HttpNfcLeaseAbort:
		l.fail(&types.RequestCanceled{})
	case *types.HttpNfcLeaseComplete:
		if len(l.missing) > 0 {
			return &types.InvalidState{}
		}
		l.machine.leased = false
		l.ends.Stop()
		simulator.Map.Update(l, []types.PropertyChange{{Name: "state", Val: types.HttpNfcLeaseStateDone}})
	default:
		return &types.NotSupported{}
	}
	return nil
}

// fail ends the import, which leaves nothing.
func (l *lease) fail(fault types.BaseMethodFault) {
	if l.machine != nil {
		l.ends.Stop()
		_, _ = l.machine.destroy(newContext())
	}
	problem := &types.LocalizedMethodFault{Fault: fault, LocalizedMessage: faultMessage(fault)}
	simulator.Map.Update(l, []types.PropertyChange{{Name: "error", Val: problem}, {Name: "state", Val: types.HttpNfcLeaseStateError}})
}

// receive takes a file. Whoever knows its address may send it, and shows nothing else.
func (v *vcenter) receive(w http.ResponseWriter, r *http.Request) {
	v.counts.add("NFC")
	id, name := path.Base(path.Dir(r.URL.Path)), path.Base(r.URL.Path)
	inventory.RLock()
	l, ok := simulator.Map.Get(types.ManagedObjectReference{Type: leaseKind, Value: id}).(*lease)
	method := ""
	if ok && l.State == types.HttpNfcLeaseStateReady {
		method = l.missing[name]
	}
	inventory.RUnlock()
	switch {
	case method == "":
		http.NotFound(w, r)
		return
	case r.Method != method:
		http.Error(w, "a disk is posted, what is created is put", http.StatusMethodNotAllowed)
		return
	case method == http.MethodPost && r.Header.Get("Content-Type") != streamed:
		http.Error(w, "a disk is a stream", http.StatusBadRequest)
		return
	case method == http.MethodPut && r.Header.Get("Overwrite") != "t":
		http.Error(w, "what is created overwrites", http.StatusBadRequest)
		return
	case r.ContentLength <= 0:
		http.Error(w, "how long is it?", http.StatusLengthRequired)
		return
	case r.Header.Get("Cookie") != "" || r.Header.Get("Authorization") != "":
		http.Error(w, "that is for vCenter alone", http.StatusBadRequest)
		return
	}
	if kind := v.faults.takeTrouble("NFC", name); kind != "" {
		if w = cause(kind, w); w == nil {
			return
		}
	}
	digest := sha256.New()
	size, err := io.Copy(digest, r.Body)
	if err != nil || size != r.ContentLength {
		return // the client is gone
	}
	time.Sleep(v.config.UploadTime.duration())
	inventory.Lock()
	defer inventory.Unlock()
	if l.State != types.HttpNfcLeaseStateReady {
		http.NotFound(w, r)
		return
	}
	l.machine.uploads[name] = uploadDump{Size: size, SHA256: hex.EncodeToString(digest.Sum(nil))}
	delete(l.missing, name)
	_, _ = w.Write(nil)
}

// serveUploads chooses where files are sent: to vCenter itself, or to a host with a certificate that nobody has signed. Of an
// impostor vCenter names another certificate than it has.
func (v *vcenter) serveUploads() error {
	v.nfcHost = "*"
	if v.config.UploadTo == "" {
		return nil
	}
	listener, certificate, err := listenUnsigned()
	if err != nil {
		return err
	}
	named := certificate
	if v.config.UploadTo == "impostor" {
		named = append([]byte("not "), certificate...)
	}
	sum := sha1.Sum(named)
	v.nfcThumbprint = strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x", sum[:]), " ", ":"))
	v.nfcHost = listener.Addr().String()
	go func() { _ = quiet(http.HandlerFunc(v.receive)).Serve(listener) }()
	return nil
}
