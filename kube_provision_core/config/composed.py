"""The configuration as the rest of the program sees it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from ..contract.driver import DriverConfig
from ..contract.machines import Role, Stamp
from ..registry import ChosenDriver, declared
from . import specification
from .core import CoreConfig
from .kubeadm_patches import patches
from .per_role import PerRole
from .script import DataVolume
from .shapes import shape_of

_LARGE = 1024 * 1024
"""Bytes of a file beyond which nobody reads it to know whether it has changed."""

AnyConfig = TypeVar("AnyConfig", bound=DriverConfig)


@dataclass(frozen=True)
class Config:
    """A valid configuration: the core's keys and the chosen drivers with theirs."""

    core: CoreConfig
    """The document's own level."""
    by_role: Mapping[Role, CoreConfig]
    """Those of pools are among them."""
    drivers: tuple[ChosenDriver, ...]
    """Target, operating system, discovery, then the extensions in the order given."""
    warnings: tuple[str, ...] = ()
    """Lines that the user should read; nothing that stops a run."""
    options: tuple[str, ...] = ()
    """The command line's, without secrets, that lead to this configuration once more."""
    unwritten: Mapping[Path, bytes] = field(default_factory=dict, repr=False)
    """Documents of it that are to be on the disk, by their paths, before anything is made of it."""
    telling_places: Callable[[], AbstractContextManager[None]] = field(default=nullcontext, repr=False, compare=False)
    """While it lasts, bad input that is found with a key is told with where the key is given."""

    def driver(self, kind: str) -> ChosenDriver:
        """The chosen driver of a kind; of extensions the first."""
        return next(driver for driver in self.drivers if driver.kind == kind)

    @property
    def shares_kernel(self) -> bool:
        """Whether the target's machines run on the kernel of their host."""
        return declared(self.driver("target").cls, "shares_kernel", False)

    def spec(self, role: Role) -> str:
        """Hash of what a role's machines are made of: size, template, network, the kubelet's settings …; 12 hex digits.

        Of the target's and the operating system's keys only those count that may differ per role: the others say how to
        reach the target, not what the machine is. Secrets and defaults do not count, so that neither a new password nor a
        new version of a driver with more keys makes machines look changed.
        """
        return specification.digest(self._document(role))

    def made_of(self, role: Role) -> Mapping[str, Any]:
        """What of that a stamp tells, so that a later change can be named."""
        return specification.told(self._document(role))

    def changes(self, role: Role, stamp: Stamp) -> tuple[specification.Change, ...]:
        """What a role's machines would be made of otherwise than the one with this stamp was."""
        return specification.changes(stamp, self._document(role))

    def _document(self, role: Role) -> dict[str, Any]:
        core = self.by_role[role]
        return {
            "core": {key: getattr(core, key) for key in specification.MACHINE_KEYS} | _disks(core) | self._node(role),
            **{kind: _machine_keys(self.driver(kind).config[role]) for kind in ("target", "os")},
        }

    def _node(self, role: Role) -> dict[str, Any]:
        """The discovery machine is none."""
        core = self.by_role[role]
        own = (
            {}
            if role is Role.DISCOVERY
            else core.model_dump(mode="json", include={*specification.NODE_KEYS}, exclude_defaults=True)
        )
        join = {"join": core.kubeadm.join} if core.kubeadm.join and role is not Role.DISCOVERY else {}
        found = patches(core.kubeadm_patches, role)
        return own | join | ({"patches": found} if found else {})

    def content(self, role: Role) -> str:
        """Hash of all that is wished for a role; of files that it names their content counts, of secrets nothing."""
        configs = [self.by_role[role], *(driver.config[role] for driver in self.drivers)]
        dumped = [_plain(config.model_dump(exclude_defaults=True)) for config in configs]
        if found := patches(self.by_role[role].kubeadm_patches, role):
            dumped.append(dict(found))
        return hashlib.sha256(json.dumps(dumped, sort_keys=True).encode()).hexdigest()[:12]

    def generated(self) -> Mapping[str, Callable[[], str]]:
        """Secrets to make where the user gave none, by key: of all drivers."""
        return {key: make for driver in self.drivers for key, make in driver.config[Role.MASTER].generated().items()}

    def founding(self) -> Mapping[str, Callable[[], str]]:
        """Those to make for a cluster that is new, besides."""
        return {key: make for driver in self.drivers for key, make in driver.config[Role.MASTER].founding().items()}

    def with_generated(self, values: Mapping[str, str]) -> Config:
        """This configuration with generated secrets filled in, in every role; what the user gave stays."""
        return replace(self, drivers=tuple(_fill_driver(driver, values) for driver in self.drivers))


def _disks(core: CoreConfig) -> dict[str, Any]:
    """Further disks, if any are listed. A single one that the short keys could say is said by them."""
    match core.data_volumes:
        case []:
            return {}
        case [DataVolume(format="ext4") as only]:
            return {"data_volume": only.size, "data_volume_mount": only.mount}
    return core.model_dump(mode="json", include={"data_volumes"}, exclude_defaults=True)


def _plain(value: object) -> object:
    """Plain data, with the content of local files in place of their paths. What is secret shows itself as stars."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    text = str(value)
    return _file_content(Path(text)) if text.startswith("/") and Path(text).is_file() else text


def _file_content(path: Path) -> str:
    """Of an image of a disk its size and date stand for what is in it."""
    stat = path.stat()
    large = stat.st_size > _LARGE or not os.access(path, os.R_OK)
    return f"{stat.st_size} {stat.st_mtime_ns}" if large else hashlib.sha256(path.read_bytes()).hexdigest()


def _machine_keys(config: DriverConfig) -> dict[str, Any]:
    model = type(config)
    names = {name for name, field in model.model_fields.items() if _per_role(field.json_schema_extra)}
    plain = {name for name in names if not shape_of(model, name).secret}
    return config.model_dump(mode="json", include=plain, exclude_defaults=True)


def _per_role(extra: object) -> bool:
    return isinstance(extra, dict) and bool(extra.get("per_role"))


def _fill_driver(driver: ChosenDriver, values: Mapping[str, str]) -> ChosenDriver:
    filled = {role: _fill(config, values) for role, config in driver.config.items()}
    return replace(driver, config=PerRole(filled))


def _fill(config: AnyConfig, values: Mapping[str, str]) -> AnyConfig:
    new = {key: values[key] for key in (*config.generated(), *config.founding()) if key in values}
    if not new:
        return config
    given = {name: getattr(config, name) for name in config.model_fields_set}
    return type(config).model_validate(given | new)
