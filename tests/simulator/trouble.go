package main

import (
	"bytes"
	"net"
	"net/http"
)

// What happens to a call on its way.
const (
	unavailable = "503"     // refused by something in front of vCenter
	reset       = "reset"   // the connection breaks before vCenter has heard of it
	lost        = "lost"    // the connection breaks before the answer comes
	garbage     = "garbage" // vCenter answers what the client cannot read
	nothing     = "nothing" // vCenter answers, and says nothing
)

// cause answers where the call's answer is to be written; nil: there is none.
func cause(kind string, w http.ResponseWriter) http.ResponseWriter {
	switch kind {
	case unavailable:
		http.Error(w, "no healthy upstream", http.StatusServiceUnavailable)
		return nil
	case reset:
		breakConnection(w)
		return nil
	}
	return &spoilt{ResponseWriter: w, kind: kind}
}

// spoilt is an answer that is not what it should be, whatever is written.
type spoilt struct {
	http.ResponseWriter
	kind string
	done bool
}

func (s *spoilt) WriteHeader(int) {}

func (s *spoilt) Write(content []byte) (int, error) {
	if s.done {
		return len(content), nil
	}
	s.done = true
	if s.kind == lost {
		breakConnection(s.ResponseWriter)
		return len(content), nil
	}
	body := `<AnyResponse xmlns="urn:vim25"><returnval xsi:type="xsd:boolean">maybe</returnval></AnyResponse>`
	if s.kind == nothing {
		body = `<AnyResponse xmlns="urn:vim25"/>`
	}
	answer := bytes.ReplaceAll([]byte(envelope), []byte("%s"), []byte(body))
	s.Header().Del("Content-Length")
	s.Header().Set("Content-Type", "text/xml; charset=utf-8")
	_, err := s.ResponseWriter.Write(answer)
	return len(content), err
}

func breakConnection(w http.ResponseWriter) {
	connection, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := connection.(interface{ NetConn() net.Conn }); ok {
		if plain, ok := tcp.NetConn().(*net.TCPConn); ok {
			_ = plain.SetLinger(0)
			_ = plain.Close()
		}
	}
	_ = connection.Close()
}
