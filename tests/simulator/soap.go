package main

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"reflect"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// request is what must be known of a call before the library decodes it.
type request struct {
	method string
	this   types.ManagedObjectReference
	name   string // of the clone, where one is made
}

// subject is the name that a fault's pattern is compared with.
func (r *request) subject() string {
	if r.method == "CloneVM_Task" {
		return r.name
	}
	inventory.RLock()
	defer inventory.RUnlock()
	return nameOf(r.this)
}

// parseRequest reads no further than needed: a clone's specification may be large.
func parseRequest(body []byte) *request {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	r := &request{}
	inBody := false
	for {
		token, err := decoder.Token()
		if err != nil {
			return r
		}
		start, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		switch name := start.Name.Local; {
		case name == "Body":
			inBody = true
		case inBody && r.method == "":
			r.method = name
		case name == "_this":
			_ = decoder.DecodeElement(&r.this, &start)
			if r.method != "CloneVM_Task" {
				return r
			}
		case name == "name" && r.method == "CloneVM_Task":
			_ = decoder.DecodeElement(&r.name, &start)
			return r
		case name == "spec":
			return r
		}
	}
}

const envelope = `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsd="http://www.w3.org/2001/XMLSchema"
 xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>%s</soapenv:Body></soapenv:Envelope>`

const faultBody = `<soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring>
<detail>%s</detail></soapenv:Fault>`

func writeBody(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, envelope, body)
}

// writeFault answers a call with a fault.
func writeFault(w http.ResponseWriter, message string, fault types.BaseMethodFault) {
	if message == "" {
		message = faultMessage(fault)
	}
	kind := reflect.TypeOf(fault).Elem().Name()
	var detail bytes.Buffer
	_ = xml.NewEncoder(&detail).EncodeElement(fault, xml.StartElement{
		Name: xml.Name{Local: kind + "Fault"},
		Attr: []xml.Attr{
			{Name: xml.Name{Local: "xmlns"}, Value: "urn:vim25"},
			{Name: xml.Name{Local: "xsi:type"}, Value: kind},
		},
	})
	writeBody(w, http.StatusInternalServerError, fmt.Sprintf(faultBody, html.EscapeString(message), detail.String()))
}
