"""What every machine would boot, without asking any server."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..cluster.desired import to_render
from ..cluster.observe import Observation
from ..cluster.spreading import placed
from ..contract.boot import Boot
from ..contract.errors import ConfigError
from ..contract.machines import Node

if TYPE_CHECKING:
    from ..cluster.desired import Desired
    from ..engine.session import Session

HIDDEN = "(secret)\n"
"""Stands where a secret was."""


class Preview(NamedTuple):
    """One machine and its boot data."""

    node: Node
    boot: Boot


def preview(session: Session) -> Iterator[Preview]:
    """Every machine's boot data as a new cluster's first run makes it: its first master carries the authorities.

    The address of a discovery machine that does not exist yet is a stand-in. Raises `BootError` as a run would, and
    `ConfigError` for an address that two machines would be given.
    """
    desired = placed(session.desired, Observation(session.desired.cluster), session.failure_domains)
    if shared := [*_addresses_given_twice(desired.cluster.fixed_addresses)]:
        raise ConfigError(*shared)
    cluster = to_render(desired.cluster, len(desired.discovery))
    for node in _as_in_a_first_run(desired):
        yield Preview(node, session.render(node, cluster, session.folder.join_secrets()))


def _addresses_given_twice(addresses: Mapping[str, str]) -> Iterator[str]:
    owners: dict[str, str] = {}
    for name, address in addresses.items():
        if (owner := owners.setdefault(address, name)) != name:
            yield f"{address} would be given to both {owner} and {name}; give each role, and pool, addresses of its own"


def _as_in_a_first_run(desired: Desired) -> Iterator[Node]:
    for node in desired.all:
        yield replace(node, stamp=replace(node.stamp, carries_ca=True)) if node == desired.masters[0] else node


def without_secrets(boot: Boot) -> Boot:
    """The same boot data with `HIDDEN` for the content of every secret file."""
    from ..boot.cloud_config import hide

    files = tuple(replace(file, content=HIDDEN) if file.secret else file for file in boot.files)
    return replace(boot, user_data=hide(boot.user_data, boot.files, HIDDEN), files=files)


def write(folder: Path, previews: Sequence[Preview], *, secrets: bool, force: bool) -> None:
    """Write `NODE/user-data` and `NODE/rootfs/…` for every machine.

    `secrets`: with them, readable by nobody else. `force`: replace these machines' folders where `folder` is not empty,
    which is refused otherwise. Raises `ConfigError` for a folder that cannot be written.
    """
    try:
        folder.mkdir(mode=0o700 if secrets else 0o755, parents=True, exist_ok=True)
        if not force and any(folder.iterdir()):
            raise ConfigError(f"{folder}: is not empty; name another folder, or replace its content with --force")
        for shown in previews:
            _write_node(folder / shown.node.name, shown.boot if secrets else without_secrets(shown.boot), secrets)
    except OSError as error:
        raise ConfigError(f"{error.filename or folder}: cannot be written: {error.strerror or error}") from error


def _write_node(folder: Path, boot: Boot, private: bool) -> None:
    if folder.exists():
        shutil.rmtree(folder)
    _write_file(folder, "user-data", boot.user_data, private)
    for file in boot.files:
        _write_file(folder, f"rootfs{file.path}", file.content, private)


def _write_file(folder: Path, name: str, content: str | bytes, private: bool) -> None:
    path = folder / name
    _make_folders(path.parent, private)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)


def _make_folders(path: Path, private: bool) -> None:
    """Path.mkdir gives its mode to the last folder only."""
    for folder in (*reversed(path.parents), path):
        if not folder.exists():
            folder.mkdir(0o700 if private else 0o755)
