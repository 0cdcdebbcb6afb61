"""What a cluster's hosts reach of what a role's machines need: vCenter itself finds out at the clone, and names nothing."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from .config import VsphereConfig
from .inventory import Inventory, Item, some_of
from .naming import OPAQUE_NETWORK, Named, network_of
from .resources import Host, HostCluster, Template


def reached(items: Iterable[Item], ids: Collection[str] | None) -> tuple[Item, ...]:
    """Those that are among the ids; all where these are not known."""
    return tuple(item for item in items if ids is None or item.id in ids)


def reached_networks(inventory: Inventory, items: Iterable[Item], ids: Collection[str] | None) -> tuple[Item, ...]:
    """A network of another maker's is not known to be out of reach where the list has none of them."""
    listed = {inventory.items[item].kind for item in ids or () if item in inventory.items}
    return tuple(
        item for item in items if ids is None or item.id in ids or (item.kind == OPAQUE_NETWORK and item.kind not in listed)
    )


def reaches(host: Host, datastores: Collection[str], networks: Collection[str]) -> bool:
    stores = host.datastores is None or host.datastores.issuperset(datastores)
    return stores and (host.networks is None or host.networks.issuperset(networks))


def problems(
    named: Named, cluster: HostCluster, template: Template, inventory: Inventory, config: VsphereConfig
) -> Iterator[str]:
    """One line each, with what the cluster reaches instead."""
    where = f"cluster {inventory.path(cluster.id)}"
    stores = reached(named.datastores, cluster.datastores)
    for number, items in enumerate(named.networks):
        networks, what = reached_networks(inventory, items, cluster.networks), network_of(config, number)
        name = config.cards[number].name
        if not networks:
            yield f"{what.key}: {where} does not reach {name!r}; it reaches: {_names(inventory, cluster.networks)}"
        elif len(networks) > 1:
            yield inventory.ambiguity(what, name, networks)
    if not named.networks and (missing := _missing(template.networks, cluster.networks)):
        lacks = f"does not reach the template's {_names(inventory, missing)}"
        yield f"network: not set, and {where} {lacks}; it reaches: {_names(inventory, cluster.networks)}"
    if config.datastore and not stores:
        yield f"datastore: {where} does not reach {config.datastore!r}; it reaches: {_names(inventory, cluster.datastores)}"
    if (config.linked_clone or not (config.datastore or config.storage_policy)) and (
        missing := _missing(template.datastores, cluster.datastores)
    ):
        key = "linked_clone: true" if config.linked_clone else "datastore: not set"
        lacks = f"does not reach {_names(inventory, missing)}, where the template lies"
        yield f"{key}, and {where} {lacks}; it reaches: {_names(inventory, cluster.datastores)}"


def _missing(needed: Collection[str], ids: Collection[str] | None) -> list[str]:
    return [] if ids is None else sorted(set(needed) - set(ids))


def _names(inventory: Inventory, ids: Collection[str] | None) -> str:
    return some_of(inventory.items[item].name if item in inventory.items else item for item in ids or ())
