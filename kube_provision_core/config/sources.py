"""Everything that a user gave, by source: flags, `-e`, environment, files. Nothing is interpreted yet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .document import Table, read_file
from .problems import Place, Problems, show_key
from .spelling import meant
from .values import Entry, Origin
from .vocabulary import variable

Source = Mapping[str, Entry]
"""Entries of one source by the key as written."""

_FLAGS = {"kubernetes_version": "--k8s-version"}
"""Flags that are not named after their key."""


@dataclass(frozen=True)
class Given:
    """The sources of a run."""

    paths: tuple[Path, ...]
    flags: Source
    extra: tuple[Source, ...]
    """A later one beats an earlier one."""
    files: tuple[Source, ...]
    """A later one beats an earlier one."""
    environ: Mapping[str, str]
    defaults: Source
    """What a command takes where nobody says anything."""

    def environment(self, names: Iterable[str]) -> Source:
        """What the environment says about these keys. An empty variable counts as unset."""
        found = {name: self.environ.get(variable(name), "") for name in names}
        return {name: Entry(Place(variable(name)), Origin.ENVIRONMENT, text) for name, text in found.items() if text}


def collect(
    paths: Sequence[Path],
    extra: Sequence[str],
    flags: Mapping[str, object],
    environ: Mapping[str, str],
    problems: Problems,
    defaults: Mapping[str, object] = {},
    unwritten: Mapping[Path, bytes] = {},
) -> Given:
    """Read every source; what cannot be read is a problem. `unwritten`: documents that are not on the disk yet."""
    return Given(
        tuple(paths),
        _flags(flags),
        tuple(_read_extra(extra, problems, unwritten)),
        tuple(_read_paths(paths, problems, unwritten)),
        environ,
        _flags(defaults),
    )


def _flags(values: Mapping[str, object]) -> Source:
    return {key: Entry(Place(flag(key)), Origin.FLAG, value) for key, value in values.items() if value is not None}


def flag(key: str) -> str:
    """The flag that sets a key."""
    return _FLAGS.get(key, f"--{key.replace('_', '-')}")


def _read_paths(paths: Sequence[Path], problems: Problems, unwritten: Mapping[Path, bytes]) -> Iterator[Source]:
    for path in paths:
        table = read_file(path, problems, unwritten)
        if table is not None:
            yield entries(table, str(path), Origin.FILE, path.absolute().parent)


def _read_extra(extra: Sequence[str], problems: Problems, unwritten: Mapping[Path, bytes]) -> Iterator[Source]:
    for number, text in enumerate(extra, 1):
        if text.startswith("@"):
            yield from _read_paths([Path(text[1:])], problems, unwritten)
            continue
        key, equals, value = text.partition("=")
        if equals and key.strip():
            yield {key.strip(): Entry(Place(f"-e {show_key(key.strip())}"), Origin.EXTRA, value)}
        else:  # not shown: it may be a secret
            problems.add(Place("-e"), f"number {number} is neither KEY=VALUE nor @FILE")


def entries(table: Table, label: str, origin: Origin, folder: Path) -> Source:
    """The entries of a document."""
    return {key: Entry(Place(label, table.lines[key]), origin, item, folder) for key, item in table.items.items()}


def section_entries(section: Entry, table: Table, name: str) -> Source:
    """The entries of a section of that name, which may stand in a file or be the value of one `-e` or variable."""
    if section.place.line is not None:
        return entries(table, section.place.label, section.origin, section.folder)
    return {key: replace(section, content=item, section=name) for key, item in table.items.items()}


def misspelt_variables(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Variables that set nothing but nearly bear a key's name, and the variable that was probably meant."""
    known = {variable(name): name for name in names}
    words = {name: name.removeprefix(variable("")).lower() for name in sorted(environ) if name.startswith(variable(""))}
    near = {name: meant(word, known.values()) for name, word in words.items() if name not in known}
    return {name: variable(word) for name, word in near.items() if word}
