"""Python programs without what they do not need to run: room in the boot data, of which a target may take only 64 KiB.

Comments and docstrings go, annotations of functions, and all of an indent but one column.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from tokenize import COMMENT, DEDENT, INDENT, NAME, NEWLINE, NL, STRING, TokenError, TokenInfo, generate_tokens

HEADER = "# Shortened for delivery: comments and docstrings are in the distribution that brought this file."

_PLAIN_TEXT = re.compile(r"[rRuU]?['\"]")
"""How a text begins that does nothing where it stands alone; a formatted one may do something."""
_READS_ANNOTATIONS = re.compile(r"\b(?:singledispatch\w*|get_type_hints|get_annotations|__annotations__|signature)\b")
_FORMATTED = {getattr(tokenize, f"FSTRING_{end}", -1): step for end, step in (("START", 1), ("END", -1))}
"""Since Python 3.12 a formatted text is many tokens."""


@lru_cache(maxsize=64)
def minify(source: str) -> str:
    """The same program in fewer words; everything else stays as it is written. What is no Python stays whole.

    A program that asks for annotations keeps them. What is left without a line says why: the `__init__.py` of a package does
    so for all of it. Read as tokens: comments are among them, and a tree takes longer.
    """
    try:
        tokens = list(generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, TokenError):
        return source
    lines = dict(enumerate(source.split("\n"), 1))
    lines |= {row: lines[row][:column] for row, column in _comments(tokens)}
    docstrings, code = _parted(tokens)
    for row, begin, end in [] if _READS_ANNOTATIONS.search(source) else sorted(_annotations(code), reverse=True):
        lines[row] = lines[row][:begin] + lines[row][end:]
    lines |= {row: "" for text in docstrings for row in range(text.start[0], text.end[0] + 1)}
    lines |= {indent.start[0]: "..." for indent in _emptied(code)}
    spanning = [token for token in code if token.start[0] != token.end[0] or token.type in _FORMATTED]
    inside = {row for token in spanning for row in range(token.start[0], token.end[0])}
    depths, texts = dict(_depths(tokens)), set(_within_texts(spanning))
    lines |= {row: " " * depths.get(row, 0) + line.lstrip() for row, line in lines.items() if row not in texts}
    body = [line if row in inside else line.rstrip() for row, line in lines.items() if row in inside or line.strip()]
    return "\n".join(body or [HEADER]) + "\n"


def _comments(tokens: Iterable[TokenInfo]) -> Iterator[tuple[int, int]]:
    """Line and column of each; the first line may name the interpreter instead."""
    found = (token for token in tokens if token.type == COMMENT)
    return (token.start for token in found if not (token.start == (1, 0) and token.string.startswith("#!")))


def _parted(tokens: Iterable[TokenInfo]) -> tuple[list[TokenInfo], list[TokenInfo]]:
    """Texts that are a statement of their own, and all that a program does."""
    docstrings: list[TokenInfo] = []
    code: list[TokenInfo] = []
    before = NEWLINE
    for token, after in pairwise(token for token in tokens if token.type not in (COMMENT, NL)):
        alone = token.type == STRING and before in (NEWLINE, INDENT, DEDENT) and after.type == NEWLINE
        (docstrings if alone and _PLAIN_TEXT.match(token.string) else code).append(token)
        before = token.type
    return docstrings, code


def _emptied(code: Iterable[TokenInfo]) -> Iterator[TokenInfo]:
    """Indents of blocks in which nothing is left, though Python wants something in them."""
    for token, after in pairwise(token for token in code if token.type != NEWLINE):
        if (token.type, after.type) == (INDENT, DEDENT):
            yield token


def _depths(tokens: Iterable[TokenInfo]) -> Iterator[tuple[int, int]]:
    """Each line on which a statement begins, and in how many blocks it stands; all other lines may begin anywhere."""
    depth, begins = 0, True
    for token in tokens:
        if token.type in (INDENT, DEDENT):
            depth += 1 if token.type == INDENT else -1
        elif token.type == NEWLINE:
            begins = True
        elif begins and token.type not in (COMMENT, NL):
            yield token.start[0], depth
            begins = False


def _within_texts(spanning: Iterable[TokenInfo]) -> Iterator[int]:
    """Lines that begin in the midst of a text. Given are tokens of several lines, and the ends of formatted texts."""
    formatted: list[int] = []
    for token in spanning:
        step = _FORMATTED.get(token.type, 0)
        if step == 1:
            formatted.append(token.start[0])
        begin = formatted.pop() if step == -1 else token.start[0]
        yield from range(begin + 1, token.end[0] + 1)


def _annotations(code: Sequence[TokenInfo]) -> Iterator[tuple[int, int, int]]:
    """Line, and columns from and to which a function says of what type something is."""
    for at, token in enumerate(code):
        if token.type == NAME and token.string == "def" and code[at + 2].string == "(":
            yield from _of_function(code, at + 2)


def _of_function(code: Sequence[TokenInfo], opening: int) -> Iterator[tuple[int, int, int]]:
    """Those of the function whose parameters begin there. One over several lines stays."""
    depth, lambdas, at = 0, list[int](), opening
    while True:
        token, after = code[at], code[at + 1]
        depth += (token.string in {*"([{"}) - (token.string in {*")]}"})
        if depth == 0:
            break
        if token.string == "lambda":
            lambdas.append(depth)
        elif token.string == ":" and lambdas[-1:] == [depth]:
            lambdas.pop()
        named = token.type == NAME and code[at - 1].string in ("(", ",", "*", "**")
        if depth == 1 and named and not lambdas and after.string == ":":
            yield from _cut(token, code[_end(code, at + 2, {",", "=", ")"}) - 1])
        at += 1
    if code[at + 1].string == "->":
        yield from _cut(code[at], code[_end(code, at + 2, {":"}) - 1])


def _end(code: Sequence[TokenInfo], at: int, ends: set[str]) -> int:
    """Where one of these stands that is in no bracket that opens after `at`."""
    depth = 0
    while depth or code[at].string not in ends:
        depth += code[at].string in {*"([{"}
        depth -= code[at].string in {*")]}"}
        at += 1
    return at


def _cut(before: TokenInfo, last: TokenInfo) -> Iterator[tuple[int, int, int]]:
    if before.end[0] == last.end[0]:
        yield before.end[0], before.end[1], last.end[1]
