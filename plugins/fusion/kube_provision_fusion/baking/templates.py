"""The hooks that bake, in a few lines each."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kube_provision_core import (
    Baking,
    ConfigError,
    GuestInfo,
    Image,
    NodeStatus,
    Role,
    Stage,
    TargetError,
    Template,
    tell,
    telling_os_errors,
)

from .. import attached, machines, preflight, template
from ..cloning import Origin
from ..config import FusionConfig
from ..folder_lock import locked
from ..guests import Guests
from ..vmware import Vmware
from . import machine, mark
from .mark import Mark
from .shelf import Shelf
from .sites import Site, find, problems, space_problems

log = logging.getLogger(__name__)

DONE = NodeStatus(Stage.FINISH, "done")

LOCK_TIMEOUT = 2 * 3600.0
"""Seconds to wait for whoever else works on a version: vmrun goes on cloning where its run was killed."""


class Templates:
    """Thread-safe. Methods raise `TargetError`, `look` and `begin` also `ConfigError`."""

    def __init__(self, vmware: Vmware, config: Mapping[Role, FusionConfig]) -> None:
        self._vmware, self._config = vmware, config
        self._guests = Guests()
        self._checked = False

    def look(self, roles: frozenset[Role]) -> tuple[Template, ...]:
        """The templates of these roles as they are now. What is configured badly is told at the first look."""
        sites = find(self._config, roles)
        if not self._checked:
            if found := problems(sites, self._config, self._vmware.host, self._vmware.vmrun):
                raise ConfigError(*found)
            self._checked = True
        bakes = any(site.shelf.unfinished() for site in sites)
        running = self._vmware.vmrun.running() if bakes else frozenset[str]()
        return tuple(self._template(site, running) for site in sites)

    def begin(self, wanted: Template, image: Image) -> None:
        """Clone the source into a machine that bakes, and start it; what earlier runs have left is deleted."""
        site = self._site(wanted)
        if site.source is None:
            raise TargetError(f"template {site.shelf.file}: there is nothing to bake it from")
        if oversize := list(GuestInfo(image.boot).problems(site.shelf.name, "VMware")):
            raise ConfigError(*oversize)
        for left, _ in site.shelf.unfinished():
            self._delete(site.shelf.vmx(left))
        running = self._vmware.vmrun.running_files()
        for problem in (*space_problems(site), *preflight.memory_problems(image.machine.memory_gib, running)):
            raise TargetError(problem)
        version = site.shelf.new_version()
        with locked(version, LOCK_TIMEOUT, create=True) as lock:
            assert lock is not None, "the folder was made"
            self._make(site, site.source, version, image, lock)
            self._guests.forget(site.shelf.vmx(version))
            self._vmware.power.start(site.shelf.vmx(version))

    def finish(self, wanted: Template) -> None:
        """Make the machine that has baked the template, and delete earlier ones that nothing builds on."""
        site = self._site(wanted)
        shelf, baked = site.shelf, wanted.baking.baked if wanted.baking else None
        if baked is None:
            raise TargetError(f"template {shelf.file}: the machine has not told what it holds; run again")
        version = _has_baked(shelf, baked.spec)
        with locked(version, LOCK_TIMEOUT):
            if shelf.is_somebody_elses():
                raise TargetError(f"{shelf.link}: was not made by bake; it is left alone. Move it, or choose another name")
            mark.write(version, Mark(baked.spec, complete=True, baked=baked))
            tell("shuts the machine down")
            self._stop(shelf.vmx(version))
            machine.describe(shelf.vmx(version), shelf.name, baked, wanted.source)
            shelf.publish(version)
            mark.remove(version)
        self._discard(shelf)

    # --- looking ---------------------------------------------------------------------------------------------------

    def _template(self, site: Site, running: frozenset[str]) -> Template:
        shelf = site.shelf
        with telling_os_errors(f"template {shelf.file}: cannot be looked at"):
            return Template(
                name=str(shelf.file),
                roles=site.roles,
                source=str(site.source) if site.source else "",
                exists=shelf.link.exists(),
                baked=shelf.baked(),
                baking=self._baking(shelf, running),
                where=str(template.real(shelf.file)),
            )

    def _baking(self, shelf: Shelf, running: frozenset[str]) -> Baking | None:
        found = shelf.unfinished()
        if not found:
            return None
        version, made = found[-1]
        file = shelf.vmx(version)
        if made.baked:  # a run that was killed has begun to make it the template
            return Baking(made.spec, running=False, status=DONE, baked=made.baked)
        if not made.complete or self._vmware.host.normal(file) not in running:
            self._guests.forget(file)
            return Baking(made.spec, running=False)
        heard = self._guests.hear(self._vmware.vmrun, file)
        return Baking(made.spec, running=True, status=heard.status, baked=heard.baked)

    def _site(self, wanted: Template) -> Site:
        return next(site for site in find(self._config, wanted.roles) if str(site.shelf.file) == wanted.name)

    # --- beginning -------------------------------------------------------------------------------------------------

    def _make(self, site: Site, source: Path, version: Path, image: Image, lock: int) -> None:
        """Removes what it has begun when it fails; a run that is killed leaves a mark instead."""
        file, name = site.shelf.vmx(version), site.shelf.name
        try:
            mark.write(version, Mark(image.spec, complete=False))
            self._vmware.cloner.clone(Origin(source, linked=False), file, f"{name}.baking", lock)
            machine.prepare(file, name, image, self._vmware.machines.network_cards())
            mark.write(version, Mark(image.spec, complete=True))
        except TargetError:
            with suppress(TargetError):
                machines.erase(version)
            raise

    def _delete(self, file: Path) -> None:
        with locked(file.parent, LOCK_TIMEOUT) as lock:
            if lock is not None:
                self._vmware.power.stop(file)
                attached.spare(file, None)
                self._vmware.power.delete(file, lock)

    # --- finishing -------------------------------------------------------------------------------------------------

    def _stop(self, file: Path) -> None:
        """Shut it down, and see that it can be cloned."""
        vmware = self._vmware
        vmware.power.stop(file, patiently=True)
        deadline = time.monotonic() + vmware.limits.close
        while machines.locks(file.parent) and time.monotonic() < deadline:
            time.sleep(0.1)
        running = vmware.vmrun.running()
        if lines := list(preflight.template_problems(template.read(file), vmware.host, running)):
            raise TargetError(f"{file}: it has baked, and is no template yet: {'; '.join(lines)}; then run again")

    def _discard(self, shelf: Shelf) -> None:
        """Delete earlier versions, but none that has snapshots: linked clones may build on them."""
        for version in shelf.earlier():
            try:
                self._discard_one(shelf.vmx(version))
            except TargetError as problem:
                log.warning("%s is kept: %s", version, problem)

    def _discard_one(self, file: Path) -> None:
        with locked(file.parent, self._vmware.limits.close) as lock:
            if lock is None:
                return
            if self._vmware.vmrun.snapshots(file):
                raise TargetError("linked clones may build on its snapshots. Delete it in VMware when none is left")
            if clones := attached.builders(self._config[Role.MASTER].vm_dir, file.parent):
                raise TargetError(f"disks of {', '.join(clones)} build on it. Delete it when none is left")
            if machines.locks(file.parent):
                raise TargetError("it is open in VMware. Delete it there")
            attached.spare(file, None)
            self._vmware.power.delete(file, lock)


def _has_baked(shelf: Shelf, spec: str) -> Path:
    """The version whose machine was given this."""
    found = shelf.unfinished()
    if not found or not found[-1][1].complete or found[-1][1].spec != spec:
        raise TargetError(f"template {shelf.file}: the machine that has baked is gone; run again")
    return found[-1][0]
