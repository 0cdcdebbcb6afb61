package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sort"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vapi/tags"
	"github.com/vmware/govmomi/vim25/types"
)

// The library attaches any tag to anything, and lets it stay there when the thing is gone.

// categoryConfig is a category, with the names of its tags.
type categoryConfig struct {
	Name   string   `json:"name"`
	Tags   []string `json:"tags"`
	Single bool     `json:"single"` // a thing bears one of them at most
	Types  []string `json:"types"`  // of things that may bear them; none: all
}

type restObject struct {
	Type string `json:"type"`
	ID   string `json:"id"`
}

func (o restObject) reference() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: o.Type, Value: o.ID}
}

func objectOf(ref types.ManagedObjectReference) map[string]restObject {
	return map[string]restObject{"object_id": {ref.Type, ref.Value}}
}

func (api *restAPI) addTags() {
	for i, c := range api.vcenter.config.Tags {
		category := tags.Category{Name: fmt.Sprint(i), Cardinality: "MULTIPLE", AssociableTypes: c.Types}
		if c.Single {
			category.Cardinality = "SINGLE"
		}
		var id string
		api.ask(http.MethodPost, "cis/tagging/category", map[string]interface{}{"create_spec": category}, &id)
		api.name("cis/tagging/category/id:"+id, c.Name)
		for _, name := range c.Tags {
			tag := tags.Tag{Name: name, CategoryID: id}
			api.ask(http.MethodPost, "cis/tagging/tag", map[string]interface{}{"create_spec": tag}, nil)
		}
	}
}

func (api *restAPI) tag(id string) (tag tags.Tag, category tags.Category, found bool) {
	found = api.ask(http.MethodGet, "cis/tagging/tag/id:"+id, nil, &tag) &&
		api.ask(http.MethodGet, "cis/tagging/category/id:"+tag.CategoryID, nil, &category)
	return tag, category, found
}

func (api *restAPI) attached(ref types.ManagedObjectReference) []string {
	ids := []string{}
	api.ask(http.MethodPost, "cis/tagging/tag-association?~action=list-attached-tags", objectOf(ref), &ids)
	return ids
}

// associate attaches a tag to objects, or detaches it: each where that is possible, with an error for the others.
func (api *restAPI) associate(w http.ResponseWriter, id string, body []byte, attach bool) {
	inventory.RLock()
	defer inventory.RUnlock()
	var request struct {
		Objects []restObject `json:"object_ids"`
	}
	_, category, found := api.tag(id)
	switch {
	case json.Unmarshal(body, &request) != nil || request.Objects == nil:
		restError(w, http.StatusBadRequest, "invalid_argument", "object_ids is missing.")
		return
	case !found:
		restError(w, http.StatusNotFound, "not_found", "Tagging object "+id+" not found")
		return
	case api.vcenter.denies("InventoryService.Tagging.AttachTag"):
		restError(w, http.StatusForbidden, "unauthorized", "No privilege InventoryService.Tagging.AttachTag")
		return
	}
	wrong := []restMessage{}
	for _, object := range request.Objects {
		if problem := api.problem(object, id, category, attach); problem != "" {
			wrong = append(wrong, restMessage{[]string{}, problem, "cis.tagging.error"})
			continue
		}
		action := map[bool]string{true: "attach", false: "detach"}[attach]
		api.ask(http.MethodPost, "cis/tagging/tag-association/id:"+id+"?~action="+action, objectOf(object.reference()), nil)
	}
	answer(w, map[string]interface{}{"value": map[string]interface{}{"success": len(wrong) == 0, "error_messages": wrong}})
}

// problem is why an object cannot be given a tag, or be rid of it; "": it can.
func (api *restAPI) problem(object restObject, id string, category tags.Category, attach bool) string {
	ref := object.reference()
	switch {
	case simulator.Map.Get(ref) == nil:
		return fmt.Sprintf("Tagging object %s:%s not found", ref.Type, ref.Value)
	case api.vcenter.denies("InventoryService.Tagging.ObjectAttachable"):
		return fmt.Sprintf("No privilege InventoryService.Tagging.ObjectAttachable on %s", ref.Value)
	case attach && len(category.AssociableTypes) > 0 && !contains(category.AssociableTypes, ref.Type):
		return fmt.Sprintf("Tags of category %s are not for %s", category.Name, ref.Type)
	}
	for _, other := range api.attached(ref) {
		if tag, _, _ := api.tag(other); attach && category.Cardinality == "SINGLE" && other != id && tag.CategoryID == category.ID {
			return "Tagging cardinality violation"
		}
	}
	return ""
}

// forget takes all tags from what is deleted, as vCenter does.
func (api *restAPI) forget(ref types.ManagedObjectReference) {
	for _, id := range api.attached(ref) {
		api.ask(http.MethodPost, "cis/tagging/tag-association/id:"+id+"?~action=detach", objectOf(ref), nil)
	}
}

// names are an object's tags, `category/tag`.
func (api *restAPI) names(ref types.ManagedObjectReference) []string {
	found := []string{}
	for _, id := range api.attached(ref) {
		tag, category, _ := api.tag(id)
		found = append(found, category.Name+"/"+tag.Name)
	}
	sort.Strings(found)
	return found
}
