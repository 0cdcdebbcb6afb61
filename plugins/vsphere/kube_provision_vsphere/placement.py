"""Where a role's machines go and what they are cloned from: the names of its configuration, resolved and checked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from kube_provision_core import ConfigError, Role

from .config import VsphereConfig
from .inventory import Inventory, Item, natural, wanted
from .resources import Datastore, HostCluster, Network, Resources, Template

T = TypeVar("T")

CLUSTER_KINDS = ("ClusterComputeResource", "ComputeResource")
CLUSTER = wanted("cluster", "cluster", *CLUSTER_KINDS)
POOL = wanted("resource_pool", "resource pool", "ResourcePool")
FOLDER = wanted("folder", "folder of machines", "Folder", below="vm")
TEMPLATE = wanted("template", "template", "VirtualMachine", accept=lambda item: item.template)
MACHINE = wanted("template", "template or machine", "VirtualMachine")
DATASTORE = wanted("datastore", "datastore or datastore cluster", "Datastore", "StoragePod")
NETWORK = wanted("network", "network or port group", "Network", "DistributedVirtualPortgroup")


@dataclass(frozen=True)
class Named:
    """What a role's configuration names, found in the inventory."""

    templates: tuple[Item, ...]
    """The one that is named, or all that fit the pattern."""
    folder: Item
    pool: Item
    cluster: Item
    datastores: tuple[Item, ...]
    """The one, or those of the datastore cluster; none: where the template lies."""
    network: Item | None
    hosts: tuple[Item, ...]
    switches: tuple[Item, ...]

    @property
    def items(self) -> Iterator[Item]:
        """Everything whose details are needed."""
        yield from (*self.templates, self.cluster, *self.datastores, *self.hosts)
        if self.network:
            yield from (self.network, *self.switches)


@dataclass(frozen=True)
class Placement:
    """Everything that cloning a role's machine needs to know."""

    template: Template
    template_path: str
    folder: str
    folder_path: str
    pool: str
    cluster: HostCluster
    hosts: tuple[str, ...]
    """Hosts to take in turn, where no DRS chooses; empty: it does."""
    datastores: tuple[Datastore, ...]
    network: Network | None


def cluster(inventory: Inventory, config: VsphereConfig) -> Item:
    """Raises `ConfigError`."""
    return _pool_and_cluster(inventory, config)[1]


def resolve(
    inventory: Inventory, configs: Mapping[Role, VsphereConfig], read: Callable[[Iterable[Item]], Resources]
) -> dict[Role, Placement]:
    """Placements of the roles. `read` is called once. Raises `ConfigError` with all problems of all roles at once."""
    problems: dict[str, set[Role]] = defaultdict(set)

    def attempt(role: Role, function: Callable[[], T]) -> T | None:
        try:
            return function()
        except ConfigError as error:
            for problem in error.problems:
                problems[problem].add(role)
            return None

    named = {role: one for role, config in configs.items() if (one := attempt(role, partial(name, inventory, config)))}
    resources = read(item for one in named.values() for item in one.items)
    placed: dict[Role, Placement] = {}
    for role, names in named.items():
        if found := attempt(role, partial(place, names, inventory, resources, configs[role])):
            placed[role] = found
    if problems:
        raise ConfigError(*(_of_roles(line, roles, len(configs)) for line, roles in problems.items()))
    return placed


def _of_roles(line: str, roles: Collection[Role], all_roles: int) -> str:
    """Says whose problem it is, unless it is everybody's."""
    return line if len(roles) == all_roles else f"{line} (for: {', '.join(sorted(roles))})"


def name(inventory: Inventory, config: VsphereConfig) -> Named:
    """Raises `ConfigError` with all problems at once."""
    problems: list[str] = []

    def attempt(function: Callable[[], T]) -> T | None:
        try:
            return function()
        except ConfigError as error:
            problems.extend(error.problems)
            return None

    templates = attempt(lambda: _templates(inventory, config.template))
    folder = attempt(lambda: inventory.find(FOLDER, config.folder) if config.folder else inventory.top("vm"))
    place = attempt(lambda: _pool_and_cluster(inventory, config))
    datastores = attempt(lambda: _datastores(inventory, config.datastore))
    network = attempt(lambda: inventory.find(NETWORK, config.network) if config.network else None)
    if problems or templates is None or folder is None or place is None or datastores is None:
        raise ConfigError(*problems)
    pool, cluster = place
    return Named(
        templates,
        folder,
        pool,
        cluster,
        datastores,
        network,
        hosts=tuple(inventory.children(cluster.id, "HostSystem")),
        switches=tuple(item for item in inventory.items.values() if item.kind.endswith("DistributedVirtualSwitch")),
    )


def place(named: Named, inventory: Inventory, resources: Resources, config: VsphereConfig) -> Placement:
    """Raises `ConfigError` with all problems at once."""
    template = newest(named.templates, inventory, resources)
    cluster = resources.clusters.get(named.cluster.id) or HostCluster(named.cluster.id, places_machines=False)
    datastores = tuple(store for item in named.datastores if (store := resources.datastores.get(item.id)) and store.usable)
    network = resources.networks.get(named.network.id) if named.network else None
    hosts = tuple(item.id for item in named.hosts if item.id in resources.hosts and resources.hosts[item.id].usable)
    problems = [
        *_template_problems(template, inventory.path(template.id), config),
        *(
            f"vm_groups: cluster {named.cluster.name} has no DRS group of machines {group!r}"
            for group in config.vm_groups
            if group not in cluster.vm_groups
        ),
    ]
    if config.datastore and not datastores:
        problems.append(f"datastore: {config.datastore} is in maintenance or out of reach")
    if named.network and (network is None or (network.switch is None and named.network.kind != "Network")):
        problems.append(f"network: the switch of {inventory.path(named.network.id)} cannot be read by the account")
    if not hosts:
        problems.append(f"cluster: {inventory.path(cluster.id)} has no connected host that is out of maintenance")
    if problems:
        raise ConfigError(*problems)
    return Placement(
        template,
        inventory.path(template.id),
        named.folder.id,
        inventory.path(named.folder.id),
        named.pool.id,
        cluster,
        () if cluster.places_machines else hosts,
        datastores,
        network,
    )


def newest(candidates: Iterable[Item], inventory: Inventory, resources: Resources) -> Template:
    """The template that was created last; by its name, numbers as numbers, where vCenter does not tell when."""
    known = [(item, resources.templates[item.id]) for item in candidates if item.id in resources.templates]
    if not known:
        raise ConfigError("template: it has vanished from vCenter")
    dated = all(template.created for _, template in known)

    def age(pair: tuple[Item, Template]) -> tuple[datetime, object]:
        item, template = pair
        created = template.created if dated and template.created else datetime.min.replace(tzinfo=UTC)
        return created, natural(item.name)

    ordered = sorted(known, key=age)
    last = [item for item, template in known if age((item, template)) == age(ordered[-1])]
    if len(last) > 1:
        raise ConfigError(inventory.ambiguity(TEMPLATE, last[0].name, last))
    return ordered[-1][1]


def _templates(inventory: Inventory, text: str) -> tuple[Item, ...]:
    named = inventory.matches(TEMPLATE, text) or inventory.matches(MACHINE, text)
    if not named and set(text) & set("*?["):
        fitting = inventory.pattern_matches(TEMPLATE, text)
        if not fitting:
            raise ConfigError(f"template: no template fits the pattern {text!r}, or the account may not see it")
        return tuple(fitting)
    if len(named) > 1:
        raise ConfigError(inventory.ambiguity(TEMPLATE, text, named))
    return (named[0] if named else inventory.find(TEMPLATE, text),)


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


def _datastores(inventory: Inventory, text: str | None) -> tuple[Item, ...]:
    if text is None:
        return ()
    found = inventory.find(DATASTORE, text)
    return (found,) if found.kind == "Datastore" else tuple(inventory.children(found.id, "Datastore"))


def _template_problems(template: Template, path: str, config: VsphereConfig) -> Iterator[str]:
    if template.running:
        yield f"template: {path} is a running machine; shut it down and convert it to a template"
    if not template.disks:
        yield f"template: {path} has no disk"
    if config.linked_clone and template.snapshot is None:
        yield f"linked_clone: template {path} has no snapshot to link to; take one, or set linked_clone: false"
