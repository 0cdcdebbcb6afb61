"""Where templates lie, and from what and where they are baked: the configuration's words, resolved and checked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from typing import TYPE_CHECKING

from kube_provision_core import ConfigError, Role, StaticIp, node_card

from . import naming, placement, privileges
from .client.library import find_item
from .client.templates import Place
from .client.vcenter import Vcenter
from .config import VsphereConfig
from .inventory import Inventory
from .kind import Kind
from .placement import Placement
from .problems import Problems
from .resources import NOT_THERE_YET, LibraryItem
from .values import InLibrary, InOva

if TYPE_CHECKING:
    from .ova import Ova

BAKING, REPLACED = ".baking", ".replaced"
LONGEST_NAME = 80 - len(REPLACED)
"""vCenter takes names of 80 characters."""


@dataclass(frozen=True)
class Site:
    """One template: where it lies, and where and from what it is baked."""

    name: str
    """As the configuration has it."""
    roles: frozenset[Role]
    folder: str
    leaf: str
    """Its name in its folder."""
    placement: Placement | None
    """None: nothing is configured to bake it from."""
    linked: bool
    """Some of its clones share its disk."""
    item: LibraryItem | Ova | None = None
    """Which it is baked from in place of a template."""

    @property
    def hindrances(self) -> tuple[str, ...]:
        """What matters to whoever bakes, and to nobody else: an OVA may be on their machine alone."""
        found = [self.item.problem] if self.item and not isinstance(self.item, LibraryItem) and self.item.problem else []
        if self.placement and self.placement.pool.kind == naming.VAPP:
            found.append(
                f"resource_pool: {self.placement.pool.name} is a vApp, whose machines lie in no folder, as templates do; "
                "bake in a resource pool: -e resource_pool=NAME"
            )
        return tuple(found)

    @property
    def template(self) -> Place:
        return self.folder, self.leaf

    @property
    def machine(self) -> Place:
        return self.folder, f"{self.leaf}{BAKING}"

    @property
    def replaced(self) -> Place:
        return self.folder, f"{self.leaf}{REPLACED}"


def find(
    vcenter: Vcenter, inventory: Inventory, configs: Mapping[Role, VsphereConfig], roles: Collection[Role]
) -> tuple[Site, ...]:
    """The sites of these roles' templates, each once. Raises `ConfigError` with all problems at once."""
    using: dict[str, set[Role]] = {}
    for role in sorted(roles):
        using.setdefault(configs[role].template, set()).add(role)
    problems, sites = Problems(), []
    for name, users in using.items():
        with problems.collected(f"template {name}"):
            sites.append(_find(vcenter, inventory, configs, name, frozenset(users)))
    problems.check()
    return tuple(sites)


def _find(
    vcenter: Vcenter, inventory: Inventory, configs: Mapping[Role, VsphereConfig], name: str, roles: frozenset[Role]
) -> Site:
    config, problems = configs[min(roles)], Problems()
    with problems.collected():
        folder, leaf = _locate(inventory, name, config)
    with problems.collected():
        item = _item(vcenter, config)
        place = _source(vcenter, inventory, config, min(roles), item) if config.bake_from else None
    with problems.collected():
        _check_address(config)
    problems.check()
    linked = any(configs[role].linked_clone for role in roles)
    site = Site(name, roles, folder, leaf, replace(place, folder=folder) if place else None, linked, item)
    _check_privileges(vcenter, inventory, site, config)
    return site


def _item(vcenter: Vcenter, config: VsphereConfig) -> LibraryItem | Ova | None:
    match config.bake_from:
        case InLibrary(library=library, item=item):
            return find_item(vcenter.rest, library, item)
        case InOva(ova=path):
            from .ova import look

            return look(path)
    return None


def _source(
    vcenter: Vcenter, inventory: Inventory, config: VsphereConfig, role: Role, item: LibraryItem | Ova | None
) -> Placement:
    source = NOT_THERE_YET if item else None
    try:
        place = placement.resolve(inventory, {Kind(role): bake_config(config)}, vcenter, source)[Kind(role)]
    except ConfigError as error:
        raise ConfigError(*(_of_bake_from(line) for line in error.problems)) from error
    if item is None:
        return place
    found = {"datastore": place.datastores, "network": place.networks}
    if missing := [key for key, things in found.items() if not things]:
        raise ConfigError(*(f"{key}: not set, and bake_from names no template that has one; name one" for key in missing))
    return replace(place, template_path=item.described)


def _check_privileges(vcenter: Vcenter, inventory: Inventory, site: Site, config: VsphereConfig) -> None:
    if site.placement is None:
        return
    needed = [*privileges.needed(site.placement, bake_config(config)), (("Folder", site.folder), privileges.FOR_BAKING)]
    if site.linked:
        needed.append((("Folder", site.folder), privileges.FOR_SNAPSHOTS))
    if missing := list(privileges.missing(vcenter, inventory, needed)):
        raise ConfigError(*missing)


def _locate(inventory: Inventory, text: str, config: VsphereConfig) -> tuple[str, str]:
    """Folder and name of a template that exists, or that is to be made."""
    found = inventory.matches(naming.TEMPLATE, text) or inventory.matches(naming.MACHINE, text)
    if len(found) > 1:
        raise ConfigError(inventory.ambiguity(naming.TEMPLATE, text, found))
    if found:
        return found[0].parent or inventory.top("vm").id, found[0].name
    if set(text) & set("*?["):
        raise ConfigError(f"template: {text!r} is a pattern, and bake makes one template: write its name")
    path, _, leaf = text.strip("/").rpartition("/")
    if len(leaf) > LONGEST_NAME:
        raise ConfigError(f"template: {leaf!r} is longer than {LONGEST_NAME} characters")
    named = path or config.folder
    folder = inventory.find(naming.FOLDER, f"/{path}" if path and text.startswith("/") else named) if named else None
    return (folder or inventory.top("vm")).id, leaf


def bake_config(config: VsphereConfig) -> VsphereConfig:
    """The configuration of a machine that bakes: made from the source, a full clone, with an address of its own.

    In the first of its role's failure domains, where there are any, and in the nodes' network alone.
    """
    config = config.within(next(iter(config.domains), ""))
    node, gateway = config.cards[node_card(config.cards)], _gateway(config)
    own = StaticIp(addresses=[config.bake_ip], gateway=gateway) if config.bake_ip else None
    changes = {
        "template": config.bake_from if isinstance(config.bake_from, str) else config.template,
        "linked_clone": False,
        "snapshot": None,
        "vm_groups": [],
        "vm_attributes": {},
        "vm_tags": {},
        "networks": None,
        "network": node.name or None,
        "static_ip": own,
    }
    return config.model_copy(update=changes)


def _gateway(config: VsphereConfig) -> IPv4Address | None:
    return config.node_static_ip.gateway if config.node_static_ip else None


def _check_address(config: VsphereConfig) -> None:
    if config.bake_from and config.node_static_ip and not config.bake_ip:
        raise ConfigError(
            "bake_ip: machines have fixed addresses (static_ip), so the one that bakes needs one: bake_ip: ADDRESS/LENGTH"
        )
    gateway = _gateway(config)
    if config.bake_ip and gateway and gateway not in config.bake_ip.network:
        raise ConfigError(f"bake_ip: gateway {gateway} is not in the network of {config.bake_ip}")
    if config.bake_ip and gateway == config.bake_ip.ip:
        raise ConfigError(f"bake_ip: {gateway} is the gateway of static_ip: give the machine that bakes another one")


def _of_bake_from(line: str) -> str:
    """What is wrong with a source is told of the key that names it."""
    return f"bake_from{line.removeprefix('template')}" if line.startswith("template:") else line
