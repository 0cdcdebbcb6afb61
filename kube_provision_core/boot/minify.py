"""Python programs without their comments and docstrings: room in the boot data, of which a target may take only 64 KiB."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import pairwise
from tokenize import COMMENT, DEDENT, INDENT, NEWLINE, NL, STRING, TokenError, TokenInfo, generate_tokens

HEADER = "# Shortened for delivery: comments and docstrings are in the distribution that brought this file."

_PLAIN_TEXT = re.compile(r"[rRuU]?['\"]")
"""How a text begins that does nothing where it stands alone; a formatted one may do something."""


@lru_cache(maxsize=64)
def minify(source: str) -> str:
    """The same program in fewer lines; everything else stays as it is written. What is no Python stays whole.

    What is left without a line says why: the `__init__.py` of a package does so for all of it. Read as tokens: comments are
    among them, and a tree takes longer.
    """
    try:
        tokens = list(generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, TokenError):
        return source
    lines = dict(enumerate(source.split("\n"), 1))
    lines |= {row: lines[row][:column] for row, column in _comments(tokens)}
    docstrings, code = _parted(tokens)
    lines |= {row: "" for text in docstrings for row in range(text.start[0], text.end[0] + 1)}
    lines |= {indent.start[0]: f"{indent.string}..." for indent in _emptied(code)}
    inside = {row for token in code for row in range(token.start[0], token.end[0])}
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
        alone = before in (NEWLINE, INDENT, DEDENT) and after.type == NEWLINE
        said = token.type == STRING and alone and _PLAIN_TEXT.match(token.string)
        (docstrings if said else code).append(token)
        before = token.type
    return docstrings, code


def _emptied(code: Iterable[TokenInfo]) -> Iterator[TokenInfo]:
    """Indents of blocks in which nothing is left, though Python wants something in them."""
    for token, after in pairwise(token for token in code if token.type != NEWLINE):
        if (token.type, after.type) == (INDENT, DEDENT):
            yield token
