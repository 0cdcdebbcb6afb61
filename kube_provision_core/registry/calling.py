"""Pluggy calls the drivers that were chosen."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, overload

import pluggy
from pydantic import SecretStr

from ..contract.driver import DriverConfig
from ..contract.errors import KubeProvisionError, PluginError
from ..contract.kinds import DiscoveryDriver, TargetDriver
from ..contract.machines import Role
from ..contract.rules import Count
from .checked import Plugins
from .drivers import ChosenDriver, check_class, hook_faults
from .faults import fault

log = logging.getLogger(__name__)


@contextmanager
def connect(drivers: Sequence[ChosenDriver], taken: Collection[str] = ()) -> Iterator[Plugins]:
    """Construct the drivers and register them; at the end call `close` on all. In between nothing comes or goes.

    A plugin's name is its driver's, or `<kind>-<name>` where that is `taken`, or a driver of another kind has it too. Raises
    `PluginError` for a plugin whose hooks do not fit the contract. The hooks may be called from several threads.
    """
    manager = Plugins()
    claims = Counter([*taken, *(driver.name for driver in drivers)])
    try:
        for driver in drivers:
            check_class(driver)
            name = driver.name if claims[driver.name] == 1 else f"{driver.kind}-{driver.name}"
            register(manager, name, construct(driver), driver.title)
        yield manager
    finally:
        _close(manager)


def construct(driver: ChosenDriver) -> Any:
    """The driver's instance. Raises `PluginError` naming the driver where its constructor fails, or gives no such driver."""
    try:
        instance = driver.cls(driver.config)
    except KubeProvisionError:
        raise
    except Exception as error:  # a boundary: a plugin's constructor may fail in any way
        reason = f"{type(error).__name__}: {_without_secrets(str(error), driver.config)}".rstrip(": ")
        raise PluginError(f"{driver.title} cannot be constructed: {reason}") from error
    if driver.kind == "target" and fault(getattr(instance, "parallel", None), Count):
        raise PluginError(f"{driver.title}: its `parallel` must say how many machines it makes at once, as an int from 1 on")
    if driver.kind == "discovery" and not isinstance(getattr(instance, "address", 0), str | None):
        raise PluginError(
            f"{driver.title}: its `address` must be the service's address as a str, or None where there is none yet"
        )
    return instance


def _without_secrets(text: str, config: Mapping[Role, DriverConfig]) -> str:
    """On one line. A configuration that hides nothing of itself has none."""
    values = (value for model in config.values() for value in dict(model).values())
    for secret in {value.get_secret_value() for value in values if isinstance(value, SecretStr)} - {""}:
        text = text.replace(secret, "***")
    return " ".join(text.split())


@overload
def get(manager: Plugins, kind: Literal["target"], name: str) -> TargetDriver: ...
@overload
def get(manager: Plugins, kind: Literal["discovery"], name: str) -> DiscoveryDriver: ...
@overload
def get(manager: Plugins, kind: str, name: str) -> object: ...
def get(manager: Plugins, kind: str, name: str) -> object:
    """The connected driver of that kind and name."""
    plugin = manager.driver(f"{kind}-{name}")
    return manager.driver(name) if plugin is None else plugin


def answers(manager: Plugins, hook: str) -> bool:
    """Whether any connected plugin implements the hook; a wrapper is no answer."""
    implementations = getattr(manager.hook, hook).get_hookimpls()
    return any(not it.wrapper for it in implementations)


def require(manager: Plugins, hook: str, kind: str, name: str) -> None:
    """Raise `PluginError` naming the driver unless the hook is answered; asked before anything is touched."""
    if not answers(manager, hook):
        raise PluginError(f"{kind} {name} does not answer {hook}, which this command needs; nothing was changed")


def register(manager: Plugins, name: str, plugin: object, what: str) -> None:
    """Raises `PluginError`, which calls the plugin `what`, where its hooks do not fit the contract."""
    problem = next(hook_faults(type(plugin)), None)
    if problem:
        raise PluginError(f"{what}: {problem}")
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{what} does not fit the contract: {' '.join(str(error).split())}") from error


def _close(manager: Plugins) -> None:
    for implementation in manager.hook.close.get_hookimpls():
        if implementation.wrapper:
            continue
        try:
            implementation.function()
        except Exception:  # a boundary: one that cannot close keeps no other from closing
            log.warning("%s did not close cleanly", implementation.plugin_name, exc_info=True)
