"""Programs lose words, never behaviour."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kube_provision_consul
import kube_provision_core.boot
from kube_provision_core.boot.slim import slim

PROGRAMS = [
    *Path(kube_provision_core.boot.__file__).with_name("node").glob("*.py"),
    *(Path(kube_provision_consul.__file__).parent / "node").glob("*.py"),
]


def without_docstrings(source: str) -> str:
    """The program's own structure, whatever is said about it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_every_program_of_a_node_stays_the_program_that_it_is(program: Path) -> None:
    source = program.read_text()
    assert without_docstrings(slim(source)) == without_docstrings(source)
    assert len(slim(source)) < len(source)


def test_comments_and_docstrings_go_and_strings_stay() -> None:
    source = '#!/usr/bin/env python3\n"""Doc."""\n\ndef f():\n    """Only this."""\n\nx = "# no comment"  # a comment\n'
    assert slim(source).splitlines()[0] == "#!/usr/bin/env python3"
    assert slim(source).splitlines()[2:] == ["def f():", "    ...", 'x = "# no comment"']


def test_text_over_several_lines_keeps_its_empty_ones() -> None:
    source = 'x = """a\n\nb"""\n'
    assert without_docstrings(slim(source)) == without_docstrings(source)


def test_what_is_no_python_stays_as_it_is() -> None:
    assert slim("def (:\n") == "def (:\n"
