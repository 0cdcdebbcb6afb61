"""The keys of one flat document: the core's and the chosen drivers', each claimed once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic.fields import FieldInfo

from ..contract.driver import DriverConfig
from ..contract.errors import PluginError
from ..contract.machines import POOL_OF_WORKERS, Role
from ..registry import FoundDriver
from .core import CoreConfig
from .shapes import Shape, shape_of

ROLE_SECTIONS = {"masters": Role.MASTER, "workers": Role.WORKER}
"""Keys that are a count, or a section of the document that holds the count and the role's own keys."""

WORKERS = POOL_OF_WORKERS
POOLS = "pools"
"""The key that holds such a section for each pool beside the workers."""

COUNT = "count"

_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
"""Of Markdown, in the help of a key."""

DROPPED = {
    "host_suffix_format": "no longer exists: names are <prefix><label><cluster>-<index>, so that a second run finds the "
    "first one's machines; remove it",
    "provisioner": "no longer exists: use `target`",
}
"""Keys of the past, and what to do instead."""


@dataclass(frozen=True)
class Key:
    """One field of one model."""

    name: str
    owner: str
    """Who claims it, for people."""
    model: type[DriverConfig]
    field: FieldInfo
    called: str = ""
    """What a section calls it, where that is not its name."""

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, then its aliases."""
        return (self.name, *self._extra.get("aliases", ()))

    @property
    def per_role(self) -> bool:
        return bool(self._extra.get("per_role"))

    @property
    def asked(self) -> bool:
        """Whether who begins a configuration is asked for it: what is required, and what its owner wants asked besides."""
        return self.field.is_required() or bool(self._extra.get("asked"))

    @property
    def shown(self) -> bool | str:
        """Whether it stands in a configuration that is begun, though it is left out; else the key beside which it does."""
        shown = self._extra.get("shown", True)
        return shown if isinstance(shown, str) else bool(shown)

    @property
    def help(self) -> str:
        return self.field.description or ""

    @property
    def plain_help(self) -> str:
        """Where no page can be followed."""
        return _LINK.sub(r"\1", self.help)

    @property
    def example(self) -> str:
        """A value as a user may write it; empty where its owner names none."""
        return str((self.field.examples or [""])[0])

    @property
    def shape(self) -> Shape:
        return shape_of(self.model, self.name)

    @property
    def variable(self) -> str:
        return variable(self.name)

    @property
    def _extra(self) -> Mapping[str, Any]:
        extra = self.field.json_schema_extra
        return extra if isinstance(extra, dict) else {}


def variable(name: str) -> str:
    """The variable of the environment that sets a key."""
    return f"KUBE_PROVISION_{name.upper()}"


def section_of(role: Role) -> str:
    """How a pool's section is called, for people."""
    return f"{POOLS}.{role.pool}"


@dataclass(frozen=True)
class Vocabulary:
    """Every name that a document may use."""

    keys: Mapping[str, Key]
    """Key by each of its names."""
    sections: Mapping[str, Role]
    """Role by the name of its section."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple({**self.keys, **self.sections})

    def keys_of(self, model: type[DriverConfig]) -> dict[str, Key]:
        """The keys of one model, by field name."""
        return {name: self.keys[name] for name in model.model_fields}


def compose(drivers: Sequence[FoundDriver]) -> Vocabulary:
    """The core's vocabulary with that of the drivers. Raises `PluginError` naming both where two claim one name."""
    keys: dict[str, Key] = {}
    claimants: list[tuple[str, type[DriverConfig], str]] = [("the core", CoreConfig, ""), *map(_claimant, drivers)]
    for owner, model, prefix in claimants:
        for name, field in model.model_fields.items():
            key = Key(name, owner, model, field)
            for written in key.names:
                _check_claim(keys.get(written), key, written, prefix)
                keys[written] = key
    return Vocabulary(keys, {**ROLE_SECTIONS, **_discovery_sections(keys, drivers)})


def _claimant(driver: FoundDriver) -> tuple[str, type[DriverConfig], str]:
    prefix = f"{driver.name.replace('-', '_')}_" if driver.kind == "extension" else ""
    return f"{driver.kind} {driver.name} of {driver.distribution}", driver.cls.Config, prefix


def _check_claim(other: Key | None, key: Key, written: str, prefix: str) -> None:
    if other is not None:
        raise PluginError(f"the key {written} is claimed by {other.owner} and by {key.owner}; use only one of them")
    if not written.startswith(prefix):
        raise PluginError(f"the key {written} of {key.owner} must begin with {prefix}: keys of extensions bear their name")


def _discovery_sections(keys: Mapping[str, Key], drivers: Sequence[FoundDriver]) -> dict[str, Role]:
    names = [driver.name for driver in drivers if driver.kind == "discovery"]
    for name in names:
        if name in keys:
            raise PluginError(f"{name} is the section of discovery's machine, and a key of {keys[name].owner}")
    return dict.fromkeys(names, Role.DISCOVERY)
