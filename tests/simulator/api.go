package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// serveAPI starts the vSphere API and answers its address.
func (v *vcenter) serveAPI() (string, error) {
	certificate, err := tls.LoadX509KeyPair(v.config.Certificate, v.config.Key)
	if err != nil {
		return "", err
	}
	listener, err := net.Listen("tcp", v.config.Listen)
	if err != nil {
		return "", err
	}
	pageSize = v.config.PageSize
	service := v.model.Service
	service.RegisterSDK(simulator.Map)
	v.addPolicies(service)
	mux := http.NewServeMux()
	mux.HandleFunc("/sdk", v.call)
	mux.HandleFunc("/pbm/sdk", v.callPolicies)
	mux.HandleFunc(restPath, v.rest.call)
	mux.HandleFunc(nfcPath, v.receive)
	mux.HandleFunc("/sdk/vimServiceVersions.xml", service.ServiceVersions)
	if err := v.serveUploads(); err != nil {
		return "", err
	}
	server := quiet(mux)
	go func() {
		_ = server.Serve(tls.NewListener(listener, &tls.Config{
			Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}))
	}()
	return listener.Addr().String(), nil
}

// call is one call of the API: counted, delayed, perhaps refused, and else answered by the library.
func (v *vcenter) call(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client is gone
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	request := parseRequest(body)
	v.counts.add(request.method)
	time.Sleep(v.config.CallDelay.duration())
	if !v.mayCall(request, r) {
		writeFault(w, "The session is not authenticated.", &types.NotAuthenticated{NoPermission: types.NoPermission{
			Object: request.this, PrivilegeId: "System.View"}})
		return
	}
	if fault, message := v.faults.take(request.method, request.subject(), inCall, request.this); fault != nil {
		writeFault(w, message, fault)
		return
	}
	if kind := v.faults.takeTrouble(request.method, request.subject()); kind != "" {
		w = cause(kind, w)
		if w == nil {
			return
		}
	}
	if request.method == "ImportVApp" || strings.HasPrefix(request.method, leaseKind) {
		v.answerImport(w, request, body)
		return
	}
	if request.method != "WaitForUpdatesEx" && request.method != "WaitForUpdates" { // they lock for themselves
		inventory.RLock()
		defer inventory.RUnlock()
	}
	defer answerCrash(w, request)
	v.model.Service.ServeSDK(w, r)
}

// mayCall is stricter than the library, which lets anybody retrieve properties.
func (v *vcenter) mayCall(request *request, r *http.Request) bool {
	switch request.method {
	case "RetrieveServiceContent", "Login":
		return true
	}
	cookie, err := r.Cookie(soap.SessionCookieName)
	return err == nil && sessionIsActive(cookie.Value, v.config.Username)
}

func sessionIsActive(id, user string) bool {
	body := simulator.Map.SessionManager().SessionIsActive(newContext(), &types.SessionIsActive{SessionID: id, UserName: user})
	return body.(*methods.SessionIsActiveBody).Res.Returnval
}

// answerCrash answers a crash of the library, which would else drop the connection. It crashes whenever a property that is
// not set is fetched; the answer to that is nothing.
func answerCrash(w http.ResponseWriter, request *request) {
	problem := recover()
	switch {
	case problem == nil:
	case request.method == "Fetch":
		writeBody(w, http.StatusOK, `<FetchResponse xmlns="urn:vim25"></FetchResponse>`)
	default:
		fmt.Fprintf(os.Stderr, "simulator: %s of %s: %v\n%s", request.method, request.this, problem, debug.Stack())
		writeFault(w, "The simulator has crashed.", &types.SystemError{Reason: fmt.Sprint(problem)})
	}
}

// counts are the calls so far, by method.
type counts struct {
	mu sync.Mutex
	by map[string]int
}

func newCounts() *counts { return &counts{by: map[string]int{}} }

func (c *counts) add(method string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[method]++
}

func (c *counts) reset() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by = map[string]int{}
}

func (c *counts) all() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := map[string]int{}
	for method, n := range c.by {
		all[method] = n
	}
	return all
}
