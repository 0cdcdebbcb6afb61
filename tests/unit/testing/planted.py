"""Drivers with one planted bug each, and the suites that run on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

KINDS = ("target", "baking", "os", "discovery", "extension")


def fails(check: str) -> Callable[[type[Any]], type[Any]]:
    """Marks a driver: this check must find what is wrong with it."""

    def mark(driver: type[Any]) -> type[Any]:
        driver.fails = check
        return driver

    return mark


def module(kind: str) -> ModuleType:
    """Its bugs, with the `Suite` that they are planted under and the driver that is `Sound`."""
    return import_module(f"{__package__}.{kind}_bugs")


def bugs(kind: str) -> Iterator[tuple[str, type[Any]]]:
    for part in _parts(module(kind)):
        for name, member in vars(part).items():
            if isinstance(member, type) and "fails" in vars(member):
                yield name, member


def _parts(whole: ModuleType) -> Iterator[ModuleType]:
    """The modules of a package; else the module."""
    names = [found.name for found in iter_modules(getattr(whole, "__path__", ()))]
    yield from (import_module(f"{whole.__name__}.{name}") for name in names) if names else (whole,)


def checks(suite: type[Any]) -> set[str]:
    return {name for name in dir(suite) if name.startswith("test_") and getattr(suite, name)}


def planted_suites(kind: str, *, whole: bool = False) -> Iterator[tuple[str, type[Any]]]:
    """One for each bug, with the check that must find it alone; `whole`: with all checks."""
    suite = module(kind).Suite
    for name, bug in bugs(kind):
        others = {} if whole else dict.fromkeys(checks(suite) - {bug.__dict__["fails"]})
        yield f"Test{name}", type(f"Test{name}", (suite,), {"Driver": bug, **others})
