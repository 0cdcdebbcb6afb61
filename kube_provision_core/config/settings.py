"""Sources → one entry per key and role. Precedence: flag > `-e` > environment > role section > document.

A pool is a role: its section stands in `pools`, and is merged with those of other sources as `workers` is, key by key.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from ..contract.machines import Role
from .document import DocumentError, Table, parse
from .problems import Place, Problems, show_key, unknown_key
from .sources import Given, Source, section_entries
from .values import Entry
from .vocabulary import COUNT, DROPPED, POOLS, ROLE_SECTIONS, WORKERS, Vocabulary, section_of


@dataclass
class Layer:
    """Sources of one rank, merged."""

    document: dict[str, Entry] = field(default_factory=dict)
    sections: defaultdict[Role, dict[str, Entry]] = field(default_factory=lambda: defaultdict(dict))
    """Of a pool its count is there, too, under the key of the workers' count."""
    pools: dict[Role, Place] = field(default_factory=dict)
    """Where each is written."""


@dataclass(frozen=True)
class Settings:
    """What was given, by canonical key."""

    layers: Sequence[Layer]
    """The strongest first."""

    @cached_property
    def pools(self) -> Mapping[Role, Place]:
        """By name, each where it is written last."""
        found = {role: place for layer in reversed(self.layers) for role, place in layer.pools.items()}
        return {role: found[role] for role in sorted(found)}

    @property
    def roles(self) -> tuple[Role, ...]:
        """Those that every cluster has, then the pools'."""
        return (*Role, *self.pools)

    def entry(self, key: str, role: Role | None = None) -> Entry | None:
        """The strongest entry for a key: of a role, or of the document alone. A pool's count is nobody else's."""
        alone = key == WORKERS and role is not None and role.is_pool
        for layer in self.layers:
            if role and key in layer.sections[role]:
                return layer.sections[role][key]
            if key in layer.document and not alone:
                return layer.document[key]
        return None


def arrange(given: Given, vocabulary: Vocabulary, problems: Problems, *, complete: bool = True) -> Settings:
    """Sort what was given by key and role. What names no key is a problem, unless the vocabulary is not complete."""
    sorter = _Sorter(vocabulary, problems, complete)
    environment = given.environment([*vocabulary.names, *DROPPED])
    ranks: list[Sequence[Source]] = [[given.flags], given.extra, [environment], given.files, [given.defaults]]
    settings = Settings([sorter.layer(sources) for sources in ranks])
    for role, place in settings.pools.items():
        if settings.entry(WORKERS, role) is None:
            problems.add(place, f"{section_of(role)} has no {COUNT}: how many machines it is to have")
    return settings


class _Sorter:
    def __init__(self, vocabulary: Vocabulary, problems: Problems, complete: bool) -> None:
        self._vocabulary = vocabulary
        self._problems = problems
        self._complete = complete

    def layer(self, sources: Iterable[Source]) -> Layer:
        layer = Layer()
        for source in sources:
            document, sections = self._split(source)
            layer.document.update(self._canonical(document, section=""))
            for name, entries in sections.items():
                role = self._vocabulary.sections[name]
                layer.sections[role].update(self._per_role(self._canonical(entries, section=name), name))
            for role, pool in self._pools(layer.document.pop(POOLS, None)):
                layer.pools[role] = pool.place
                layer.sections[role].update(self._pool(section_of(role), pool))
        return layer

    def _pools(self, written: Entry | None) -> Iterator[tuple[Role, Entry]]:
        """Each pool's role, and what stands there of it."""
        table = self._table(written) if written else None
        if written and table is None:
            self._problems.add(written.place, f"{POOLS} must be a mapping of names to a {COUNT}, or to a section")
        for name, entry in section_entries(written, table, POOLS).items() if written and table else ():
            try:
                role = Role.of_pool(name)
            except ValueError:
                role = Role.WORKER
            if role is Role.WORKER or name in self._vocabulary.sections:
                self._problems.add(
                    entry.place,
                    f"{POOLS}: {show_key(name)} is no name for a pool: it must be a DNS label (lower-case letters, digits, "
                    "inner hyphens) and none of the other sections",
                )
            else:
                yield role, entry

    def _pool(self, section: str, written: Entry) -> dict[str, Entry]:
        """Its keys and its count, which alone will do."""
        table = self._table(written)
        entries = dict(section_entries(written, table, section)) if table else {COUNT: replace(written, section=section)}
        counted = {WORKERS: entries.pop(COUNT)} if COUNT in entries else {}
        return self._per_role(self._canonical(entries, section), section) | counted

    def _split(self, source: Source) -> tuple[dict[str, Entry], dict[str, Source]]:
        """Sections apart; a role's count is a key of the document."""
        document: dict[str, Entry] = {}
        sections: dict[str, Source] = {}
        for written, entry in source.items():
            table = self._table(entry) if written in self._vocabulary.sections else None
            if table is not None:
                entries = dict(section_entries(entry, table, written))
                if written in ROLE_SECTIONS and COUNT in entries:
                    document[written] = replace(entries.pop(COUNT), section="")
                sections[written] = entries
            elif written in self._vocabulary.keys or written not in self._vocabulary.sections:
                document[written] = entry
            else:
                self._problems.add(
                    entry.place, f"{written} is the section of discovery's machine: it holds keys such as cpu"
                )
        return document, sections

    def _table(self, entry: Entry) -> Table | None:
        """The section's mapping; None for what is none, such as a bare count."""
        item = entry.content
        if isinstance(item, str) and item.lstrip().startswith("{"):
            try:
                item = parse(item)
            except DocumentError:  # told when the value is read for its key
                return None
        return item if isinstance(item, Table) else None

    def _canonical(self, source: Source, section: str) -> dict[str, Entry]:
        """Entries by canonical key. Unknown, dropped and doubly given keys are problems."""
        found: dict[str, Entry] = {}
        written_as: dict[str, str] = {}
        for written, entry in source.items():
            key = self._vocabulary.keys.get(written)
            if key is None:
                self._complain(written, entry.place, section)
            elif key.name in found:
                other = f"{written_as[key.name]} ({found[key.name].place})"
                self._problems.add(entry.place, f"{written} and {other} are one key; keep one of them")
            else:
                found[key.name], written_as[key.name] = entry, written
        return found

    def _complain(self, written: str, place: Place, section: str) -> None:
        if written in DROPPED:
            self._problems.add(place, f"{written} {DROPPED[written]}")
        elif self._complete:
            keys = self._vocabulary.keys
            known = self._known_in(section) if section else self._vocabulary.names
            secret = [name for name, key in keys.items() if key.shape.secret]
            self._problems.add(place, unknown_key(written, known, secret=secret, within=section))

    def _known_in(self, section: str) -> list[str]:
        counted = [COUNT] if section in ROLE_SECTIONS or section.startswith(f"{POOLS}.") else []
        return counted + [name for name, key in self._vocabulary.keys.items() if key.per_role]

    def _per_role(self, entries: Mapping[str, Entry], section: str) -> dict[str, Entry]:
        """Only keys that may differ per role; any other is a problem."""
        for name, entry in entries.items():
            if not self._vocabulary.keys[name].per_role:
                self._problems.add(entry.place, f"{name} cannot differ per role; write it outside of {section}")
        return {name: entry for name, entry in entries.items() if self._vocabulary.keys[name].per_role}
