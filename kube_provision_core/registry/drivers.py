"""Drivers as they were found, and whether their classes fit the contract."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..contract import hookspecs, kinds
from ..contract.driver import DriverConfig
from ..contract.errors import PluginError
from ..contract.hookspecs import API_VERSION, PROJECT
from ..contract.machines import Role

_HOOKS = frozenset(name for name, member in vars(hookspecs).items() if hasattr(member, f"{PROJECT}_spec"))


@dataclass(frozen=True)
class FoundDriver:
    """A driver class and where it comes from."""

    kind: str
    name: str
    """Its own name, also where it was asked for by another one that the distribution offers for it."""
    distribution: str
    cls: type[Any]

    @property
    def title(self) -> str:
        """What errors call it."""
        return f"{self.kind} driver {self.name!r} of {self.distribution}"

    def configured(self, config: Mapping[Role, DriverConfig]) -> ChosenDriver:
        return ChosenDriver(self.kind, self.name, self.distribution, self.cls, config)


@dataclass(frozen=True)
class ChosenDriver(FoundDriver):
    """A driver that the configuration chose, and what the configuration tells it."""

    config: Mapping[Role, DriverConfig] = field(default_factory=dict)


def check_class(driver: FoundDriver) -> None:
    """Raise `PluginError` for a class that is no driver of this version of the contract."""
    problem = next(_faults(driver.cls), None)
    if problem:
        raise PluginError(f"{driver.title}: {problem}")


def _faults(cls: object) -> Iterator[str]:
    """What keeps a class from being a driver, one line each."""
    if not isinstance(cls, type):
        yield f"its entry point names a {type(cls).__name__}, not a class"
        return
    config = getattr(cls, "Config", None)
    if not (isinstance(config, type) and issubclass(config, DriverConfig)):
        yield f"{cls.__name__}.Config must be a subclass of DriverConfig"
    elif objection := _objection(config):
        yield f"{cls.__name__}.Config is refused by pydantic: {objection}"
    version = getattr(cls, "api_version", API_VERSION)
    if version != API_VERSION:
        yield (
            f"{cls.__name__} speaks version {version} of the plugin contract, this kube-provision speaks {API_VERSION}; "
            "upgrade the older one"
        )
    yield from hook_faults(cls)


def _objection(config: type[DriverConfig]) -> str:
    """A model is built when it first validates: what is wrong with how it is written is told before. Empty if nothing is."""
    try:
        config.model_rebuild()
    except Exception as error:  # noqa: BLE001 - a boundary: a plugin's model may be written in any way
        told, *_ = [*str(error).splitlines(), ""]
        return f"{type(error).__name__}: {told}"
    return ""


def hook_faults(cls: type[Any]) -> Iterator[str]:
    """What pluggy would pass over in silence, or take amiss, of a class's hooks; a line each."""
    for name in dir(cls):
        member = inspect.getattr_static(cls, name)
        function = getattr(member, "__func__", member)
        marker: Any = getattr(function, f"{PROJECT}_impl", None) or getattr(member, f"{PROJECT}_impl", None)
        if isinstance(marker, dict):
            yield from _hook_faults(f"{cls.__name__}.{name}", marker.get("specname") or name, member, marker)
        elif name in _HOOKS and getattr(function, "__module__", "") != kinds.__name__:
            yield f"{cls.__name__}.{name} is named like a hook but is not marked with @hookimpl"


def _hook_faults(what: str, hook: str, member: Any, marker: Mapping[str, Any]) -> Iterator[str]:
    if hook not in _HOOKS:
        if not marker.get("optionalhook"):
            nearest = difflib.get_close_matches(hook, _HOOKS, n=1)
            yield f"{what}: there is no hook {hook}" + (f"; did you mean {nearest[0]}?" if nearest else "")
        return
    if marker.get("hookwrapper"):
        yield f"{what} is a wrapper of pluggy's old kind; write @hookimpl(wrapper=True)"
    function = getattr(member, "__func__", member)
    if marker.get("wrapper") and not inspect.isgeneratorfunction(function):
        yield f"{what} is to be a wrapper, and does not yield"
    yield from _argument_faults(what, hook, _parameters(member))


def _parameters(member: Any) -> Sequence[inspect.Parameter]:
    """Without the instance."""
    parameters = tuple(inspect.signature(getattr(member, "__func__", member)).parameters.values())
    return parameters if isinstance(member, staticmethod) else parameters[1:]


def _argument_faults(what: str, hook: str, parameters: Sequence[inspect.Parameter]) -> Iterator[str]:
    known = tuple(inspect.signature(getattr(hookspecs, hook)).parameters)
    for it in parameters:
        needed = it.default is it.empty
        if it.kind in (it.VAR_POSITIONAL, it.VAR_KEYWORD):
            continue
        if it.kind is it.KEYWORD_ONLY and needed:
            yield f"{what}: `{it.name}` would never be passed; take it without the star before it"
        elif it.name in known and not needed:
            yield f"{what}: `{it.name}` has a default, and would never be passed; take it without one"
        elif it.name not in known and needed:
            yield f"{what} takes `{it.name}`, which the hook does not have: {', '.join(known) or 'it has none'}"
