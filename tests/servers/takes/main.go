// A program of Kubernetes' control plane that only tells whether it takes what it is told, as upstream's do when they are asked
// for their version besides. It goes by the name that it is called by.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Every argument that a test gives, and that the program has had for years.
var known = map[string]string{
	"kube-apiserver":          " audit-log-maxage event-ttl feature-gates v version ",
	"kube-controller-manager": " feature-gates node-monitor-period v version ",
	"kube-scheduler":          " feature-gates v version ",
	"etcd":                    " quota-backend-bytes version ",
}

const gates = " SidecarContainers NodeSwap "
const locked = " NodeSwap=false "

func main() {
	name := filepath.Base(os.Args[0])
	for _, argument := range os.Args[1:] {
		flag, value, _ := strings.Cut(strings.TrimLeft(argument, "-"), "=")
		if !strings.Contains(known[name], " "+flag+" ") {
			refuse(name, flag)
		}
		if flag == "event-ttl" {
			refuseNoDuration(value)
		}
		if flag == "feature-gates" {
			for _, gate := range strings.Split(value, ",") {
				refuseGate(gate)
			}
		}
	}
	fmt.Println("v1")
}

func refuse(name, flag string) {
	if name == "etcd" {
		fail(2, "flag provided but not defined: -"+flag+"\nUsage:\n\n  etcd [flags]\n    Start an etcd server. Errors are told.")
	}
	fail(1, "Error: unknown flag: --"+flag)
}

// As cobra's flags tell of what they cannot read, which they quote.
func refuseNoDuration(value string) {
	if _, err := time.ParseDuration(value); err != nil {
		fail(1, fmt.Sprintf("Error: invalid argument %q for \"--event-ttl\" flag: %v", value, err))
	}
}

// What is told of them comes from another place than what is told of flags.
func refuseGate(gate string) {
	why := ""
	if !strings.Contains(gates, " "+strings.Split(gate, "=")[0]+" ") {
		why = "unrecognized feature gate: " + strings.Split(gate, "=")[0]
	} else if strings.Contains(locked, " "+gate+" ") {
		why = "cannot set feature gate NodeSwap to false, feature is locked to true"
	}
	if why != "" {
		fail(1, "E1129 20:16:26.892388   13670 run.go:72] \"command failed\" err=\""+why+"\"")
	}
}

func fail(code int, line string) {
	fmt.Fprintln(os.Stderr, line)
	os.Exit(code)
}
