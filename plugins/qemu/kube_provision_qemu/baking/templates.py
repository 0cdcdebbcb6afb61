"""The hooks that bake, in a few lines each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kube_provision_core import (
    Image,
    Role,
    TargetError,
    Template,
    host_memory,
    replace_file,
    tell,
    telling_os_errors,
)

from .. import disks, template
from ..checks import memory_in_use
from ..config import QemuConfig
from ..emulator import Emulator
from ..places import BOOT_DISK, Places
from ..power import Bounds
from . import machine, origin, shelf
from .sources import Source, parse

BOUNDS = Bounds(powerdown=180.0)
"""Seconds for shutting down a machine whose disk becomes a template: all that it has written must be on it, and it may be
emulated on a busy host."""


@dataclass(frozen=True)
class Site:
    """One template, and the machine that bakes it."""

    path: Path
    roles: frozenset[Role]
    source: Source | None

    @property
    def machine_name(self) -> str:
        digest = hashlib.sha256(str(self.path).encode()).hexdigest()[:8]
        return f"{self.path.stem[:40]}-{digest}"


class Templates:
    """Thread-safe. Every method raises `TargetError`."""

    def __init__(self, root: Path, config: Mapping[Role, QemuConfig], emulator: Callable[[], Emulator]) -> None:
        """`root` is `vm_dir`."""
        self._root, self._config, self._emulator = root, config, emulator
        self._places = Places(root).baking

    def look(self, roles: frozenset[Role]) -> tuple[Template, ...]:
        """The templates of these roles as they are now."""
        return tuple(map(self._template, self._sites(roles)))

    def begin(self, wanted: Template, image: Image) -> None:
        """Make the machine and power it on; what an earlier run has left is deleted."""
        site, emulator = self._site(wanted), self._emulator()
        if site.source is None:
            raise TargetError(f"template {site.path}: there is nothing to bake it from")
        name = site.machine_name
        with telling_os_errors(f"template {site.path} cannot be baked"), self._lock(site):
            self._remove(site)
            origin.require_space(self._places.root)
            for problem in host_memory().problems(image.machine.memory_gib, memory_in_use(Places(self._root))):
                raise TargetError(problem)
            folder = self._places.draft(name)
            log = self._places.root / f"{name}.log"
            replace_file(log, b"")
            try:
                tell(f"makes a disk from {site.source}")
                origin.make(site.source, image, emulator, folder, log)
                machine.write(folder, name, image)
                folder.rename(self._places.machine(name))
            except BaseException:
                self._places.clear(name)
                raise
            tell("powers the machine on")
            machine.start(self._places.machine(name), emulator)

    def finish(self, wanted: Template) -> None:
        """Shut the machine down, put its disk on the shelf, delete it."""
        site, baked = self._site(wanted), wanted.baking.baked if wanted.baking else None
        if baked is None:
            raise TargetError(f"template {site.path}: the machine has not told what it holds; run again")
        with telling_os_errors(f"template {site.path} cannot be finished"), self._lock(site):
            if shelf.is_somebody_elses(site.path):
                raise TargetError(f"{site.path}: was not made by bake; it is left alone. Move it, or choose another name")
            if shelf.current(site.path) != baked:
                folder = self._places.machine(site.machine_name)
                tell("shuts the machine down")
                machine.stop(folder, BOUNDS)
                tell("checks its disk and copies it")
                image_tool = self._emulator().image_tool
                disks.check_image(image_tool, folder / BOOT_DISK, f"template {site.path}", "Run again, or repair it")
                origin.require_space(site.path.parent)
                shelf.publish(image_tool, template.read(folder / BOOT_DISK), baked, site.path)
            self._remove(site)

    def _remove(self, site: Site) -> None:
        folder = self._places.machine(site.machine_name)
        if folder.exists():
            machine.stop(folder, Bounds(powerdown=0.0, agent=0.0))
            self._places.remove(site.machine_name)
        self._places.clear(site.machine_name)

    # --- looking ---------------------------------------------------------------------------------------------------

    def _template(self, site: Site) -> Template:
        with telling_os_errors(f"template {site.path} cannot be looked at"):
            return Template(
                name=str(site.path),
                roles=site.roles,
                source=str(site.source) if site.source else "",
                exists=site.path.exists(),
                baked=shelf.current(site.path),
                baking=machine.look(self._places.machine(site.machine_name)),
                where=str(site.path.resolve()),
                hindrances=tuple(dict.fromkeys(self._hindrances(site))),
            )

    def _hindrances(self, site: Site) -> Iterator[str]:
        """None for a machine that bakes already: what it needs is there."""
        source = site.source
        if source and not self._places.machine(site.machine_name).exists():
            yield from _problems(lambda: origin.require(source, self._emulator()))
            for folder in (self._places.root, site.path.parent):
                yield from _problems(partial(origin.require_space, folder))

    def _sites(self, roles: frozenset[Role]) -> tuple[Site, ...]:
        using: dict[Path, set[Role]] = {}
        for role in sorted(roles):
            using.setdefault(self._config[role].template, set()).add(role)
        config = self._config[Role.MASTER]
        source = parse(config.bake_from, config.bake_from_checksum) if config.bake_from else None
        return tuple(Site(path, frozenset(users), source) for path, users in using.items())

    def _site(self, wanted: Template) -> Site:
        return next(site for site in self._sites(wanted.roles) if str(site.path) == wanted.name)

    def _lock(self, site: Site) -> AbstractContextManager[None]:
        return self._places.lock_machine(site.machine_name)


def _problems(check: Callable[[], None]) -> Iterator[str]:
    try:
        check()
    except TargetError as problem:
        yield str(problem)
