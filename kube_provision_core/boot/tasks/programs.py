"""Programs of a node that travel with a task: this version's, whatever version has made the machine."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from importlib import resources

from ...contract.boot import NODE_DIR, File
from ..minify import minify
from ..node_part import PACKAGE

FOLDER = f"{NODE_DIR}/task"
"""Beside those that the machine was made with, which go on as they are."""


@cache
def closure(program: str) -> tuple[File, ...]:
    """A module of the package, what it imports of it, what that imports, and the templates that any of them names."""
    texts: dict[str, str] = {}
    waiting = ["__init__.py", f"{program}.py"]
    while waiting:
        name = waiting.pop()
        texts[name] = resources.files(PACKAGE).joinpath(name).read_text()
        if name.endswith(".py"):
            waiting += set(_needed(ast.parse(texts[name]))) - texts.keys() - {*waiting}
    return tuple(File(f"{FOLDER}/{PACKAGE}/{name}", _shortened(name, texts[name])) for name in sorted(texts))


def command(program: str, arguments: str) -> str:
    """What a step runs. The folder comes before all others to Python; discovery's client is the machine's own."""
    return f"cd {FOLDER} && PYTHONPATH={NODE_DIR} exec python3 -m {PACKAGE}.{program} {arguments}\n"


def _needed(module: ast.Module) -> Iterator[str]:
    """Names of files beside it."""
    beside = {item.name for item in resources.files(PACKAGE).iterdir()}
    for node in ast.walk(module):
        if isinstance(node, ast.ImportFrom) and node.level:
            names = [node.module] if node.module else [alias.name for alias in node.names]
            yield from (f"{name}.py" for name in names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in beside:
            yield node.value


def _shortened(name: str, text: str) -> str:
    return minify(text) if name.endswith(".py") else text
