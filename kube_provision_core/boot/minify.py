"""Python programs without what they do not need to run: room in the boot data, of which a target may take only 64 KiB.

Comments and docstrings go, annotations of functions, and all of an indent but one column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache, partial
from itertools import pairwise

HEADER = "# Shortened for delivery: comments and docstrings are in the distribution that brought this file."

_READS_ANNOTATIONS = re.compile(r"\b(?:singledispatch\w*|get_type_hints|get_annotations|__annotations__|signature)\b")
_TEXT_OR_COMMENT = re.compile(
    r"""
    \#[^\n]*
    | (?<!\w)(?:[fFtT][rR]?|[rR][fFtT]) (?>('{3}|"{3}|['"]))
      (?> [^\\'"{]+ | \\. | \{\{ | \{(?:[^{}'"]|'[^']*'|"[^"]*"|\{[^{}]*\})*\} | ['"{] )*? \1
    | (?>('{3}|"{3}|['"])) (?> [^\\'"]+ | \\. | ['"] )*? \2
    """,
    re.DOTALL | re.VERBOSE,
)
"""Formatted texts are apart: since Python 3.12 what they have in braces may hold the very quotes around it."""
_INNERMOST = re.compile(r"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}|\\\n[ \t]*(?=\S)")
"""A bracket without another in it, or the end of a line that goes on in the next."""
_LEFT_OVER = re.compile(r"""['"()\[\]{}\\]""")
_PART = re.compile("\0(\\d+)\0")
_ALONE = re.compile("[rRuU]?\0(\\d+)\0")
_FUNCTION = re.compile("((?:async\\s+)?def\\s+\\w+\\s*\0(\\d+)\0)(?:\\s*->[^:]*[^:\\s])?")
_ANNOTATION = re.compile(r"(\blambda\b(?:\blambda\b[^:]*:|[^:])*?:)|([(,*]\s*\w+)\s*:[^,=)]*[^,=)\s]")
"""Or the parameters of a lambda: what is behind their colon is none."""
_COMPARES = re.compile("[!<>=]=")
"""Where the sign of a default may be another one's half."""


@lru_cache(maxsize=64)
def minify(source: str) -> str:
    """The same program in fewer words; everything else stays as it is written. What is no Python stays whole.

    A program that asks for annotations keeps them. What is left without a line says why: the `__init__.py` of a package does
    so for all of it. Read without a tokenizer or a tree, which take several times as long: a part that may hold anything,
    a text or a bracket, is a number among `parts` while all around it is looked at, so that a statement is a line.
    """
    parts: list[str] = []
    try:
        statements = [*_statements(_folded(source, parts))]
    except ValueError:
        return source
    kept = [(depth, statement) for depth, statement in statements if not _is_docstring(statement, parts)]
    if not _READS_ANNOTATIONS.search(source):
        kept = [(depth, _without_annotations(statement, parts)) for depth, statement in kept]
    return _unfolded("\n".join([*_lines(kept)] or [HEADER]), parts) + "\n"


def _folded(source: str, parts: list[str]) -> str:
    """The program without comments, and with numbers for its parts. Parts are in parts, as brackets are."""
    if "\0" in source:
        raise ValueError
    text = _TEXT_OR_COMMENT.sub(partial(_text_folded, parts), source)
    found = 1
    while found:
        text, found = _INNERMOST.subn(partial(_bracket_folded, parts), text)
    if _LEFT_OVER.search(text):
        raise ValueError
    return text


def _text_folded(parts: list[str], found: re.Match[str]) -> str:
    """Nothing of a comment, though the first line may name the interpreter."""
    text = found[0]
    return "" if text[0] == "#" and not (found.start() == 0 and text.startswith("#!")) else _numbered(parts, text)


def _bracket_folded(parts: list[str], found: re.Match[str]) -> str:
    """Its lines may begin anywhere."""
    return _numbered(parts, re.sub(r"\s*\n\s*", "\n", found[0]))


def _numbered(parts: list[str], part: str) -> str:
    parts.append(part)
    return f"\0{len(parts) - 1}\0"


def _unfolded(text: str, parts: list[str]) -> str:
    return _PART.sub(lambda found: _unfolded(parts[int(found[1])], parts), text)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Each, and in how many blocks it stands. A ValueError: in none that there is."""
    columns, opens = [0], False
    for line in text.split("\n"):
        if statement := line.strip():
            column = len(line) - len(line.lstrip(" \t"))
            if not line.startswith(statement, column):  # Python counts anew behind a form feed
                raise ValueError
            if opens and column <= columns[-1]:
                raise ValueError
            if opens:
                columns.append(column)
            del columns[columns.index(column) + 1 :]
            opens = statement.endswith(":")
            yield len(columns) - 1, statement
    if opens:
        raise ValueError


def _is_docstring(statement: str, parts: list[str]) -> bool:
    """Whether it is a text that does nothing; a formatted one may do something."""
    alone = _ALONE.fullmatch(statement)
    return alone is not None and parts[int(alone[1])].startswith(("'", '"'))


def _without_annotations(statement: str, parts: list[str]) -> str:
    function = _FUNCTION.match(statement)
    if not function or _COMPARES.search(parts[parameters := int(function[2])]):
        return statement
    parts[parameters] = _ANNOTATION.sub(r"\1\2", parts[parameters])
    return function[1] + statement[function.end() :]


def _lines(statements: Iterable[tuple[int, str]]) -> Iterator[str]:
    """Python wants something in a block in which nothing is left."""
    for (depth, statement), (after, _) in pairwise([*statements, (0, "")]):
        yield " " * depth + statement
        if statement.endswith(":") and after <= depth:
            yield " " * (depth + 1) + "..."
