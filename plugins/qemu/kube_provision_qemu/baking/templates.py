"""The hooks that bake, in a few lines each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import ConfigError, Image, Role, TargetError, Template, replace_file, telling_os_errors

from .. import disks, template
from ..config import QemuConfig
from ..emulator import Emulator
from ..places import BOOT_DISK, Places
from ..power import Bounds
from . import machine, origin, shelf
from .sources import Source, parse

BOUNDS = Bounds(powerdown=180.0)
"""Seconds for shutting down a machine whose disk becomes a template: all that it has written must be on it."""


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
    """Thread-safe. Every method raises `TargetError`, `look` also `ConfigError`."""

    def __init__(self, root: Path, config: Mapping[Role, QemuConfig], emulator: Callable[[], Emulator]) -> None:
        """`root` is `vm_dir`."""
        self._config, self._emulator = config, emulator
        self._places = Places(root / "baking")
        self._checked = False

    def look(self, roles: frozenset[Role]) -> tuple[Template, ...]:
        """The templates of these roles as they are now. What is configured badly is told at the first look."""
        sites = self._sites(roles)
        if not self._checked:
            self._check(sites)
            self._checked = True
        return tuple(map(self._template, sites))

    def begin(self, wanted: Template, image: Image) -> None:
        """Make the machine and power it on; what an earlier run has left is deleted."""
        site, emulator = self._site(wanted), self._emulator()
        if site.source is None:
            raise TargetError(f"template {site.path}: there is nothing to bake it from")
        name = site.machine_name
        with telling_os_errors(f"template {site.path} cannot be baked"), self._lock(site):
            self._remove(site)
            origin.require_space(self._places.root)
            folder = self._places.draft(name)
            log = self._places.root / f"{name}.log"
            replace_file(log, b"")
            try:
                origin.make(site.source, image, emulator, folder, log)
                machine.write(folder, name, image)
                folder.rename(self._places.machine(name))
            except BaseException:
                self._places.clear(name)
                raise
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
                machine.stop(folder, BOUNDS)
                image_tool = self._emulator().image_tool
                disks.check_image(image_tool, folder / BOOT_DISK, f"template {site.path}")
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
            )

    def _check(self, sites: tuple[Site, ...]) -> None:
        problems = []
        for source in dict.fromkeys(site.source for site in sites if site.source):
            try:
                origin.require(source, self._emulator())
            except TargetError as problem:
                problems.append(str(problem))
        if problems:
            raise ConfigError(*problems)

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
