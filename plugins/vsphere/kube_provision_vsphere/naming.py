"""What a role's configuration names, found in the inventory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

from kube_provision_core import ConfigError

from .config import VsphereConfig
from .inventory import Inventory, Item, Wanted
from .problems import Problems

WITH_RULES = "ClusterComputeResource"
"""A cluster of hosts, which has DRS rules; a single host has none."""
CLUSTER_KINDS = (WITH_RULES, "ComputeResource")
CLUSTER = Wanted("cluster", "cluster", CLUSTER_KINDS)
VAPP = "VirtualApp"
POOL = Wanted("resource_pool", "resource pool", ("ResourcePool", VAPP))
FOLDER = Wanted("folder", "folder of machines", ("Folder",), below="vm")
TEMPLATE = Wanted("template", "template", ("VirtualMachine",), accept=lambda item: item.template)
MACHINE = Wanted("template", "template or machine", ("VirtualMachine",))
DATASTORE = Wanted("datastore", "datastore or datastore cluster", ("Datastore", "StoragePod"))
OPAQUE_NETWORK = "OpaqueNetwork"
NETWORK = Wanted("network", "network or port group", ("Network", "DistributedVirtualPortgroup", OPAQUE_NETWORK))


@dataclass(frozen=True)
class Named:
    """Objects, by what they are for."""

    templates: tuple[Item, ...]
    """The one that is named, or all that fit the pattern."""
    folder: Item
    pool: Item
    cluster: Item
    datastores: tuple[Item, ...]
    """The one, those of the datastore cluster, or all, where a storage policy chooses; none: where the template lies."""
    networks: tuple[tuple[Item, ...], ...]
    """Of each card all that bear the name: of several, the one is meant that the cluster reaches. None: the template's."""
    hosts: tuple[Item, ...]
    switches: tuple[Item, ...]

    @property
    def items(self) -> Iterator[Item]:
        """Everything whose details are needed."""
        yield from (*self.templates, self.cluster, *self.datastores, *self.hosts)
        if self.networks:
            yield from (*chain(*self.networks), *self.switches)


def find(inventory: Inventory, config: VsphereConfig, *, with_template: bool = True) -> Named:
    """Raises `ConfigError` with all problems at once."""
    problems = Problems()
    with problems.collected():
        templates = _templates(inventory, config.template) if with_template else ()
    with problems.collected():
        folder = inventory.find(FOLDER, config.folder) if config.folder else inventory.top("vm")
    with problems.collected():
        pool, hosts = _pool_and_cluster(inventory, config)
    with problems.collected():
        datastores = _datastores(inventory, config)
    with problems.collected():
        networks = _networks(inventory, config)
    problems.check()
    return Named(
        templates=templates,
        folder=folder,
        pool=pool,
        cluster=hosts,
        datastores=datastores,
        networks=networks,
        hosts=tuple(inventory.children(hosts.id, "HostSystem")),
        switches=tuple(item for item in inventory.items.values() if item.kind.endswith("DistributedVirtualSwitch")),
    )


def find_cluster(inventory: Inventory, config: VsphereConfig) -> Item:
    """The cluster of hosts. Raises `ConfigError`."""
    return _pool_and_cluster(inventory, config)[1]


def _templates(inventory: Inventory, text: str) -> tuple[Item, ...]:
    """Those of other datacenters are named by their full paths alone."""
    if inventory.elsewhere and text.startswith("/") and not _leads_into(inventory, text):
        inventory = inventory.elsewhere
    named = inventory.matches(TEMPLATE, text) or inventory.matches(MACHINE, text)
    if not named and set(text) & set("*?["):
        fitting = inventory.pattern_matches(TEMPLATE, text)
        if not fitting:
            raise ConfigError(f"template: no template fits the pattern {text!r}, or the account may not see it")
        return tuple(fitting)
    if len(named) > 1:
        raise ConfigError(inventory.ambiguity(TEMPLATE, text, named))
    return (named[0] if named else inventory.find(TEMPLATE, text),)


def _leads_into(inventory: Inventory, path: str) -> bool:
    return path.startswith(f"{inventory.path(inventory.top('vm').id).rpartition('/')[0]}/")


def _pool_and_cluster(inventory: Inventory, config: VsphereConfig) -> tuple[Item, Item]:
    cluster = inventory.find(CLUSTER, config.cluster) if config.cluster else None
    if config.resource_pool:
        return _pool(inventory, config.resource_pool, cluster)
    cluster = cluster or inventory.only(CLUSTER)
    pools = inventory.children(cluster.id, "ResourcePool")
    if not pools:
        raise ConfigError(f"cluster: the account may not see the resource pool of {inventory.path(cluster.id)}")
    return pools[0], cluster


def _pool(inventory: Inventory, text: str, cluster: Item | None) -> tuple[Item, Item]:
    found = inventory.matches(POOL, text)
    owners = {pool.id: inventory.ancestor(pool.id, CLUSTER_KINDS) for pool in found}
    inside = [pool for pool in found if cluster is None or owners[pool.id] == cluster]
    if len(inside) > 1:
        raise ConfigError(inventory.ambiguity(POOL, text, inside))
    pool = inside[0] if inside else inventory.find(POOL, text)
    owner = owners[pool.id]
    if owner is None or (cluster and owner != cluster):
        wanted_path = inventory.path(cluster.id) if cluster else "any cluster"
        raise ConfigError(f"resource_pool: {inventory.path(pool.id)} is not in {wanted_path}")
    return pool, owner


def _networks(inventory: Inventory, config: VsphereConfig) -> tuple[tuple[Item, ...], ...]:
    problems, found = Problems(), []
    for number, card in enumerate(config.cards):
        if card.name:
            with problems.collected():
                what = network_of(config, number)
                found.append(tuple(inventory.matches(what, card.name)) or (inventory.find(what, card.name),))
    problems.check()
    return tuple(found)


def network_of(config: VsphereConfig, number: int) -> Wanted:
    """What the name of a card's network may be."""
    return replace(NETWORK, key=config.called(number, "name"))


def _datastores(inventory: Inventory, config: VsphereConfig) -> tuple[Item, ...]:
    if config.datastore is None:
        return tuple(inventory.all("Datastore")) if config.storage_policy else ()
    found = inventory.find(DATASTORE, config.datastore)
    return (found,) if found.kind == "Datastore" else tuple(inventory.children(found.id, "Datastore"))
