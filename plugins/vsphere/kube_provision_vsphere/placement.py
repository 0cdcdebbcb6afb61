"""Where machines go and what they are cloned from, checked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from kube_provision_core import Boot, ConfigError, Node

from . import guestinfo, naming
from .client.details import read_resources
from .client.policies import read_policies
from .client.specification import Order
from .client.vcenter import Vcenter
from .config import VsphereConfig
from .hardware_address import hardware_addresses
from .inventory import Inventory, Item, natural
from .kind import Kind
from .naming import TEMPLATE, Named
from .problems import Problems
from .reach import problems as reach_problems
from .reach import reached, reached_networks, reaches
from .resources import Datastore, HostCluster, Network, Policy, Resources, Template
from .values import Firmware

SECURE_BOOT = 13
"""The version of virtual hardware since which machines may have it: that of vSphere 6.5."""


@dataclass(frozen=True)
class Placement:
    """Everything that cloning a machine of a kind needs to know."""

    template: Template
    template_path: str
    folder: str
    pool: Item
    """A resource pool, or a vApp."""
    cluster: HostCluster
    hosts: tuple[str, ...]
    """Hosts to take in turn, where no DRS chooses; empty: it does."""
    snapshot: str | None
    """Id of the template's that linked clones build on."""
    datastores: tuple[Datastore, ...]
    networks: tuple[Network, ...]
    """Of its cards; none: the template's."""
    policy: str | None
    """Id of the storage policy."""

    def order(
        self,
        node: Node,
        boot: Boot,
        config: VsphereConfig,
        *,
        turn: int,
        datastore: str | None,
        note: str,
        extra_config: Mapping[str, str],
    ) -> Order:
        """A machine of this kind. `turn`: of the hosts; `extra_config`: beside its boot data."""
        return Order(
            name=node.name,
            template=self.template,
            folder=self.folder,
            pool=self.pool,
            host=self.hosts[turn % len(self.hosts)] if self.hosts else None,
            datastore=datastore,
            networks=self.networks,
            policy=self.policy,
            mac_addresses=hardware_addresses(node, config),
            size=node.machine,
            snapshot=self.snapshot if config.linked_clone else None,
            firmware=config.firmware,
            note=note,
            extra_config={**extra_config, **guestinfo.of(node, boot, config).values()},
        )


def resolve(
    inventory: Inventory, configs: Mapping[Kind, VsphereConfig], vcenter: Vcenter, source: Template | None = None
) -> dict[Kind, Placement]:
    """Where each kind of machine goes. One look at vCenter. Raises `ConfigError` with all problems at once.

    `source`: what they are made from, in place of a template that is in the inventory.
    """
    problems = Problems()
    named: dict[Kind, Named] = {}
    for kind, config in configs.items():
        with problems.collected(str(kind)):
            named[kind] = naming.find(inventory, config, with_template=source is None)
    resources = read_resources(vcenter.session, (item for names in named.values() for item in names.items))
    policies = {config.storage_policy for config in configs.values() if config.storage_policy}
    resources = replace(resources, policies=read_policies(vcenter.session, policies, resources.datastores))
    placed: dict[Kind, Placement] = {}
    for kind, names in named.items():
        with problems.collected(str(kind)):
            placed[kind] = _place(names, inventory, resources, configs[kind], source)
    problems.check()
    return placed


def _place(
    named: Named, inventory: Inventory, resources: Resources, config: VsphereConfig, source: Template | None
) -> Placement:
    """Raises `ConfigError` with all problems at once."""
    template = source or _newest(named.templates, inventory, resources)
    cluster = resources.clusters.get(named.cluster.id) or HostCluster(named.cluster.id, places_machines=False)
    policy = _policy(resources, config)
    reachable = reached(named.datastores, cluster.datastores)
    stores = reached(reachable, policy.datastores if policy else None)
    datastores = tuple(store for item in stores if (store := resources.datastores.get(item.id)) and store.usable)
    meant = [reached_networks(inventory, items, cluster.networks) for items in named.networks]
    networks = tuple(network for items in meant if len(items) == 1 and (network := resources.networks.get(items[0].id)))
    hosts = tuple(host for item in named.hosts if (host := resources.hosts.get(item.id)) and host.usable)
    needed = [store.id for store in datastores], [network.id for network in networks]
    placement = Placement(
        template=template,
        template_path=inventory.path(template.id),
        folder=named.folder.id,
        pool=named.pool,
        cluster=cluster,
        snapshot=_snapshot(template, config),
        hosts=() if cluster.places_machines else tuple(host.id for host in hosts if reaches(host, *needed)),
        datastores=datastores,
        networks=networks,
        policy=policy.id if policy else None,
    )
    problems = [*_template_problems(placement, config), *_place_problems(placement, named, inventory, config)]
    if stores and not datastores:
        problems.append(f"datastore: {config.datastore or stores[0].name} is in maintenance or out of reach")
    problems += _policy_problems(resources, config, [item.id for item in reachable])
    problems += reach_problems(named, cluster, template, inventory, config)
    if not hosts:
        problems.append(f"cluster: {inventory.path(cluster.id)} has no connected host that is out of maintenance")
    elif not (cluster.places_machines or placement.hosts):
        those = "the networks" if len(networks) > 1 else "the network"
        problems.append(f"cluster: {inventory.path(cluster.id)} has no host that reaches both the datastore and {those}")
    if problems:
        raise ConfigError(*problems)
    return placement


def _newest(candidates: Iterable[Item], inventory: Inventory, resources: Resources) -> Template:
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


def _snapshot(template: Template, config: VsphereConfig) -> str | None:
    """Of several with the configured name, none."""
    named = [item for name, item in template.snapshots if name == config.snapshot]
    return template.snapshot if config.snapshot is None else named[0] if len(named) == 1 else None


def _template_problems(place: Placement, config: VsphereConfig) -> Iterator[str]:
    if place.template.running:
        yield f"template: {place.template_path} is a running machine; shut it down and convert it to a template"
    if not place.template.disks:
        yield f"template: {place.template_path} has no disk"
    version = place.template.hardware.removeprefix("vmx-")
    if config.firmware is Firmware.EFI_SECURE_BOOT and version.isdigit() and int(version) < SECURE_BOOT:
        yield (
            f"firmware: template {place.template_path} has virtual hardware {version}, and secure boot needs {SECURE_BOOT}; "
            "upgrade its VM compatibility, or set firmware: efi"
        )
    if not (place.template.has_card or config.network or config.networks):
        yield f"template: {place.template_path} has no network card; set network"
    names = [name for name, _ in place.template.snapshots]
    if config.snapshot and names and place.snapshot is None:
        fault = "more than one snapshot" if config.snapshot in names else "no snapshot"
        yield f"snapshot: template {place.template_path} has {fault} {config.snapshot!r}; it has: {', '.join(names)}"
    elif config.linked_clone and place.snapshot is None:
        yield (
            f"linked_clone: template {place.template_path} has no snapshot to link to; take one, or set linked_clone: false"
        )


def _policy(resources: Resources, config: VsphereConfig) -> Policy | None:
    return next((policy for policy in resources.policies if policy.name == config.storage_policy), None)


def _policy_problems(resources: Resources, config: VsphereConfig, reachable: Collection[str]) -> Iterator[str]:
    policy = _policy(resources, config)
    if config.storage_policy and policy is None:
        known = ", ".join(sorted(it.name for it in resources.policies)) or "none"
        yield f"storage_policy: there is no storage policy {config.storage_policy!r}; vCenter has: {known}"
    elif policy and reachable and policy.datastores.isdisjoint(reachable):
        among = f"datastore {config.datastore!r} does not satisfy" if config.datastore else "no datastore in reach satisfies"
        yield f"storage_policy: {among} {policy.name!r}"


def _place_problems(place: Placement, named: Named, inventory: Inventory, config: VsphereConfig) -> Iterator[str]:
    for group in config.vm_groups:
        if group not in place.cluster.vm_groups:
            yield f"vm_groups: cluster {named.cluster.name} has no DRS group of machines {group!r}"
    known = {network.id for network in place.networks if network.is_known}
    for number, items in enumerate(named.networks):
        networks = reached_networks(inventory, items, place.cluster.networks)
        if len(networks) == 1 and networks[0].id not in known:
            key = config.called(number, "name")
            yield f"{key}: the switch of {inventory.path(networks[0].id)} cannot be read by the account"
