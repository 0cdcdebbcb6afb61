"""Stevedore chooses the drivers that the configuration names. What is not chosen is not imported."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any, NoReturn

from stevedore import DriverManager

from ..contract.errors import PluginError
from ..contract.hookspecs import PROJECT
from .drivers import FoundDriver, check_class
from .installing import install, repair
from .names import bringing

log = logging.getLogger(__name__)

KINDS = ("target", "os", "discovery", "extension")
"""Kinds of plugins; the entry points of a kind are the group `kube_provision.<kind>`."""

SUITES = f"{PROJECT}.contract"
"""Entry points that name the module with a plugin's contract suite, by the plugin's name."""

Offers = Mapping[str, Sequence[metadata.EntryPoint]]
"""The entry points that installed distributions have, by kind."""


@dataclass(frozen=True)
class InstalledPlugin:
    """One name that an installed distribution offers."""

    kind: str
    name: str
    distribution: str
    version: str
    problem: str = ""
    """Why it cannot be used, in one line; empty if nothing is known against it."""


Check = Callable[[FoundDriver], object]
"""Raises `PluginError` where something is wrong with a driver."""


def installed(check: Check | None = None) -> list[InstalledPlugin]:
    """Every plugin that is installed, by kind and name, without importing any; a `check` is made of each, imported."""
    offered = offers()
    return [plugin for kind in KINDS for plugin in _describe_kind(kind, offered, check)]


def choose(kind: str, name: str, offered: Offers | None = None) -> FoundDriver:
    """The driver of that name, imported and checked against the contract.

    Raises `PluginError` if none is installed (and says what to install), if two distributions claim the name, if it
    cannot be imported, or if its class is no driver of this version of the contract. `offered` is for those who choose
    several: what `offers` says, read once.
    """
    entries = (offers() if offered is None else offered)[kind]
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
    check_class(driver)
    return driver


class _Drivers(DriverManager[Any]):
    """Chooses among entry points just read: stevedore's cache lags behind an installation and forgets distributions."""

    def __init__(self, kind: str, name: str, entries: Sequence[metadata.EntryPoint]) -> None:
        self._entries = entries
        super().__init__(f"{PROJECT}.{kind}", name, on_load_failure_callback=_refuse_broken)

    def list_entry_points(self) -> list[metadata.EntryPoint]:
        return list(self._entries)

    @property
    def loaded(self) -> tuple[metadata.EntryPoint, Any]:
        """The entry point and what it names; `driver` would do a class's instance wrong that is false."""
        return self.extensions[0].entry_point, self.extensions[0].plugin


def own_names(kind: str) -> tuple[str, ...]:
    """Of the drivers of a kind that are installed, each by its own name alone, without importing any."""
    entries = offers()[kind]
    return tuple(sorted({_own_name(entry, entries) for entry in entries}))


def offers() -> Offers:
    """What is installed now. A damaged distribution hides nobody else's; of one installed twice the first counts."""
    found: dict[str, dict[str, metadata.EntryPoints]] = {kind: {} for kind in KINDS}
    for distribution in metadata.distributions():
        try:
            entries = _entry_points(distribution)
            name = distribution.name if entries else ""
        except Exception:  # a boundary: whatever is wrong with it, the others keep working
            log.debug("skipping a damaged distribution", exc_info=True)
            continue
        for kind in KINDS:
            of_kind = entries.select(group=f"{PROJECT}.{kind}")
            if of_kind:
                found[kind].setdefault(name, of_kind)
    return {kind: [entry for entries in by_name.values() for entry in entries] for kind, by_name in found.items()}


def suites(name: str) -> tuple[str, ...]:
    """The modules with the contract suites of the plugins of that name.

    Raises `PluginError` where no such plugin is installed, and where one is but brings no suite.
    """
    offered = offers()
    bearers = [entry for kind in KINDS for entry in offered[kind] if entry.name == name]
    if not bearers:
        names = sorted({entry.name for kind in KINDS for entry in offered[kind]})
        nearest = difflib.get_close_matches(name, names, n=1)
        told = f"; did you mean {nearest[0]}?" if nearest else f" (installed: {', '.join(names) or 'none'})"
        raise PluginError(f"no plugin {name!r} is installed{told}")
    modules = {entry.value for entry in metadata.entry_points(group=SUITES, name=name)}
    if not modules:
        raise PluginError(
            f"{_distribution(bearers[0])} does not say where the contract suite of {name!r} is: its author names the module "
            f"by an entry point {name!r} of the group {SUITES}"
        )
    return tuple(sorted(modules))


def _entry_points(distribution: metadata.Distribution) -> metadata.EntryPoints:
    """None of a distribution that does not name this project: reading what the others say takes far longer."""
    named = PROJECT in (distribution.read_text("entry_points.txt") or "")
    return distribution.entry_points if named else metadata.EntryPoints()


def _describe_kind(kind: str, offered: Offers, check: Check | None) -> list[InstalledPlugin]:
    names = sorted({entry.name for entry in offered[kind]})
    return [plugin for name in names for plugin in _describe_name(kind, name, offered, check)]


def _describe_name(kind: str, name: str, offered: Offers, check: Check | None) -> Iterator[InstalledPlugin]:
    claims = [entry for entry in offered[kind] if entry.name == name]
    problem = _clash(kind, name, claims) if len(claims) > 1 else ""
    if check and not problem:
        try:
            check(choose(kind, name, offered))
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
    if ours := bringing(kind, name):
        return f"{text}; to install it: {install(ours)}"
    if nearest := difflib.get_close_matches(name, names, n=1):
        return f"{text}; nearest: {nearest[0]}"
    return f"{text}; install the package that offers it, in this program's environment"


def _clash(kind: str, name: str, claims: Sequence[metadata.EntryPoint]) -> str:
    distributions = " and ".join(sorted(_distribution(entry) for entry in claims))
    return f"the {kind} driver {name!r} is offered by {distributions}; uninstall one of them"


def _refuse_broken(_: object, entry: metadata.EntryPoint, error: BaseException) -> NoReturn:
    distribution = _distribution(entry)
    reason = (str(error).splitlines() or [""])[0]
    raise PluginError(
        f"{entry.group.removeprefix(f'{PROJECT}.')} driver {entry.name!r} of {distribution} cannot be loaded: "
        f"{type(error).__name__}: {reason}; repair it ({repair(distribution)}) or uninstall it"
    ) from error
