package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"time"

	vapi "github.com/vmware/govmomi/vapi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// The REST API is a service of its own, with sessions of its own. The library's lets any password in.

const (
	restPath      = "/rest/com/vmware/"
	sessionHeader = "vmware-api-session-id"
	vapiErrors    = "com.vmware.vapi.std.errors."
)

type restAPI struct {
	vcenter *vcenter
	library http.Handler

	mu       sync.Mutex
	sessions map[string]bool
	own      string                // the library's session of this program itself
	deployed map[string]deployment // by the token of who asked
}

func (v *vcenter) newREST() *restAPI {
	_, library := vapi.New(&url.URL{}, nil)
	api := &restAPI{vcenter: v, library: library, sessions: map[string]bool{}, deployed: map[string]deployment{}}
	login, _ := http.NewRequest(http.MethodPost, restPath+"cis/session", nil)
	login.SetBasicAuth("simulator", "simulator")
	_ = json.Unmarshal(api.pass(login).Body.Bytes(), &struct {
		Value *string `json:"value"`
	}{&api.own})
	api.addTags()
	api.addLibraries()
	return api
}

// pass has the library answer.
func (api *restAPI) pass(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	api.library.ServeHTTP(w, r)
	return w
}

// ask calls the library for this program itself: what it answers as value, into `into`.
func (api *restAPI) ask(method, path string, body, into interface{}) bool {
	content, _ := json.Marshal(body)
	r, _ := http.NewRequest(method, restPath+path, bytes.NewReader(content))
	r.Header.Set(sessionHeader, api.own)
	w := api.pass(r)
	return w.Code == http.StatusOK && json.Unmarshal(w.Body.Bytes(), &struct {
		Value interface{} `json:"value"`
	}{into}) == nil
}

// name gives a thing its name, which others may have: the library makes no two of one name, and lets them be renamed so.
func (api *restAPI) name(path, name string) {
	api.ask(http.MethodPatch, path, map[string]interface{}{"update_spec": map[string]string{"name": name}}, nil)
}

// operation is what VMware calls a call, such as Tag.list_tags_for_category, and the id that it is about.
func operation(r *http.Request) (string, string) {
	service, id := strings.TrimPrefix(r.URL.Path, restPath), ""
	if at := strings.Index(service, "/id:"); at >= 0 {
		service, id = service[:at], service[at+len("/id:"):]
	}
	named := map[string]string{
		"cis/session": "Session", "cis/tagging/category": "Category", "cis/tagging/tag": "Tag",
		"cis/tagging/tag-association": "TagAssociation", "content/library": "Library", "content/library/item": "LibraryItem",
		"vcenter/ovf/library-item": "OvfLibraryItem"}
	action := r.URL.Query().Get("~action")
	switch {
	case action != "":
		action = strings.ReplaceAll(action, "-", "_")
	case r.Method == http.MethodPost:
		action = "create"
	case r.Method == http.MethodDelete:
		action = "delete"
	case id == "" && service != "cis/session":
		action = "list"
	default:
		action = "get"
	}
	return named[service] + "." + action, id
}

// call is one call: counted, delayed, perhaps refused, and else answered.
func (api *restAPI) call(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	name, id := operation(r)
	api.vcenter.counts.add(name)
	time.Sleep(api.vcenter.config.CallDelay.duration())
	if !api.mayCall(name, r) {
		restError(w, http.StatusUnauthorized, "unauthenticated", "Authentication required.")
		return
	}
	if fault, message := api.vcenter.faults.take(name, "", inCall, types.ManagedObjectReference{}); fault != nil {
		refuseREST(w, fault, message)
		return
	}
	if kind := api.vcenter.faults.takeTrouble(name, ""); kind != "" {
		if w = cause(kind, w); w == nil {
			return
		}
	}
	switch name {
	case "TagAssociation.attach_tag_to_multiple_objects", "TagAssociation.detach_tag_from_multiple_objects":
		api.associate(w, id, body, strings.HasPrefix(name, "TagAssociation.attach"))
	case "OvfLibraryItem.deploy":
		api.deploy(w, id, body)
	default:
		api.answer(w, r, name)
	}
}

func (api *restAPI) mayCall(name string, r *http.Request) bool {
	if name == "Session.create" {
		user, password, ok := r.BasicAuth()
		return ok && user == api.vcenter.config.Username && password == api.vcenter.config.Password
	}
	api.mu.Lock()
	defer api.mu.Unlock()
	return api.sessions[r.Header.Get(sessionHeader)]
}

// answer is the library's, in vCenter's words where that has none.
func (api *restAPI) answer(w http.ResponseWriter, r *http.Request, name string) {
	answered := api.pass(r)
	content := answered.Body.Bytes()
	switch {
	case answered.Code == http.StatusNotFound:
		restError(w, http.StatusNotFound, "not_found", "The object was not found.")
		return
	case (strings.Contains(name, ".list") || strings.HasSuffix(name, ".find")) && strings.TrimSpace(string(content)) == "{}":
		content = []byte(`{"value":[]}`)
	}
	api.note(name, answered.Code, r.Header.Get(sessionHeader), content)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answered.Code)
	_, _ = w.Write(content)
}

// note keeps in mind which sessions there are.
func (api *restAPI) note(name string, status int, key string, content []byte) {
	api.mu.Lock()
	defer api.mu.Unlock()
	if name == "Session.delete" || status == http.StatusUnauthorized {
		delete(api.sessions, key)
	}
	var made struct{ Value string }
	if name == "Session.create" && json.Unmarshal(content, &made) == nil {
		api.sessions[made.Value] = true
	}
}

func (api *restAPI) open() int {
	api.mu.Lock()
	defer api.mu.Unlock()
	return len(api.sessions)
}

func (api *restAPI) expire() {
	api.mu.Lock()
	defer api.mu.Unlock()
	api.sessions = map[string]bool{}
}

// refuseREST answers with an error that says what a fault of the other API says.
func refuseREST(w http.ResponseWriter, fault types.BaseMethodFault, message string) {
	if message == "" {
		message = faultMessage(fault)
	}
	switch fault.(type) {
	case *types.NoPermission:
		restError(w, http.StatusForbidden, "unauthorized", message)
	case *types.InvalidLogin, *types.NotAuthenticated:
		restError(w, http.StatusUnauthorized, "unauthenticated", message)
	default:
		restError(w, http.StatusInternalServerError, "internal_server_error", message)
	}
}

type restMessage struct {
	Args    []string `json:"args"`
	Message string   `json:"default_message"`
	ID      string   `json:"id"`
}

func restError(w http.ResponseWriter, status int, kind, message string) {
	told := restMessage{[]string{}, message, "simulator." + kind}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]interface{}{
		"type": vapiErrors + kind, "value": map[string]interface{}{"messages": []restMessage{told}}})
}
