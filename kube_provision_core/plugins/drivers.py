"""Drivers as they were found, and whether their classes fit the contract."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .. import hookspecs
from ..driver import DriverConfig
from ..errors import PluginError
from ..hookspecs import API_VERSION, PROJECT
from ..model import Role

_HOOKS = frozenset(name for name, member in vars(hookspecs).items() if hasattr(member, f"{PROJECT}_spec"))


@dataclass(frozen=True)
class FoundDriver:
    """A driver class and where it comes from."""

    kind: str
    name: str
    """Its own name, also where it was asked for by another one that the distribution offers for it."""
    distribution: str
    cls: type[Any]


@dataclass(frozen=True)
class ChosenDriver(FoundDriver):
    """A driver that the configuration chose, and what the configuration tells it."""

    config: Mapping[Role, DriverConfig] = field(default_factory=dict)


def check_class(driver: FoundDriver) -> None:
    """Raise `PluginError` for a class that is no driver of this version of the contract."""
    problem = next(_faults(driver.cls), None)
    if problem:
        raise PluginError(f"{driver.kind} driver {driver.name!r} of {driver.distribution}: {problem}")


def _faults(cls: object) -> Iterator[str]:
    """What keeps a class from being a driver, one line each."""
    if not isinstance(cls, type):
        yield f"its entry point names a {type(cls).__name__}, not a class"
        return
    config = getattr(cls, "Config", None)
    if not (isinstance(config, type) and issubclass(config, DriverConfig)):
        yield f"{cls.__name__}.Config must be a subclass of DriverConfig"
    version = getattr(cls, "api_version", API_VERSION)
    if version != API_VERSION:
        yield (
            f"{cls.__name__} speaks version {version} of the plugin contract, this kube-provision speaks {API_VERSION}; "
            "upgrade the older one"
        )
    yield from hook_faults(cls)


def hook_faults(cls: type[Any]) -> Iterator[str]:
    """Hooks that pluggy would pass over in silence: misspelt ones, and such as lost their marker in a subclass."""
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        marker: Any = getattr(getattr(member, "__func__", member), f"{PROJECT}_impl", None)
        if not isinstance(marker, dict):
            if name in _HOOKS:
                yield f"{cls.__name__}.{name} is named like a hook but is not marked with @hookimpl"
            continue
        hook = marker.get("specname") or name
        if hook not in _HOOKS and not marker.get("optionalhook"):
            nearest = difflib.get_close_matches(hook, _HOOKS, n=1)
            yield f"{cls.__name__}.{name}: there is no hook {hook}" + (f"; did you mean {nearest[0]}?" if nearest else "")
