"""Programs lose words, never behaviour."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kube_provision_consul
import kube_provision_kubernetes
import kube_provision_node
from kube_provision_core.boot.minify import HEADER, minify

PROGRAMS = [
    *Path(*kube_provision_node.__path__).glob("*.py"),
    *(Path(kube_provision_consul.__file__).parent / "node").glob("*.py"),
    *(Path(kube_provision_kubernetes.__file__).parent / "node").glob("*.py"),
]
OF_OTHERS = sorted(Path(ast.__file__).parent.glob("*.py"))[::5]
"""Some of the standard library, which nobody has written with us in mind."""


def without_docstrings(source: str) -> str:
    """The program's own structure, whatever is said about it and about its functions' types."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.arg):
            node.annotation = None
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.returns = None
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return ast.dump(tree)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.name)
def test_every_program_of_a_node_stays_the_program_that_it_is(program: Path) -> None:
    source = program.read_text()
    assert without_docstrings(minify(source)) == without_docstrings(source)
    assert len(minify(source)) < len(source)


@pytest.mark.parametrize("program", OF_OTHERS, ids=lambda path: path.name)
def test_programs_of_others_do_too(program: Path) -> None:
    source = program.read_text()
    assert without_docstrings(minify(source)) == without_docstrings(source)


@pytest.mark.parametrize(
    "source",
    [
        "def f(a: b >= c, d: e != f = 1): ...\n",
        "def f(a: b == c, d: int = 2): ...\n",
        "if a:\n    y\n\f    z\n",
        "if x:\n\f    y\n",
        "if x:\n    y\n\\\n\n    z\n",
        "x = 1 \\\n\n-y\n",
        "'doc' \\\n\nx = 1\n",
        'def f():\n    x = not"{"\n    y = "}"\n',
        "x = rf\"{'#'.join(y)}\" r'#'  # why\n",
        "x = 1 if y else(2)\n\n\f\ndef f(a, /, *, b: int): pass\n",
        "match x:\n    case {'a': 1}:\n        y\n    case [1, *_]:\n        z\n",
    ],
)
def test_what_is_written_oddly_stays_what_it_is(source: str) -> None:
    assert without_docstrings(minify(source)) == without_docstrings(source)


def test_what_holds_nothing_else_says_what_has_become_of_its_words() -> None:
    assert minify('"""A package."""\n') == f"{HEADER}\n"


def test_comments_and_docstrings_go_and_strings_stay() -> None:
    source = '#!/usr/bin/env python3\n"""Doc."""\n\ndef f():\n    """Only this."""\n\nx = "# no comment"  # a comment\n'
    assert minify(source).splitlines()[0] == "#!/usr/bin/env python3"
    assert minify(source).splitlines()[1:] == ["def f():", " ...", 'x = "# no comment"']


def test_text_over_several_lines_keeps_its_empty_ones() -> None:
    source = 'x = """a\n\nb"""\n'
    assert without_docstrings(minify(source)) == without_docstrings(source)


@pytest.mark.parametrize(
    ("source", "shorter"),
    [
        ('def f():\n    """One."""\n    """Two."""\n', "def f():\n ...\n"),
        ('def f(): """Only this."""\n', 'def f(): """Only this."""\n'),
        ('"""Doc."""; x = 1\n', '"""Doc."""; x = 1\n'),
        ('if x:\n    y()\nelse:\n    """Else nothing."""\n', "if x:\n y()\nelse:\n ...\n"),
        ('f"{done()}"\nb"kept"\n', 'f"{done()}"\nb"kept"\n'),
    ],
)
def test_a_program_stays_one_wherever_its_words_stand(source: str, shorter: str) -> None:
    assert minify(source) == shorter


TEXTS = '''\
if x:
        y = """a
    b""" + f"""{x}
    {x!r:>{3}}
  """
        z = y
'''


@pytest.mark.parametrize(
    ("source", "shorter"),
    [
        ("def f(a: int, *b: str, c: dict[str, int] = {}, **d: x) -> list[int]: ...\n", "def f(a, *b, c = {}, **d): ...\n"),
        ("def f(a=lambda x, y: x, b: int = d[1:2]): ...\n", "def f(a=lambda x, y: x, b = d[1:2]): ...\n"),
        ("def f(a=lambda x=d[1:2], y=1: x, b: Callable[[int], str] = str) -> None: ...\n", ""),
        ("class A:\n    x: int = 1\n    def f(self, y: 'A | None' = None): return {y: 1}\n", ""),
        ("def f(\n    a: int,\n    b,  # why\n) -> None:\n    if a:\n        return (b,\n            a)\n", ""),
        (TEXTS, TEXTS.replace("        y", " y").replace("        z", " z")),
        ("def f(a=lambda x=lambda y: y, z=1: z, b: int = 1): ...\n", "def f(a=lambda x=lambda y: y, z=1: z, b = 1): ...\n"),
        ("def f(\n    a: dict[\n        str, int\n    ] = {},\n) -> (\n    None\n): ...\n", "def f(\na = {},\n): ...\n"),
        ("if a and \\\n        b:\n    x = 1\n", "if a and \\\nb:\n x = 1\n"),
    ],
)
def test_annotations_of_functions_go_and_indents_are_one_column(source: str, shorter: str) -> None:
    assert without_docstrings(minify(source)) == without_docstrings(source)
    assert len(minify(source)) < len(source)
    assert minify(source) == (shorter or minify(source))


def test_a_program_that_asks_for_annotations_keeps_them() -> None:
    source = "from typing import get_type_hints\ndef f(a: int): ...\nget_type_hints(f)\n"
    assert minify(source) == source


def test_a_text_keeps_its_spaces() -> None:
    assert minify('x = """a  \n\n  b  """  # why\n') == 'x = """a  \n\n  b  """\n'


def test_a_formatted_text_may_hold_the_quotes_around_it_since_python_3_12() -> None:
    assert minify("""x = f"{"#".join(y)} {{ {z:>{3}}" # why\n""") == """x = f"{"#".join(y)} {{ {z:>{3}}"\n"""


@pytest.mark.parametrize(
    "source",
    [
        "def (:\n",
        "x = 'a # b\n",
        '"""a # b\n',
        "f(]  # why\n",
        "if x:\n        y\n    z\n",
        "\0001\0 # b",
        "if x:\ny\n",
        "if x:\n",
        "x = 1\n\\\n",
    ],
)
def test_what_is_no_python_stays_as_it_is(source: str) -> None:
    assert minify(source) == source
