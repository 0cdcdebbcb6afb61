"""A value as it was given → the value that a model validates. Text stays text: a field's type alone re-types it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import yaml

from .document import DocumentError, Item, Items, Table, Text, parse
from .problems import Place, Problems
from .shapes import Shape

NULLS = frozenset({"null", "Null", "NULL", "~"})
_REFERENCE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)\}")

Way = tuple[str | int, ...]


class Origin(Enum):
    FILE = "file"
    EXTRA = "-e"
    ENVIRONMENT = "environment"
    FLAG = "flag"

    @property
    def public(self) -> bool:
        """Everyone on the machine can read a process's arguments."""
        return self in (Origin.EXTRA, Origin.FLAG)


@dataclass(frozen=True)
class Entry:
    """One value for one key, before anybody knows the key's type."""

    place: Place
    origin: Origin
    content: Any
    """An `Item` of a document, raw text of `-e` or of the environment, or a flag's parsed value."""
    folder: Path = Path()
    """Where relative paths in it start."""
    section: str = ""
    """The one it stands in: what its place says where that is no line."""


@dataclass(frozen=True)
class Value:
    """A value ready for its model."""

    data: Any
    place: Place
    folder: Path
    section: str
    """As the entry's."""
    lines: Mapping[Way, int]
    """Line of every value inside `data`, by its way from the top."""

    def place_of(self, way: Way) -> Place:
        """The place of the value at `way`, or of the innermost one around it that has a line."""
        for length in range(len(way), 0, -1):
            if way[:length] in self.lines:
                return Place(self.place.label, self.lines[way[:length]])
        return self.place


def read_value(entry: Entry, shape: Shape, environ: Mapping[str, str], problems: Problems) -> Value | None:
    """The entry's value, or None after adding a problem."""
    if entry.origin is Origin.FLAG:
        return Value(entry.content, entry.place, entry.folder, entry.section, {})
    item: Item
    if isinstance(entry.content, str):
        try:
            item = _parse_raw(entry.content, entry.origin, shape)
        except DocumentError as error:
            problems.add(entry.place, error.faults[0].text)
            return None
    else:
        item = entry.content
    reader = _Reader(entry, shape, environ if entry.origin is Origin.FILE else None, problems)
    data = reader.read(item, ())
    return None if reader.failed else Value(data, entry.place, entry.folder, entry.section, reader.lines)


def _parse_raw(text: str, origin: Origin, shape: Shape) -> Item:
    """YAML for fields that hold more than text. Text is taken as it is; only `-e` may quote it, as in a file."""
    if shape.nested or shape.typed:
        return parse(text)
    if origin is Origin.EXTRA and text[:1] in ("'", '"'):
        item = parse(text)
        if isinstance(item, Text):
            return item
    return Text(text, 0, "null" if text in NULLS and not shape.secret else "str")


class _Reader:
    """Turns an item into plain data, noting lines and reading `${VAR}` from the environment."""

    def __init__(self, entry: Entry, shape: Shape, environ: Mapping[str, str] | None, problems: Problems) -> None:
        self.lines: dict[Way, int] = {}
        self.failed = False
        self._entry = entry
        self._shape = shape
        self._environ = environ
        self._problems = problems

    def read(self, item: Item, way: Way) -> Any:
        if self._entry.place.line is not None and way:
            self.lines[way] = item.line
        if isinstance(item, Items):
            return [self.read(child, (*way, index)) for index, child in enumerate(item.items)]
        if isinstance(item, Table):
            table = {key: self.read(child, (*way, key)) for key, child in item.items.items()}
            if self._entry.place.line is not None:
                self.lines.update({(*way, key): line for key, line in item.lines.items()})
            return table
        return self._scalar(item)

    def _scalar(self, item: Text) -> Any:
        if item.tag == "null" and (not item.text or self._shape.nullable or self._shape.typed):
            return None
        if self._shape.typed and item.tag in ("int", "float", "bool"):
            return _typed(item)
        return item.text if self._environ is None else self._expand(item)

    def _expand(self, item: Text) -> str:
        def replace(match: re.Match[str]) -> str:
            escape, name = match.groups()
            if escape:
                return match[0][1:]
            if self._environ is not None and name in self._environ:
                return self._environ[name]
            self.failed = True
            place = self._entry.place
            self._problems.add(
                Place(place.label, item.line) if place.line is not None else place,
                f"${{{name}}} is not set in the environment (write $${{{name}}} for the text itself)",
            )
            return ""

        return _REFERENCE.sub(replace, item.text)


def _typed(item: Text) -> Any:
    """As YAML has it, for fields that take anything; what it cannot read stays text."""
    try:
        return yaml.safe_load(item.text)
    except (yaml.YAMLError, ValueError):
        return item.text
