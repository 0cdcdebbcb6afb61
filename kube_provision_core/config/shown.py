"""A configuration as anybody may see it, and the secrets in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, SecretBytes, SecretStr

from ..support.hiding import HIDDEN, names_secret
from .core import CoreConfig
from .shapes import shape_of

if TYPE_CHECKING:
    from .composed import Config

LEFT_OUT = "(left out)"

_FREE = ("files", "templates", "pre_commands", "commands", "phone_home", "containers", "env_vars", "mounts", "cloud_init")
"""The core's keys that take whatever a user writes, in which no type tells what is a secret."""

_LEAST = 6
"""Letters of a variable's value that is a secret."""


def shown(config: Config) -> Mapping[str, Any]:
    """What was given or generated, by role: without secrets, and without what may hold one that no type tells of."""
    roles = {role.value: _keys(core) for role, core in config.by_role.items()}
    drivers = {
        f"{it.kind} {it.name}": {role.value: _keys(keys) for role, keys in it.config.items()} for it in config.drivers
    }
    return {"core": roles, "drivers": drivers}


def secrets(config: Config) -> Iterator[str]:
    """Every one that is of a secret type, every text in a mapping whose key is named like one, and what environments say."""
    for core in config.by_role.values():
        yield from _environments(core)
    for part in (*config.by_role.values(), *(keys for it in config.drivers for keys in it.config.values())):
        yield from _secrets(part)


def _environments(core: CoreConfig) -> Iterator[str]:
    """Of programs, whatever the names: what is shorter is said of much else too."""
    for variables in (core.env_vars, *(container.env for container in core.containers)):
        yield from (value for value in variables.values() if len(value) >= _LEAST)


def _keys(model: BaseModel) -> dict[str, Any]:
    given = model.model_dump(mode="json", exclude_unset=True)
    return {name: _shown(type(model), name, value) for name, value in given.items()}


def _shown(model: type[BaseModel], name: str, value: object) -> object:
    shape = shape_of(model, name)
    if shape.secret and not shape.nested:
        return HIDDEN
    ours = issubclass(model, CoreConfig) and name not in _FREE
    return value if ours or not (shape.nested or shape.typed) else LEFT_OUT


def _secrets(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, SecretBytes):
        yield value.get_secret_value().decode(errors="replace")
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _secrets(getattr(value, name))
    elif isinstance(value, Mapping):
        yield from (item for key, item in value.items() if isinstance(item, str) and names_secret(str(key)))
        for item in value.values():
            yield from _secrets(item)
    elif isinstance(value, list | tuple | set | frozenset):
        for item in value:
            yield from _secrets(item)
