"""YAML text → items that know their lines: strict where YAML is lax, and bounded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .parser import LOADER, line_nested_deeper
from .problems import Place, Problems, show_key

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 50
"""Levels of nesting."""
MAX_ITEMS = 100_000
"""Values in one document, aliases counted as often as they are used."""

_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff\ufffe\uffff]")
_YAML = "tag:yaml.org,2002:"
_SCALARS = frozenset(_YAML + tag for tag in ("str", "int", "float", "bool", "null", "timestamp", "value"))
_MERGE = _YAML + "merge"
_QUOTED = re.compile(r"['\"]\w.*", re.DOTALL)
_FAULTS = {
    "alias": "`*` begins an alias that is not defined; quote the value if it is text",
    "cannot start any token": "a value cannot begin with this character; quote it",
    "mapping values are not allowed": "`: ` is not allowed here; quote the value, or check the indentation",
    "another document": "a second document begins here; keep one",
    "expected ':'": "`key: value` was expected",
}
"""What PyYAML says, and what we say."""


@dataclass(frozen=True)
class Text:
    """A scalar, as written."""

    text: str
    line: int
    tag: str = "str"
    """What YAML takes the text for: `str`, `int`, `float`, `bool`, `null` or `timestamp`."""


@dataclass(frozen=True)
class Items:
    """A sequence."""

    items: tuple[Item, ...]
    line: int


@dataclass(frozen=True)
class Table:
    """A mapping."""

    items: Mapping[str, Item]
    lines: Mapping[str, int]
    """Line of each key."""
    line: int


Item = Text | Items | Table


@dataclass(frozen=True)
class Fault:
    """What is wrong with a document, and in which line; None means all of it."""

    line: int | None
    text: str


class DocumentError(Exception):
    """A document that cannot be taken in."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(*(fault.text for fault in faults))
        self.faults = faults


def read_file(path: Path, problems: Problems, unwritten: Mapping[Path, bytes]) -> Table | None:
    """The mapping that a file holds, or will once it is written. Whatever is wrong with it becomes a problem; then None."""
    try:
        item = parse(_text(unwritten[path] if path in unwritten else _read(path)))
        if not isinstance(item, Table):
            raise DocumentError(Fault(item.line, "must hold `key: value` lines"))
    except DocumentError as error:
        for fault in error.faults:
            problems.add(Place(str(path), fault.line), fault.text)
        return None
    return item


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a path"
        raise DocumentError(Fault(None, f"cannot be read: {reason}")) from error


def _text(data: bytes) -> str:
    if len(data) > MAX_BYTES:
        raise DocumentError(Fault(None, f"is larger than {MAX_BYTES // 1024 // 1024} MiB"))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DocumentError(Fault(data.count(b"\n", 0, error.start) + 1, "is not UTF-8 text; save it as UTF-8")) from error


def parse(text: str) -> Item:
    """The one document in `text`. Raises `DocumentError`."""
    if bad := _UNPRINTABLE.search(text):
        raise DocumentError(Fault(text.count("\n", 0, bad.start()) + 1, "holds a control character"))
    try:
        if line := line_nested_deeper(text, MAX_DEPTH):
            raise DocumentError(Fault(line, f"is nested deeper than {MAX_DEPTH} levels"))
        node = yaml.compose(text, Loader=LOADER)
    except yaml.MarkedYAMLError as error:
        raise DocumentError(_explain(error, text)) from error
    if node is None:
        raise DocumentError(Fault(None, "is empty"))
    converter = _Converter()
    item = converter.convert(node)
    if converter.faults:
        raise DocumentError(*converter.faults)
    return item


def _explain(error: yaml.MarkedYAMLError, text: str) -> Fault:
    """In words, and without the parser's snippet: it may show a secret."""
    mark: Any = error.problem_mark or error.context_mark
    if mark is None:
        return Fault(None, "is not YAML")
    line, column = mark.line, mark.column
    lines = text.split("\n")
    character = lines[line][column : column + 1] if line < len(lines) else ""
    if character == "\t":
        return Fault(line + 1, "a tab cannot indent; use spaces")
    problem = error.problem or ""
    words = next((words for sign, words in _FAULTS.items() if sign in problem), None)
    return Fault(line + 1, words or f"is not YAML: {_QUOTED.sub('…', problem)}")


class _Converter:
    """Nodes → items. A node that is used twice is converted once and counted twice."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []
        self._done: dict[int, tuple[Item, int]] = {}
        self._open: set[int] = set()
        self._size = 0

    def convert(self, node: Any) -> Item:
        line = node.start_mark.line + 1
        if id(node) in self._open:
            raise DocumentError(Fault(line, "contains itself by an alias"))
        if id(node) in self._done:
            item, size = self._done[id(node)]
            self._count(size, line)
            return item
        before = self._size
        self._count(1, line)
        self._open.add(id(node))
        item = self._convert(node, line)
        self._open.discard(id(node))
        self._done[id(node)] = item, self._size - before
        return item

    def _count(self, size: int, line: int) -> None:
        self._size += size
        if self._size > MAX_ITEMS:
            raise DocumentError(Fault(line, f"holds more than {MAX_ITEMS} values, aliases included"))

    def _convert(self, node: Any, line: int) -> Item:
        if isinstance(node, yaml.ScalarNode) and node.tag in _SCALARS:
            return Text(node.value, line, node.tag.removeprefix(_YAML))
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_YAML}seq":
            return Items(tuple(self.convert(child) for child in node.value), line)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_YAML}map":
            return self._table(node, line)
        raise DocumentError(Fault(line, "uses a YAML tag (`!…`) that is not known here; quote the value if it is text"))

    def _table(self, node: Any, line: int) -> Table:
        own: dict[str, Item] = {}
        lines: dict[str, int] = {}
        merged: list[Table] = []
        for key, value in node.value:
            at = key.start_mark.line + 1
            if key.tag == _MERGE:
                merged += self._merged(value, at)
                continue
            if not isinstance(key, yaml.ScalarNode):
                self.faults.append(Fault(at, "a key must be text, not a list or a mapping"))
                continue
            if key.value in own:
                self.faults.append(Fault(at, f"{show_key(key.value)} is given twice: here and in line {lines[key.value]}"))
            own[key.value], lines[key.value] = self.convert(value), at
        for table in merged:  # what is written here beats what is merged in, an earlier merge a later one
            own = {**table.items, **own}
            lines = {**table.lines, **lines}
        return Table(own, lines, line)

    def _merged(self, value: Any, line: int) -> list[Table]:
        item = self.convert(value)
        tables = list(item.items) if isinstance(item, Items) else [item]
        if not all(isinstance(table, Table) for table in tables):
            raise DocumentError(Fault(line, "`<<` merges mappings only"))
        return [table for table in tables if isinstance(table, Table)]
