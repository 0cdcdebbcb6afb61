package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"path"
	"time"
)

// config is everything that a test chooses about its vCenter.
type config struct {
	Listen      string `json:"listen"`
	Username    string `json:"username"`
	Password    string `json:"password"`
	Certificate string `json:"certificate"` // PEM files
	Key         string `json:"key"`

	Datacenters int `json:"datacenters"` // DC0, DC1 …
	Clusters    int `json:"clusters"`    // per datacenter: DC0_C0 …
	Hosts       int `json:"hosts"`       // per cluster: DC0_C0_H0 …
	Pools       int `json:"pools"`       // per cluster, below the root pool: DC0_C0_RP1 …
	Datastores  int `json:"datastores"`  // LocalDS_0 …
	Portgroups  int `json:"portgroups"`  // distributed, per datacenter: DC0_DVPG0 …; "VM Network" always exists

	DRS              bool     `json:"drs"`               // chooses hosts; without it a clone must name one
	DatastoreCluster string   `json:"datastore_cluster"` // holds all datastores; "": there is none
	VMGroups         []string `json:"vm_groups"`         // DRS groups of machines, empty ones, of every cluster
	Denied           []string `json:"denied"`            // patterns of privileges that the account lacks
	CloneIgnores     []string `json:"clone_ignores"`     // parts of a clone's specification: "size", "power", "instance"

	TakesFilesLiterally bool `json:"takes_files_literally"` // in a clone's edit of a disk, as no vCenter does

	Policies map[string][]string `json:"policies"`  // storage policies, with the names of datastores that satisfy each
	Tags     []categoryConfig    `json:"tags"`      // categories of the REST API
	Items    []itemConfig        `json:"items"`     // of content libraries
	UploadTo string              `json:"upload_to"` // "": vCenter; "host": a host; "impostor": one that is none
	Alone    map[string]string   `json:"alone"`     // datastore's or network's name → the only cluster that reaches it; "": none does
	Switches map[string][]string `json:"switches"`  // further distributed switches, with their port groups
	Opaque   []string            `json:"opaque"`    // networks of another maker's, such as NSX
	VApps    []string            `json:"vapps"`     // in the first cluster

	Folders   []string         `json:"folders"` // below every datacenter's vm folder; "a/b" makes both
	Templates []templateConfig `json:"templates"`
	Machines  []machineConfig  `json:"machines"`
	Guests    []guestConfig    `json:"guests"` // the first rule whose name matches is a machine's

	CallDelay      seconds `json:"call_delay"` // before every call of the API
	CloneTime      seconds `json:"clone_time"`
	TaskTime       seconds `json:"task_time"`       // of every other task
	UploadTime     seconds `json:"upload_time"`     // from a disk's last byte to the answer
	LeaseTimeout   seconds `json:"lease_timeout"`   // of an import of which nothing is heard; whole ones
	SessionTimeout seconds `json:"session_timeout"` // of an idle session; 0: never
	PageSize       int32   `json:"page_size"`       // objects in one answer of RetrievePropertiesEx; 0: all
}

// templateConfig is a template, in the first datacenter unless another one is named.
type templateConfig struct {
	Path     string `json:"path"` // folder and name, below the vm folder
	CPU      int32  `json:"cpu"`
	Memory   int64  `json:"memory_mib"`
	Disk     int64  `json:"disk_gib"`
	Network  string `json:"network"`
	MAC      string `json:"mac_address"` // chosen by hand; "": vCenter chooses
	Snapshot string `json:"snapshot"`    // name of its current snapshot; "": none

	Datacenter string   `json:"datacenter"`
	Earlier    []string `json:"earlier_snapshots"` // names of snapshots before that one
	Version    string   `json:"version"`           // of its hardware
	Firmware   string   `json:"firmware"`
}

// machineConfig is a machine that exists from the beginning, or that somebody else creates.
type machineConfig struct {
	Path        string            `json:"path"`
	PowerOn     bool              `json:"power_on"`
	ExtraConfig map[string]string `json:"extra_config"`
}

// guestConfig is what happens inside of machines after power-on.
type guestConfig struct {
	Name         string            `json:"name"`      // pattern of machine names
	Addresses    []string          `json:"addresses"` // of the first network card
	Network      string            `json:"network"`   // without addresses: the next free one of 127.64.0.0/16, say
	AddressDelay seconds           `json:"address_delay"`
	Publishes    map[string]string `json:"publishes"` // extraConfig that the guest itself sets
	PublishDelay seconds           `json:"publish_delay"`
	Others       []string          `json:"others"`       // of the further cards, one each
	Before       []string          `json:"before"`       // addresses that the first card has until then, or from then on without others
	Disconnected bool              `json:"disconnected"` // the first card's cable is pulled
}

type seconds float64

func (s seconds) duration() time.Duration { return time.Duration(float64(s) * float64(time.Second)) }

func readConfig(in *bufio.Reader) (*config, error) {
	line, err := in.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("no configuration on standard input: %w", err)
	}
	c := &config{}
	if err := json.Unmarshal(line, c); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return c, nil
}

// matches says whether a shell pattern fits a name; "" fits all.
func matches(pattern, name string) bool {
	if pattern == "" {
		return true
	}
	fits, err := path.Match(pattern, name)
	return fits && err == nil
}
