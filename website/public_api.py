"""The page of all that plugins import, written from the modules that say it."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType

import kube_provision_core
from kube_provision_core import testing

INTRODUCTION = """\
# Public API

What plugins import from `kube_provision_core`, and nothing else: what is missing here may change without notice.
[Hooks](hooks.md) says what a plugin answers with it.
"""


def page() -> str:
    return "\n".join([INTRODUCTION, *_core(), *_suites()])


def _core() -> Iterator[str]:
    for module, names in exports(kube_provision_core).items():
        yield f"## {_headline(import_module(module))}\n"
        yield from (_entry(kube_provision_core, name) for name in names)


def _suites() -> Iterator[str]:
    yield "## Contract suites for plugin authors: `kube_provision_core.testing`\n"
    yield from (_entry(testing, name) for name in testing.__all__)


def exports(package: ModuleType) -> dict[str, list[str]]:
    """Names by the module that a package takes them from, in the order of its source."""
    imports = (node for node in ast.walk(ast.parse(inspect.getsource(package))) if isinstance(node, ast.ImportFrom))
    return {f"{package.__name__}.{node.module}": [alias.name for alias in node.names] for node in imports if node.level}


def _headline(module: ModuleType) -> str:
    """What a module says of itself, as far as a heading takes it."""
    return (inspect.getdoc(module) or "").splitlines()[0].partition(". ")[0].rstrip(".")


def _entry(package: ModuleType, name: str) -> str:
    return f"::: {package.__name__}.{name}\n"
