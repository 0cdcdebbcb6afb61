"""Pluggy calls the drivers that were chosen, and the core's own parts beside them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pluggy

from .. import hookspecs
from ..errors import KubeProvisionError, PluginError
from ..hookspecs import PROJECT
from .drivers import ChosenDriver, check_class, hook_faults

log = logging.getLogger(__name__)


@contextmanager
def connect(drivers: Sequence[ChosenDriver], parts: Mapping[str, object]) -> Iterator[pluggy.PluginManager]:
    """Construct the drivers and register them beside the core's own parts; at the end call `close` on all.

    A plugin's name is its driver's, or `<kind>-<name>` where a part or a driver of another kind has that name too. Raises
    `PluginError` for a plugin whose hooks do not fit the contract. The hooks may be called from several threads.
    """
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    taken = Counter([*parts, *(driver.name for driver in drivers)])
    try:
        for name, part in parts.items():
            _register(manager, name, part, f"the core's part {name!r}")
        for driver in drivers:
            check_class(driver)
            name = driver.name if taken[driver.name] == 1 else f"{driver.kind}-{driver.name}"
            _register(manager, name, construct(driver), f"{driver.kind} driver {driver.name!r} of {driver.distribution}")
        yield manager
    finally:
        _close(manager)


def construct(driver: ChosenDriver) -> Any:
    """The driver's instance. Raises `PluginError` naming the driver where its constructor fails, or gives no such driver."""
    what = f"{driver.kind} driver {driver.name!r} of {driver.distribution}"
    try:
        instance = driver.cls(driver.config)
    except KubeProvisionError:
        raise
    except Exception as error:  # a boundary: a plugin's constructor may fail in any way
        raise PluginError(f"{what} cannot be constructed: {type(error).__name__}") from error
    if driver.kind == "discovery" and not isinstance(getattr(instance, "address", 0), str | None):
        raise PluginError(f"{what}: its `address` must be the service's address as a str, or None where there is none yet")
    return instance


def replace(manager: pluggy.PluginManager, parts: Mapping[str, object]) -> None:
    """Put other parts of the core in place of those of the same names. Not while hooks are being called."""
    for name, part in parts.items():
        manager.unregister(name=name)
        _register(manager, name, part, f"the core's part {name!r}")


def get(manager: pluggy.PluginManager, kind: str, name: str) -> Any:
    """The connected driver of that kind and name."""
    plugin = manager.get_plugin(f"{kind}-{name}")
    return manager.get_plugin(name) if plugin is None else plugin


def answers(manager: pluggy.PluginManager, hook: str) -> bool:
    """Whether any connected plugin implements the hook; a wrapper is no answer."""
    implementations = getattr(manager.hook, hook).get_hookimpls()
    return any(not (it.wrapper or it.hookwrapper) for it in implementations)


def require(manager: pluggy.PluginManager, hook: str, kind: str, name: str) -> None:
    """Raise `PluginError` naming the driver unless the hook is answered; asked before anything is touched."""
    if not answers(manager, hook):
        raise PluginError(f"{kind} {name} does not answer {hook}, which this command needs; nothing was changed")


def _register(manager: pluggy.PluginManager, name: str, plugin: object, what: str) -> None:
    problem = next(hook_faults(type(plugin)), None)
    if problem:
        raise PluginError(f"{what}: {problem}")
    try:
        manager.register(plugin, name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(f"{what} does not fit the contract: {' '.join(str(error).split())}") from error


def _close(manager: pluggy.PluginManager) -> None:
    for implementation in manager.hook.close.get_hookimpls():
        if implementation.wrapper or implementation.hookwrapper:
            continue
        try:
            implementation.function()
        except Exception:  # a boundary: one that cannot close keeps no other from closing
            log.warning("%s did not close cleanly", implementation.plugin_name, exc_info=True)
