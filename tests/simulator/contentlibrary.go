package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/library"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// The library reads what an item holds from files, and makes machines that are not ours: items here have no files.

// itemConfig is an item of a content library, which is made with its first one.
type itemConfig struct {
	Library string `json:"library"`
	Number  int    `json:"number"` // of several libraries of that name
	Name    string `json:"name"`
	Type    string `json:"type"`
	Disk    int64  `json:"disk_gib"`
	EULA    bool   `json:"eula"` // it has a licence that must be accepted
}

type deployment struct {
	Succeeded bool        `json:"succeeded"`
	Resource  *restObject `json:"resource_id,omitempty"`
	Error     interface{} `json:"error,omitempty"`
}

type deployRequest struct {
	Token  string `json:"client_token"`
	Target struct {
		Pool   string `json:"resource_pool_id"`
		Host   string `json:"host_id"`
		Folder string `json:"folder_id"`
	} `json:"target"`
	Spec struct {
		Name      string `json:"name"`
		Note      string `json:"annotation"`
		EULA      *bool  `json:"accept_all_EULA"`
		Datastore string `json:"default_datastore_id"`
		Policy    string `json:"storage_profile_id"`
	} `json:"deployment_spec"`
}

func (api *restAPI) addLibraries() {
	ids := map[interface{}]string{}
	for i, item := range api.vcenter.config.Items {
		one := [2]interface{}{item.Library, item.Number}
		if ids[one] == "" {
			storage := []library.StorageBackings{{
				DatastoreID: simulator.Map.Any("Datastore").Reference().Value, Type: "DATASTORE"}}
			spec := library.Library{Name: item.Library, Type: "LOCAL", Storage: storage}
			var id string
			api.ask(http.MethodPost, "content/local-library", map[string]interface{}{"create_spec": spec}, &id)
			ids[one] = id
		}
		spec := library.Item{Name: fmt.Sprint(i), Type: item.Type, LibraryID: ids[one], ContentVersion: "1"}
		var id string
		api.ask(http.MethodPost, "content/library/item", map[string]interface{}{"create_spec": spec}, &id)
		api.name("content/library/item/id:"+id, item.Name)
	}
}

// deploy makes a machine of an item. Who asks again with the same token gets the same machine.
func (api *restAPI) deploy(w http.ResponseWriter, id string, body []byte) {
	var item library.Item
	var request deployRequest
	switch {
	case !api.ask(http.MethodGet, "content/library/item/id:"+id, nil, &item):
		restError(w, http.StatusNotFound, "not_found", "The item was not found.")
		return
	case json.Unmarshal(body, &request) != nil || item.Type != "ovf" || request.Spec.EULA == nil:
		restError(w, http.StatusBadRequest, "invalid_argument", "The request is not valid.")
		return
	case api.vcenter.denies("VApp.Import"):
		restError(w, http.StatusForbidden, "unauthorized", "No privilege VApp.Import")
		return
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	if _, known := api.deployed[request.Token]; !known || request.Token == "" {
		time.Sleep(api.vcenter.config.CloneTime.duration())
		api.deployed[request.Token] = api.makeOf(api.itemConfig(item), request)
	}
	answer(w, map[string]interface{}{"value": api.deployed[request.Token]})
}

func (api *restAPI) itemConfig(item library.Item) itemConfig {
	for _, it := range api.vcenter.config.Items {
		if it.Name == item.Name {
			return it
		}
	}
	return itemConfig{}
}

func (api *restAPI) makeOf(item itemConfig, request deployRequest) deployment {
	inventory.Lock()
	defer inventory.Unlock()
	at, problem := deployPlace(request)
	switch {
	case problem != "":
		return failedDeployment(problem)
	case item.EULA && !*request.Spec.EULA:
		return failedDeployment("The license agreement must be accepted.")
	case simulator.Map.FindByName(request.Spec.Name, childrenAt(at)) != nil:
		return failedDeployment("The name '" + request.Spec.Name + "' already exists.")
	}
	made := hardware{cpu: 1, memoryMiB: 1024, diskGiB: item.Disk, network: "VM Network"}
	vm, fault := api.vcenter.createVM(newContext(), at, request.Spec.Name, made, nil)
	if fault != nil {
		return failedDeployment(faultMessage(fault))
	}
	if request.Spec.Policy != "" {
		vm.policies = []string{request.Spec.Policy}
	}
	vm.Config.Annotation = request.Spec.Note
	vm.Config.VAppConfig = &types.VmConfigInfo{OvfEnvironmentTransport: []string{"iso"}}
	return deployment{Succeeded: true, Resource: &restObject{vm.Self.Type, vm.Self.Value}}
}

func deployPlace(request deployRequest) (place, string) {
	pool := types.ManagedObjectReference{Type: "ResourcePool", Value: request.Target.Pool}
	if strings.HasPrefix(pool.Value, "virtualapp") {
		pool.Type = "VirtualApp"
	}
	cluster, ok := clusterOf(pool)
	folder, isFolder := simulator.Map.Get(types.ManagedObjectReference{Type: "Folder", Value: request.Target.Folder}).(*simulator.Folder)
	store := types.ManagedObjectReference{Type: "Datastore", Value: request.Spec.Datastore}
	datastore, isStore := simulator.Map.Get(store).(*simulator.Datastore)
	switch {
	case !ok || !isFolder:
		return place{}, "The target does not exist."
	case !isStore || simulator.FindReference(cluster.Datastore, store) == nil:
		return place{}, "The datastore is not in reach."
	case request.Target.Host == "" && !choosesHosts(cluster):
		return place{}, "A host must be named."
	}
	host := cluster.Host[0]
	if request.Target.Host != "" {
		host = types.ManagedObjectReference{Type: "HostSystem", Value: request.Target.Host}
	}
	if _, ok := simulator.Map.Get(host).(mo.Entity); !ok {
		return place{}, "The host does not exist."
	}
	return place{folder: folder, pool: pool, host: host, datastore: datastore}, ""
}

func failedDeployment(message string) deployment {
	told := restMessage{[]string{}, message, "simulator.deploy"}
	return deployment{Error: map[string]interface{}{"errors": []interface{}{map[string]interface{}{
		"category": "SERVER", "error": map[string]interface{}{
			"@class": vapiErrors + "error", "messages": []restMessage{told}}}}}}
}
