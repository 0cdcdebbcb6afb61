"""Which templates are baked, from what, and what would stop that."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import Role, TargetError

from .. import preflight, template
from ..config import FusionConfig
from ..disks import GIB
from ..host import Host
from ..template import Template
from ..vmrun import Vmrun
from .shelf import Shelf

BAKED_BYTES = 4 * GIB
"""What packages and images take on the disk of a machine that bakes."""


@dataclass(frozen=True)
class Site:
    """One template."""

    shelf: Shelf
    roles: frozenset[Role]
    source: Path | None
    """None: the configuration does not say what to bake it from."""


def find(config: Mapping[Role, FusionConfig], roles: Iterable[Role]) -> tuple[Site, ...]:
    """The sites of these roles' templates, each once."""
    using: dict[Path, set[Role]] = {}
    for role in sorted(roles):
        using.setdefault(config[role].template, set()).add(role)
    source = config[Role.MASTER].bake_from
    return tuple(Site(Shelf(file), frozenset(users), source) for file, users in using.items())


def problems(sites: Iterable[Site], config: Mapping[Role, FusionConfig], host: Host, vmrun: Vmrun) -> list[str]:
    """All of them at once. Raises `TargetError` when vmrun is there and does not answer."""
    found = preflight.absence(vmrun)
    running = frozenset[str]() if found else vmrun.running()
    sites = [site for site in sites if site.source]
    for source in dict.fromkeys(site.source for site in sites if site.source):
        found += preflight.told(_source_problems(source, host, running))
    for site in sites:
        found += preflight.told(_place_problems(site, host))
        found += _snapshot_problems(site, config)
    return found


def _source_problems(source: Path, host: Host, running: frozenset[str]) -> Iterator[str]:
    try:
        each: Template = template.read(source)
    except TargetError as problem:
        yield f"bake_from: {problem}"
    else:
        yield from (f"bake_from: {source}: {line}" for line in preflight.template_problems(each, host, running))


def _place_problems(site: Site, host: Host) -> Iterator[str]:
    shelf = site.shelf
    if site.source == shelf.file:
        yield f"bake_from: {site.source} is the template itself; name another machine"
    elif not shelf.place.is_dir():
        yield f"template: there is no folder {shelf.place} to bake it in; create it"
    elif shelf.link.exists() and not shelf.link.is_symlink() and not shelf.file.exists():
        yield (
            f"template: bake makes the folder of the template, and {shelf.link} is there already; name one that is not, "
            f"such as {shelf.link / f'{shelf.file.stem}{host.bundle}' / shelf.file.name}"
        )
    elif problem := preflight.writing_problem("template", shelf.place):
        yield problem
    elif (
        not shelf.link.exists() and not shelf.unfinished()
    ):  # whether one that there is has to be baked again, the core knows
        yield from space_problems(site)


def space_problems(site: Site) -> Iterator[str]:
    """A line where the machine that bakes would fill the disk."""
    assert site.source, "it is baked"
    try:
        needed = template.read(site.source).allocated() + BAKED_BYTES
    except TargetError:  # told of the source
        return
    free = shutil.disk_usage(site.shelf.place).free
    if free < needed:
        yield (
            f"{site.shelf.place}: {free / GIB:.1f} GiB are free, and a machine that bakes takes about {needed / GIB:.1f}: "
            "free some"
        )


def _snapshot_problems(site: Site, config: Mapping[Role, FusionConfig]) -> Iterator[str]:
    named = {config[role].snapshot for role in site.roles} - {None}
    if named:
        yield f"snapshot: a template that bake makes has no snapshot {', '.join(sorted(map(str, named)))}; unset the key"
