"""Merges fragments, in an order that does not matter: what two plugins claim differently is an error that names both."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from ..contract.boot import File, Stage
from ..contract.errors import BootError
from ..contract.machines import Role
from .cloud_values import CloudValues
from .private_keys import holds_private_key, value_holds_private_key
from .relay import NamedFragment
from .step_order import OwnedStep, heed_after

CLOCK = "clock"
"""The core's part whose steps come before all others of their stage."""

TRUST = "trust"
"""The part whose steps come next: whatever fetches something trusts the site's own authorities by then."""

CORE = "core"
"""Stands where a plugin's name would: for steps of the merge's own, which end their stage."""

UNIT_DIR = "/etc/systemd/system"

VANISHING = ("/run", "/var/run", "/tmp", "/dev", "/proc", "/sys")  # noqa: S108 - named in order to be refused
"""What is written below these is gone, or hidden by a mount, before the runner or the next boot reads it."""


@dataclass(frozen=True, slots=True)
class Merged:
    """All fragments of one machine as one."""

    files: tuple[File, ...] = field(repr=False)
    """By path; units and steps are among them."""
    steps: tuple[OwnedStep, ...]
    """In running order."""
    enabled: tuple[str, ...]
    """Names of the units to enable."""
    cloud_config: dict[str, Any] = field(repr=False)


def merge(fragments: Sequence[NamedFragment], role: Role, system: Collection[str] = ()) -> Merged:
    """One plugin may have several fragments; `system` are the names that the operating system's go by.

    Raises `BootError`, which never quotes the content of a file.
    """
    ordered = sorted(fragments, key=lambda fragment: fragment.plugin)
    steps = _steps(ordered, system)
    if role is not Role.MASTER:
        _refuse_private_keys(ordered, role)
    return Merged(_files(ordered, steps), steps, _enabled(ordered), _cloud_config(ordered))


def unit_path(name: str) -> str:
    return f"{UNIT_DIR}/{name}"


def _steps(fragments: Sequence[NamedFragment], system: Collection[str]) -> tuple[OwnedStep, ...]:
    """By stage, then by plugin name, then as declared; a step twice runs once.

    First come `CLOCK`, `TRUST` and the operating system, which others build on, whatever its name; last comes `CORE`. What
    says `after` comes later; see `step_order`.
    """
    owned = dict.fromkeys(OwnedStep(fragment.plugin, step) for fragment in fragments for step in fragment.steps)
    stages = list(Stage)
    places = {CLOCK: -3, TRUST: -2, **dict.fromkeys(system, -1), CORE: 1}
    by_stage = sorted(owned, key=lambda it: (stages.index(it.step.stage), places.get(it.plugin, 0), it.plugin))
    return heed_after(tuple(by_stage))


def _files(fragments: Sequence[NamedFragment], steps: Sequence[OwnedStep]) -> tuple[File, ...]:
    claims: dict[str, tuple[str, File]] = {}
    for fragment in fragments:
        for file in (*fragment.files, *_unit_files(fragment)):
            _claim(claims, fragment.plugin, file)
    for owned in steps:
        _claim(claims, owned.plugin, owned.file)
    return tuple(claims[path][1] for path in sorted(claims))


def _unit_files(fragment: NamedFragment) -> Iterable[File]:
    return (File(unit_path(unit.name), unit.content) for unit in fragment.units)


def _claim(claims: dict[str, tuple[str, File]], plugin: str, file: File) -> None:
    _check_path(plugin, file.path)
    owner, claimed = claims.setdefault(file.path, (plugin, file))
    if claimed == file:
        return
    if replace(claimed, secret=file.secret) == file:
        claims[file.path] = owner, replace(file, secret=True)
        return
    who = f"plugins {owner} and {plugin} both claim it" if owner != plugin else f"plugin {plugin} claims it twice"
    raise BootError(f"{file.path}: {who}, with different content, owner or mode; one of them must give way")


@lru_cache(maxsize=512)
def _check_path(plugin: str, path: str) -> None:
    if not path.startswith("/") or posixpath.normpath(path) != path or path.startswith("//") or path == "/":
        raise BootError(
            f"{path}: plugin {plugin} delivers a file to a path that is not absolute and plain; write it out in full"
        )
    for folder in VANISHING:
        if path == folder or path.startswith(f"{folder}/"):
            raise BootError(
                f"{path}: plugin {plugin} delivers a file below {folder}, which does not last; choose /etc or /var/lib"
            )


def _enabled(fragments: Iterable[NamedFragment]) -> tuple[str, ...]:
    names = set()
    for fragment in fragments:
        for unit in fragment.units:
            if unit.enable and "[Install]" not in unit.content:
                raise BootError(f"{unit.name}: plugin {fragment.plugin} wants it enabled, but it has no [Install] section")
            names |= {unit.name} if unit.enable else set()
    return tuple(sorted(names))


def _cloud_config(fragments: Iterable[NamedFragment]) -> dict[str, Any]:
    merged = CloudValues()
    for fragment in fragments:
        merged.add(fragment.plugin, fragment.cloud_config)
    return merged.values


def _refuse_private_keys(fragments: Iterable[NamedFragment], role: Role) -> None:
    """Only masters are given private keys, but for a machine's own: a worker is where workloads may break out to."""
    for fragment in fragments:
        for place, content in _contents(fragment):
            if holds_private_key(content):
                raise BootError(_private_key(fragment.plugin, place, role))
        for key, value in fragment.cloud_config.items():
            if value_holds_private_key(value):
                raise BootError(_private_key(fragment.plugin, f"cloud-config key {key}", role))


def _contents(fragment: NamedFragment) -> Iterable[tuple[str, str | bytes]]:
    yield from ((file.path, file.content) for file in fragment.files if not file.own_key)
    yield from ((unit.name, unit.content) for unit in fragment.units)
    yield from ((f"step {step.name}", step.script) for step in fragment.steps)


def _private_key(plugin: str, place: str, role: Role) -> str:
    return (
        f"{place}: plugin {plugin} puts a private key into the boot data of a {role} machine; only masters may be given one"
    )
