package main

import (
	"fmt"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

const extraConfig = "config.extraConfig"

// RetrievePropertiesEx answers in pages where the client or the configuration asks for it.
func (c *collector) RetrievePropertiesEx(ctx *simulator.Context, r *types.RetrievePropertiesEx) soap.HasFault {
	objects, fault := c.collect(ctx, r.SpecSet)
	if fault != nil {
		return &methods.RetrievePropertiesExBody{Fault_: fault}
	}
	result := c.page(objects, r.Options.MaxObjects)
	return &methods.RetrievePropertiesExBody{Res: &types.RetrievePropertiesExResponse{Returnval: result}}
}

// ContinueRetrievePropertiesEx answers the next page.
func (c *collector) ContinueRetrievePropertiesEx(r *types.ContinueRetrievePropertiesEx) soap.HasFault {
	c.mu.Lock()
	objects, known := c.rest[r.Token]
	delete(c.rest, r.Token)
	c.mu.Unlock()
	if !known {
		fault := simulator.Fault("", &types.InvalidArgument{InvalidProperty: "token"})
		return &methods.ContinueRetrievePropertiesExBody{Fault_: fault}
	}
	result := *c.page(objects, 0)
	return &methods.ContinueRetrievePropertiesExBody{Res: &types.ContinueRetrievePropertiesExResponse{Returnval: result}}
}

// CancelRetrievePropertiesEx forgets the pages that were not fetched.
func (c *collector) CancelRetrievePropertiesEx(r *types.CancelRetrievePropertiesEx) soap.HasFault {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.rest, r.Token)
	return &methods.CancelRetrievePropertiesExBody{Res: &types.CancelRetrievePropertiesExResponse{}}
}

// RetrieveProperties is the older form, without pages.
func (c *collector) RetrieveProperties(ctx *simulator.Context, r *types.RetrieveProperties) soap.HasFault {
	objects, fault := c.collect(ctx, r.SpecSet)
	if fault != nil {
		return &methods.RetrievePropertiesBody{Fault_: fault}
	}
	return &methods.RetrievePropertiesBody{Res: &types.RetrievePropertiesResponse{Returnval: objects}}
}

// pageSize is the server's own limit; every session has a collector of its own, so it is kept outside of them.
var pageSize int32

func (c *collector) page(objects []types.ObjectContent, wanted int32) *types.RetrieveResult {
	limit := pageSize
	if wanted > 0 && (limit == 0 || wanted < limit) {
		limit = wanted
	}
	if limit == 0 || len(objects) <= int(limit) {
		return &types.RetrieveResult{Objects: objects}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rest == nil {
		c.rest = map[string][]types.ObjectContent{}
	}
	token := fmt.Sprintf("%d-%d", len(c.rest), len(objects))
	c.rest[token] = objects[limit:]
	return &types.RetrieveResult{Objects: objects[:limit], Token: token}
}

// collect asks the library, and resolves paths such as `config.extraConfig["key"].value`, which it does not know.
func (c *collector) collect(ctx *simulator.Context, specs []types.PropertyFilterSpec) ([]types.ObjectContent, *soap.Fault) {
	plain, keys := withoutKeys(specs)
	body := c.PropertyCollector.RetrievePropertiesEx(ctx, &types.RetrievePropertiesEx{This: c.Self, SpecSet: plain})
	if fault := body.Fault(); fault != nil {
		return nil, fault
	}
	objects := body.(*methods.RetrievePropertiesExBody).Res.Returnval.Objects
	for i := range objects {
		objects[i].PropSet = withoutParent(objects[i])
	}
	if len(keys.paths) > 0 {
		for i := range objects {
			objects[i].PropSet = keys.resolve(objects[i].PropSet)
		}
	}
	return objects, nil
}

// keyedPaths are the paths that name one extraConfig key each.
type keyedPaths struct {
	paths map[string]string // path → key
	whole bool              // extraConfig was asked for as well
}

// withoutKeys replaces keyed paths by the whole of extraConfig, in a copy: a filter's own specification must stay.
func withoutKeys(specs []types.PropertyFilterSpec) ([]types.PropertyFilterSpec, keyedPaths) {
	keys := keyedPaths{paths: map[string]string{}}
	plain := make([]types.PropertyFilterSpec, len(specs))
	for i, spec := range specs {
		plain[i] = spec
		plain[i].PropSet = make([]types.PropertySpec, len(spec.PropSet))
		for j, set := range spec.PropSet {
			plain[i].PropSet[j] = set
			plain[i].PropSet[j].PathSet = keys.split(set.PathSet)
		}
	}
	return plain, keys
}

func (k *keyedPaths) split(paths []string) []string {
	var plain []string
	found := false
	for _, path := range paths {
		if strings.HasPrefix(path, extraConfig+`["`) {
			k.paths[path] = strings.Split(path, `"`)[1]
			found = true
			continue
		}
		k.whole = k.whole || path == extraConfig
		plain = append(plain, path)
	}
	if found && !k.whole {
		plain = append(plain, extraConfig)
	}
	return plain
}

func (k *keyedPaths) resolve(set []types.DynamicProperty) []types.DynamicProperty {
	var resolved []types.DynamicProperty
	for _, property := range set {
		if property.Name != extraConfig || k.whole {
			resolved = append(resolved, property)
		}
		if property.Name != extraConfig {
			continue
		}
		for path, key := range k.paths {
			for _, option := range property.Val.(*types.ArrayOfOptionValue).OptionValue {
				if value := option.GetOptionValue(); value.Key == key {
					resolved = append(resolved, types.DynamicProperty{Name: path, Val: keyedValue(path, value)})
				}
			}
		}
	}
	return resolved
}

func keyedValue(path string, option *types.OptionValue) types.AnyType {
	if strings.HasSuffix(path, "].value") {
		return option.Value
	}
	return option
}
