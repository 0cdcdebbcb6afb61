"""Templates as they are baked: a clone of the source bakes itself, and takes the earlier template's place when it is good.

In one folder there are, while it lasts:

    kube-1.36            the template
    kube-1.36.baking     the machine that becomes it
    kube-1.36.replaced   the earlier one, for the moment in which they change places
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from threading import Lock
from uuid import uuid4

from kube_provision_core import (
    Baked,
    Baking,
    ConfigError,
    Image,
    Node,
    NodeStatus,
    Power,
    Role,
    Stage,
    Stamp,
    TargetError,
    Template,
)

from . import guestinfo, stamp
from .client.specification import Order
from .client.templates import TemplateSighting
from .client.vcenter import Vcenter
from .config import VsphereConfig
from .inventory import Inventory
from .sites import BAKING, REPLACED, Site, bake_config
from .sites import find as sites_of

log = logging.getLogger(__name__)

DONE = NodeStatus(Stage.FINISH, "done")

NO_GUEST_DATA = {
    **{f"guestinfo.{name}{end}": "" for name in ("userdata", "metadata", "vendordata") for end in ("", ".encoding")},
    stamp.STATUS: "",
}
"""Without boot data a machine's first boot is not mistaken for another's; without a status none looks finished."""

NO_OTHER_LIFE = dict.fromkeys((stamp.STAMP, stamp.SCRUBBED, stamp.ADDRESS, stamp.CARD, stamp.DOMAIN, stamp.BAKED), "")
"""Nothing that the source may have kept of another life says anything about the machine that bakes."""


class Templates:
    """Thread-safe. Every method raises `TargetError`, `look` also `ConfigError`."""

    def __init__(self, vcenter: Vcenter, inventory: Callable[[], Inventory], config: Mapping[Role, VsphereConfig]) -> None:
        self._vcenter, self._inventory, self._config = vcenter, inventory, config
        self._lock = Lock()
        self._sites: dict[frozenset[Role], tuple[Site, ...]] = {}

    def look(self, roles: frozenset[Role]) -> tuple[Template, ...]:
        """The templates of these roles as they are now."""
        sites = self._find_sites(roles)
        seen = self._vcenter.templates.find([place for site in sites for place in (site.template, site.machine)])
        return tuple(self._template(site, seen.get(site.template), seen.get(site.machine)) for site in sites)

    def begin(self, template: Template, image: Image) -> None:
        """Clone, deploy or import the source into a machine that bakes; what an earlier run has left in its place goes."""
        site = self._site(template)
        order = self._order(site, image)
        found = self._vcenter.templates.find([site.machine]).get(site.machine)
        if found:
            self._remove_leftover(site, found)
        if site.item:
            self._vcenter.deploy(site.item, order)
        else:
            self._vcenter.machines.clone(order)

    def finish(self, template: Template) -> None:
        site = self._site(template)
        makers = self._vcenter.templates
        found = makers.find([site.template, site.machine, site.replaced])
        machine, old, leftover = (found.get(place) for place in (site.machine, site.template, site.replaced))
        if old and not _is_baked(old):
            raise TargetError(
                f"{self._path(site)}: was not made by bake; it is left alone. Rename it, or choose another name"
            )
        if machine is None or machine.copy:
            raise TargetError(f"{self._path(site, BAKING)}: the machine that has baked is gone; run again")
        if not machine.is_template:
            self._make_template(site, machine, template)
        if old:
            self._retire(site, old, leftover)
        makers.rename(site.machine[1], machine.id, site.leaf)
        self._discard(old or leftover)

    # --- finishing -------------------------------------------------------------------------------------------------

    def _make_template(self, site: Site, machine: TemplateSighting, template: Template) -> None:
        """Off, without boot data, described, with a snapshot where linked clones need one: then it can be marked."""
        baked = Baked.published(machine.status) or _baked(machine)
        if baked is None:
            raise TargetError(f"{self._path(site, BAKING)}: it has not told what it holds; run again")
        makers = self._vcenter.templates
        if machine.power is not Power.OFF and not makers.shut_down(machine.name, machine.id):
            self._vcenter.machines.power_off(machine.name, machine.id)
        note = f"kube-provision: baked {baked.summary}\nfrom {template.source}"
        record = json.dumps(baked.document, sort_keys=True)
        makers.describe(machine.name, machine.id, note, {**NO_GUEST_DATA, stamp.BAKED: record, stamp.BAKING: ""})
        if site.linked and not machine.has_snapshot:
            makers.take_snapshot(machine.name, machine.id)
        makers.mark(machine.name, machine.id)

    def _retire(self, site: Site, old: TemplateSighting, leftover: TemplateSighting | None) -> None:
        """Free the name. A template with a snapshot may have linked clones, which its deletion would ruin: it stays."""
        makers, baked = self._vcenter.templates, _baked(old)
        if old.has_snapshot:
            kept = f"{site.leaf}.{''.join(character for character in (baked.date if baked else '') if character.isalnum())}"
            log.warning("%s is kept as %s: linked clones may build on it", self._path(site), kept)
            makers.rename(site.leaf, old.id, kept)
            return
        if leftover and not self._discard(leftover):
            raise TargetError(f"{self._path(site, REPLACED)}: was not made by bake and is in the way; rename it")
        makers.rename(site.leaf, old.id, site.replaced[1])

    def _discard(self, template: TemplateSighting | None) -> bool:
        """Delete what is ours and nobody builds on; whether it is gone."""
        if template is None or template.has_snapshot or not _is_baked(template):
            return False
        self._vcenter.machines.destroy(template.name, template.id, running=False)
        return True

    # --- beginning -------------------------------------------------------------------------------------------------

    def _remove_leftover(self, site: Site, found: TemplateSighting) -> None:
        self._vcenter.machines.look_when_made(found.name, [found.id])
        found = self._vcenter.templates.find([site.machine]).get(site.machine, found)
        if not _is_ours(site, found):
            raise TargetError(
                f"{self._path(site, BAKING)}: this machine was not made by bake and bears a name that bake needs; it is "
                "left alone. Rename it"
            )
        self._vcenter.imports.remove(found.name, found.id, running=found.power is not Power.OFF)

    def _order(self, site: Site, image: Image) -> Order:
        place = site.placement
        if place is None:
            raise TargetError(f"template {site.name}: there is nothing to bake it from")
        role = min(site.roles)
        name, config = site.machine[1], bake_config(self._config[role])
        nobodys = str(uuid4())  # it belongs to no cluster, and is not to be taken for another that bakes at the same time
        node = Node(name, role, 1, image.machine, Stamp("", nobodys, role, image.spec))
        if problems := list(guestinfo.of(node, image.boot, config).problems(name, "vSphere")):
            raise ConfigError(*problems)
        store = max(place.datastores, key=lambda store: store.free_bytes).id if place.datastores else None
        extra_config = {**NO_GUEST_DATA, **NO_OTHER_LIFE, stamp.BAKING: image.spec}
        return place.order(node, image.boot, config, turn=0, datastore=store, note=_note(site), extra_config=extra_config)

    # --- looking ---------------------------------------------------------------------------------------------------

    def _template(self, site: Site, found: TemplateSighting | None, machine: TemplateSighting | None) -> Template:
        return Template(
            name=site.name,
            roles=site.roles,
            source=site.placement.template_path if site.placement else "",
            exists=found is not None,
            baked=_baked(found) if found and found.is_template else None,
            baking=_baking(machine) if machine else None,
            where=self._path(site),
            hindrances=site.hindrances,
        )

    def _path(self, site: Site, ending: str = "") -> str:
        return f"{self._inventory().path(site.folder)}/{site.leaf}{ending}"

    def _site(self, template: Template) -> Site:
        return next(site for site in self._find_sites(template.roles) if site.name == template.name)

    def _find_sites(self, roles: frozenset[Role]) -> tuple[Site, ...]:
        with self._lock:
            for asked, sites in self._sites.items():
                if roles <= asked:
                    return tuple(replace(site, roles=site.roles & roles) for site in sites if site.roles & roles)
        found = sites_of(self._vcenter, self._inventory(), self._config, roles)
        with self._lock:
            self._sites[roles] = found
        return found


def _note(site: Site) -> str:
    """By which a machine that was deployed or imported, and not come to be configured, is known to be ours."""
    return f"kube-provision: becomes the template {site.leaf}"


def _baked(seen: TemplateSighting) -> Baked | None:
    try:
        return Baked.parse(json.loads(seen.baked or ""))
    except (ValueError, RecursionError):
        return None


def _is_baked(seen: TemplateSighting) -> bool:
    """A clone of a baked template inherits its record, and is none."""
    return seen.is_template and _baked(seen) is not None


def _is_ours(site: Site, seen: TemplateSighting) -> bool:
    """Whether a machine was made to become the template. Its note is proof of that only until it is configured, which is
    before it is on: people change notes, and a copy inherits them."""
    if seen.copy:
        return False
    configured = seen.baking is not None or _baked(seen) is not None
    return configured or (seen.note == _note(site) and seen.power is Power.OFF)


def _baking(seen: TemplateSighting) -> Baking | None:
    """None for a machine that is not ours."""
    if not seen.complete:
        return Baking("", running=True)
    if seen.copy:
        return None
    finished = _baked(seen)
    if finished:  # it was made a template, or is about to be, by a run that was killed
        return Baking(finished.spec, running=False, status=DONE, baked=finished)
    if seen.baking is None:
        return None
    running = seen.power is Power.ON
    return Baking(seen.baking, running, NodeStatus.parse(seen.status), Baked.published(seen.status))
