"""Stevedore chooses the drivers that the configuration names; pluggy calls them. What is not chosen is not imported."""

from __future__ import annotations

import difflib
import inspect
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, NoReturn

import pluggy
from stevedore import DriverManager

from . import hookspecs
from .driver import DriverConfig
from .errors import KubeProvisionError, PluginError
from .hookspecs import API_VERSION, PROJECT
from .model import Role

log = logging.getLogger(__name__)

KINDS = ("target", "os", "discovery", "extension")
"""Kinds of plugins; the entry points of a kind are the group `kube_provision.<kind>`."""

_HOOKS = frozenset(name for name, member in vars(hookspecs).items() if hasattr(member, f"{PROJECT}_spec"))
_DISTRIBUTIONS = {("target", "vmware"): "kube-provision-vsphere", ("target", "vmware-fusion"): "kube-provision-fusion"}
"""Which distribution brings a name that does not say so itself."""
_MISSPELT = 0.75
"""From this likeness on nobody is told to install a package of that name, which anybody may have published."""


@dataclass(frozen=True)
class InstalledPlugin:
    """One name that an installed distribution offers."""

    kind: str
    name: str
    distribution: str
    version: str
    problem: str = ""
    """Why it cannot be used, in one line; empty if nothing is known against it."""


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


# --- choosing -------------------------------------------------------------------------------------------------------


def installed(*, check: bool = False) -> list[InstalledPlugin]:
    """Every plugin that is installed, by kind and name, without importing any. `check` imports each and says what fails."""
    return [plugin for kind in KINDS for plugin in _describe_kind(kind, check)]


def find(kind: str, name: str) -> type[Any]:
    """The driver class of that name. Imports only that one. Raises `PluginError` as `choose` does."""
    return choose(kind, name).cls


def choose(kind: str, name: str) -> FoundDriver:
    """The driver of that name, imported and checked against the contract.

    Raises `PluginError` if none is installed (and says what to install), if two distributions claim the name, if it
    cannot be imported, or if its class is no driver of this version of the contract.
    """
    entries = _entry_points(kind)
    claims = [entry for entry in entries if entry.name == name]
    if not claims:
        raise PluginError(_not_installed(kind, name, entries))
    if len(claims) > 1:
        raise PluginError(_clash(kind, name, claims))
    try:
        entry, cls = _Drivers(kind, name, entries).loaded
    except (AssertionError, SystemExit) as error:  # what stevedore does not hand to its callback
        _refuse_broken(None, claims[0], error)
    driver = FoundDriver(kind, _own_name(entry, entries), _distribution(entry), cls)
    _check_class(driver)
    return driver


class _Drivers(DriverManager[Any]):
    """Chooses among entry points just read: stevedore's cache lags behind an installation and forgets distributions."""

    def __init__(self, kind: str, name: str, entries: list[metadata.EntryPoint]) -> None:
        self._entries = entries
        super().__init__(f"{PROJECT}.{kind}", name, on_load_failure_callback=_refuse_broken)

    def list_entry_points(self) -> list[metadata.EntryPoint]:
        return self._entries

    @property
    def loaded(self) -> tuple[metadata.EntryPoint, Any]:
        """The entry point and what it names; `driver` would do a class's instance wrong that is false."""
        return self.extensions[0].entry_point, self.extensions[0].plugin


def _entry_points(kind: str) -> list[metadata.EntryPoint]:
    """All entry points of a kind. A damaged distribution hides nobody else's; of one installed twice the first counts."""
    seen: set[str] = set()
    entries: list[metadata.EntryPoint] = []
    for distribution in metadata.distributions():
        try:
            offered = distribution.entry_points.select(group=f"{PROJECT}.{kind}")
            name = distribution.name if offered else ""
        except Exception:  # a boundary: whatever is wrong with it, the others keep working
            log.debug("skipping a damaged distribution", exc_info=True)
            continue
        if offered and name not in seen:
            seen.add(name)
            entries += offered
    return entries


def _describe_kind(kind: str, check: bool) -> list[InstalledPlugin]:
    entries = _entry_points(kind)
    names = sorted({entry.name for entry in entries})
    return [plugin for name in names for plugin in _describe_name(kind, name, entries, check)]


def _describe_name(kind: str, name: str, entries: Sequence[metadata.EntryPoint], check: bool) -> Iterator[InstalledPlugin]:
    claims = [entry for entry in entries if entry.name == name]
    problem = _clash(kind, name, claims) if len(claims) > 1 else ""
    if check and not problem:
        try:
            choose(kind, name)
        except PluginError as error:
            problem = str(error)
    for entry in claims:
        yield InstalledPlugin(kind, name, _distribution(entry), entry.dist.version if entry.dist else "", problem)


def _distribution(entry: metadata.EntryPoint) -> str:
    return entry.dist.name if entry.dist else "an unknown distribution"


def _own_name(entry: metadata.EntryPoint, entries: Sequence[metadata.EntryPoint]) -> str:
    """Of several names for one class, the one that its distribution is named after, else the first by alphabet."""
    distribution = _distribution(entry)
    names = [it.name for it in entries if it.value == entry.value and _distribution(it) == distribution]
    return min(names, key=lambda name: (not distribution.endswith(f"-{name}"), name))


# --- what is wrong with a plugin ------------------------------------------------------------------------------------


def _not_installed(kind: str, name: str, entries: Sequence[metadata.EntryPoint]) -> str:
    names = sorted({entry.name for entry in entries})
    text = f"no {kind} driver {name!r} is installed (installed: {', '.join(names) or 'none'})"
    nearest = difflib.get_close_matches(name, names, n=1)
    if nearest:
        text += f"; nearest: {nearest[0]}"
    misspelt = difflib.get_close_matches(name, names, n=1, cutoff=_MISSPELT)
    if misspelt or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        return text
    return f"{text}; to install it: pip install {_DISTRIBUTIONS.get((kind, name), f'kube-provision-{name}')}"


def _clash(kind: str, name: str, claims: Sequence[metadata.EntryPoint]) -> str:
    distributions = " and ".join(sorted(_distribution(entry) for entry in claims))
    return f"the {kind} driver {name!r} is offered by {distributions}; uninstall one of them"


def _refuse_broken(_: object, entry: metadata.EntryPoint, error: BaseException) -> NoReturn:
    distribution = _distribution(entry)
    reason = (str(error).splitlines() or [""])[0]
    raise PluginError(
        f"{entry.group.removeprefix(f'{PROJECT}.')} driver {entry.name!r} of {distribution} cannot be loaded: "
        f"{type(error).__name__}: {reason}; repair it (pip install --force-reinstall {distribution}) or uninstall it"
    ) from error


def _check_class(driver: FoundDriver) -> None:
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
    yield from _hook_faults(cls)


def _hook_faults(cls: type[Any]) -> Iterator[str]:
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


# --- calling --------------------------------------------------------------------------------------------------------


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
            _check_class(driver)
            name = driver.name if taken[driver.name] == 1 else f"{driver.kind}-{driver.name}"
            _register(manager, name, construct(driver), f"{driver.kind} driver {driver.name!r} of {driver.distribution}")
        yield manager
    finally:
        _close(manager)


def construct(driver: ChosenDriver) -> Any:
    """The driver's instance. Raises `PluginError` naming the driver where its constructor fails."""
    try:
        return driver.cls(driver.config)
    except KubeProvisionError:
        raise
    except Exception as error:  # a boundary: a plugin's constructor may fail in any way
        raise PluginError(
            f"{driver.kind} driver {driver.name!r} of {driver.distribution} cannot be constructed: {type(error).__name__}"
        ) from error


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
    problem = next(_hook_faults(type(plugin)), None)
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
