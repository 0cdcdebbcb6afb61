"""`make system` installs what tests ask Debian for while they run: some do where no way leads to a mirror."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.__main__ import PACKAGES
from servers.debian import PACKAGE_OF

ROOT = Path(__file__).parents[2]
DEBIAN = "servers.debian"
ASKING = [
    path
    for folder in ("tests", "bench", "demo", *sorted(str(it.relative_to(ROOT)) for it in ROOT.glob("plugins/*/tests")))
    for path in sorted((ROOT / folder).rglob("*.py"))
    if f"from {DEBIAN} import" in path.read_text()
]


@pytest.mark.parametrize("path", ASKING, ids=lambda path: str(path.relative_to(ROOT)))
def test_installs_what_is_asked_for(path: Path) -> None:
    assert set(asked_for(ast.parse(path.read_text()))) <= set(PACKAGES)


def asked_for(module: ast.Module) -> Iterator[str]:
    """Packages, and those of programs, that calls of `install` and `require` name, also by a constant of the module."""
    ours = {name.name for it in module.body if isinstance(it, ast.ImportFrom) and it.module == DEBIAN for name in it.names}
    constants = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for call in ast.walk(module):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in ours & {"install", "require"}:
            for name in names(call.args, constants):
                yield PACKAGE_OF.get(name, name) if call.func.id == "require" else name


def names(arguments: list[ast.expr], constants: dict[str, ast.expr]) -> Iterator[str]:
    for argument in arguments:
        value = argument.value if isinstance(argument, ast.Starred) else argument
        found = constants.get(value.id) if isinstance(value, ast.Name) else value
        yield from (it.value for it in ast.walk(found) if isinstance(it, ast.Constant)) if found else ()
