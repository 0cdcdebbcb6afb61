"""What all programs of a node have in common: a node has its own system's Python, this package and nothing else."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import kube_provision_node

PROGRAMS = sorted(Path(*kube_provision_node.__path__).glob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Top-level names of what is not the package's own."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").partition(".")[0]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_is_written_in_the_python_of_the_oldest_node(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=(3, 9))


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_it_needs_nothing_but_the_standard_library(path: Path) -> None:
    assert set(imported(ast.parse(path.read_text()))) <= sys.stdlib_module_names
