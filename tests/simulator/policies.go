package main

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"sort"
	"time"

	pbmmethods "github.com/vmware/govmomi/pbm/methods"
	pbm "github.com/vmware/govmomi/pbm/simulator"
	pbmtypes "github.com/vmware/govmomi/pbm/types"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// Storage policies are a service of their own, which knows clients by the session of the other one.

var policySession = regexp.MustCompile(`<vcSessionCookie[^>]*>"?([^<"]*)"?</vcSessionCookie>`)

const policyPath = "/pbm" // the library's; vCenter serves it at /pbm/sdk

// solver tells which datastores satisfy a policy; the library's own lets all of them.
type solver struct {
	pbm.PlacementSolver
	satisfying map[string][]string // names of datastores, by the policy's id
}

func (v *vcenter) addPolicies(service *simulator.Service) {
	registry := pbm.New()
	solver := &solver{satisfying: map[string][]string{}}
	manager := registry.Get(types.ManagedObjectReference{
		Type: "PbmProfileProfileManager", Value: "ProfileManager"}).(*pbm.ProfileManager)
	names := []string{}
	for name := range v.config.Policies {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		request := &pbmtypes.PbmCreate{CreateSpec: pbmtypes.PbmCapabilityProfileCreateSpec{
			Name: name, Category: "REQUIREMENT", ResourceType: pbmtypes.PbmProfileResourceType{ResourceType: "STORAGE"},
			Constraints: &pbmtypes.PbmCapabilitySubProfileConstraints{},
		}}
		created := manager.PbmCreate(newContext(), request).(*pbmmethods.PbmCreateBody)
		solver.satisfying[created.Res.Returnval.UniqueId] = v.config.Policies[name]
	}
	solver.ManagedObjectReference = types.ManagedObjectReference{Type: "PbmPlacementSolver", Value: "placementSolver"}
	registry.Put(solver)
	service.RegisterSDK(registry)
}

func (s *solver) PbmCheckRequirements(req *pbmtypes.PbmCheckRequirements) soap.HasFault {
	answer := &pbmtypes.PbmCheckRequirementsResponse{}
	for _, hub := range req.HubsToSearch {
		result := pbmtypes.PbmPlacementCompatibilityResult{Hub: hub}
		for _, requirement := range req.PlacementSubjectRequirement {
			wanted := requirement.(*pbmtypes.PbmPlacementCapabilityProfileRequirement).ProfileId.UniqueId
			if names, ours := s.satisfying[wanted]; ours && !contains(names, nameOf(types.ManagedObjectReference{
				Type: hub.HubType, Value: hub.HubId})) {
				fault := types.LocalizedMethodFault{Fault: &types.InvalidArgument{}, LocalizedMessage: "not compatible"}
				result.Error = append(result.Error, fault)
			}
		}
		answer.Returnval = append(answer.Returnval, result)
	}
	return &pbmmethods.PbmCheckRequirementsBody{Res: answer}
}

func contains(names []string, name string) bool {
	for _, it := range names {
		if it == name {
			return true
		}
	}
	return false
}

// callPolicies is one call of the service of storage policies.
func (v *vcenter) callPolicies(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	request := parseRequest(body)
	v.counts.add(request.method)
	time.Sleep(v.config.CallDelay.duration())
	found := policySession.FindSubmatch(body)
	if found == nil || !sessionIsActive(string(found[1]), v.config.Username) {
		writeFault(w, "The session is not authenticated.", &types.NotAuthenticated{NoPermission: types.NoPermission{
			Object: request.this, PrivilegeId: "StorageProfile.View"}})
		return
	}
	if fault, message := v.faults.take(request.method, "", inCall, request.this); fault != nil {
		writeFault(w, message, fault)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.URL.Path = policyPath
	r.AddCookie(&http.Cookie{Name: soap.SessionCookieName, Value: string(found[1])})
	inventory.RLock()
	defer inventory.RUnlock()
	defer answerCrash(w, request)
	v.model.Service.ServeSDK(w, r)
}

// policiesOf are the ids of storage policies that a clone's specification names, of its home first.
func policiesOf(spec types.VirtualMachineCloneSpec) []string {
	found := [][]types.BaseVirtualMachineProfileSpec{spec.Location.Profile}
	for _, disk := range spec.Location.Disk {
		found = append(found, disk.Profile)
	}
	if spec.Config != nil {
		for _, change := range spec.Config.DeviceChange {
			if device := change.GetVirtualDeviceConfigSpec(); device.FileOperation != "" {
				found = append(found, device.Profile)
			}
		}
	}
	ids := []string{}
	for _, profiles := range found {
		for _, profile := range profiles {
			if defined, ok := profile.(*types.VirtualMachineDefinedProfileSpec); ok {
				ids = append(ids, defined.ProfileId)
			}
		}
	}
	return ids
}
