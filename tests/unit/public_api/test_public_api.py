"""The public API, name by name: what plugin authors build on changes only with a line in the snapshot that says so.

`pytest tests/unit/public_api --update-public-api` writes it anew; docs/stability.md says what may change, and when.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from difflib import unified_diff
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import kube_provision_core
from kube_provision_core import DriverConfig, testing
from kube_provision_core.contract import hookspecs
from kube_provision_core.registry import KINDS
from kube_provision_core.scaffold.hook_reference import hooks

SNAPSHOT = Path(__file__).with_name("snapshot.txt")


def described(module: ModuleType) -> Iterator[str]:
    for name in sorted(module.__all__):
        yield from _describe(f"{module.__name__}.{name}", getattr(module, name))


def _describe(name: str, member: Any) -> Iterator[str]:
    if inspect.isclass(member):
        yield f"class {name}({', '.join(base.__name__ for base in member.__bases__ if base is not object)})"
        yield from (f"    {line}" for line in _members(member))
        yield from (f"    check {check}" for check in sorted(dir(member)) if check.startswith("test_"))
    elif callable(member):
        yield f"def {name}{inspect.signature(member)}" if inspect.isfunction(member) else f"{name}"
    else:
        yield f"{name} = {member!r}"


def _members(cls: type[Any]) -> Iterator[str]:
    if issubclass(cls, Enum):
        yield from (f"{item.name} = {item.value!r}" for item in cls)
        return
    if is_dataclass(cls):
        yield from (_field(it) for it in fields(cls))
    elif not issubclass(cls, DriverConfig):
        yield from (f"{name}: {kind}" for name, kind in inspect.get_annotations(cls).items() if name[0] != "_")
    for name, member in sorted(vars(cls).items()):
        if not name.startswith(("_", "test_")):
            yield from _member(name, member)


def _field(it: Any) -> str:
    default = "" if it.default is MISSING else f" = {it.default!r}"
    return f"{it.name}: {it.type}{default}{' = ...' if it.default_factory is not MISSING else ''}"


def _member(name: str, member: Any) -> Iterator[str]:
    """Checks and fixtures of the suites are what authors override, and what `plugins check` shows."""
    function = getattr(member, "__func__", getattr(member, "fget", member))
    function = getattr(function, "func", function)  # of a cached property
    if inspect.isfunction(function):
        kind = {property: "property ", classmethod: "classmethod ", staticmethod: "staticmethod "}.get(type(member), "")
        yield f"{kind}{name}{inspect.signature(function)}"


def _snapshot() -> str:
    specifications = (
        f"hook {name}{inspect.signature(spec)} firstresult={getattr(spec, f'{hookspecs.PROJECT}_spec')['firstresult']}"
        for name, spec in sorted(hooks().items())
    )
    groups = (f"entry points kube_provision.{kind}" for kind in (*KINDS, "contract"))
    lines = [*described(kube_provision_core), *described(testing), *specifications, *groups]
    return "\n".join(lines) + "\n"


def test_the_public_api_is_what_was_announced(request: pytest.FixtureRequest) -> None:
    now = _snapshot()
    if request.config.getoption("--update-public-api", default=False):
        SNAPSHOT.write_text(now)
    announced = SNAPSHOT.read_text()
    difference = "\n".join(unified_diff(announced.splitlines(), now.splitlines(), "announced", "now", lineterm="", n=0))
    assert not difference, f"the public API has changed: say so in CHANGELOG.md, then --update-public-api\n{difference}"


def test_a_changed_signature_is_seen() -> None:
    def option(default: object, *, new: int = 0) -> object: ...

    assert list(_describe("option", option)) == ["def option(default: 'object', *, new: 'int' = 0) -> 'object'"]


@pytest.mark.parametrize("name", sorted({*kube_provision_core.__all__, *testing.__all__}))
def test_every_public_name_says_what_it_is(name: str) -> None:
    member = getattr(kube_provision_core, name, None) or getattr(testing, name)
    if inspect.isclass(member) or inspect.isfunction(member):
        assert (inspect.getdoc(member) or "").strip(), f"{name} has no docstring"
