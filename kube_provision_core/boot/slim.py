"""Python programs without their comments and docstrings: room in the boot data, of which a target may take only 64 KiB."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable
from functools import lru_cache

HEADER = "# Shortened for delivery: comments and docstrings are in the distribution that brought this file."


@lru_cache(maxsize=64)
def slim(source: str) -> str:
    """The same program in fewer lines; everything else stays as it is written. Text that is not Python stays whole."""
    try:
        tree = ast.parse(source)
        cut = _comments(source)
    except (SyntaxError, tokenize.TokenError):
        return source
    nodes = list(ast.walk(tree))
    drop, fill = _docstrings(nodes)
    texts = _texts(nodes)
    lines = dict(enumerate(source.splitlines(), 1))
    shebang = [lines.pop(1)] if source.startswith("#!") else []
    kept = {
        number: _line(text, cut.get(number), number in fill) for number, text in lines.items() if number not in drop - fill
    }
    body = [line for number, line in kept.items() if line or number in texts]
    return "\n".join([*shebang, HEADER, *body]) + "\n"


def _line(text: str, cut: int | None, filled: bool) -> str:
    if filled:
        return text[: len(text) - len(text.lstrip())] + "..."
    return text.rstrip() if cut is None else text[:cut].rstrip()


def _docstrings(nodes: Iterable[ast.AST]) -> tuple[set[int], set[int]]:
    """Numbers of lines that hold nothing but docstrings, and of those where one is all that there is."""
    drop: set[int] = set()
    fill: set[int] = set()
    for node in nodes:
        block = getattr(node, "body", None)
        body: list[ast.stmt] = block if isinstance(block, list) else []
        for statement in body:
            if _is_text(statement):
                drop |= set(range(statement.lineno, (statement.end_lineno or statement.lineno) + 1))
                if len(body) == 1 and not isinstance(node, ast.Module):
                    fill.add(statement.lineno)
    return drop, fill


def _texts(nodes: Iterable[ast.AST]) -> set[int]:
    """Numbers of the lines on which texts stand: an empty one among them means something."""
    found = (node for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr))
    return {line for node in found for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}


def _is_text(statement: ast.stmt) -> bool:
    value = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(value, ast.Constant) and isinstance(value.value, str)


def _comments(source: str) -> dict[int, int]:
    """Where the comment of a line begins, by line; the first line's interpreter is none."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = {token.start[0]: token.start[1] for token in tokens if token.type == tokenize.COMMENT}
    return {line: column for line, column in found.items() if not (line == 1 and source.startswith("#!"))}
