"""The names of one datacenter, and how a name of the configuration is resolved. Pure: it was read elsewhere."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import takewhile
from time import monotonic

from kube_provision_core import ConfigError

DATACENTER = "Datacenter"

MOST_NAMES = 10
"""In one line."""

_WAYS = 5

ESCAPED = re.compile(r"%(2f|5c|25)", re.IGNORECASE)
"""vSphere escapes these three characters in names: slash, backslash, percent sign."""


@dataclass(frozen=True)
class Item:
    """One object of the inventory."""

    kind: str
    """Its type in the vSphere API: `Folder`, `VirtualMachine`, …"""
    id: str
    name: str
    parent: str | None = None
    template: bool = False
    """A virtual machine that is a template."""
    stamp: str | None = None
    """The stamp of a virtual machine, as text."""
    copy: bool = False
    """The stamp was written for another machine, which this one is a copy of."""
    switch: str | None = None
    """Id of the distributed switch whose port group it is."""


@dataclass(frozen=True)
class Wanted:
    """What a key of the configuration may name."""

    key: str
    what: str
    kinds: tuple[str, ...]
    accept: Callable[[Item], bool] = lambda _: True
    below: str | None = None
    """The datacenter's top folder that it must lie below, or be."""


class Inventory:
    """Objects by id, with their paths."""

    def __init__(self, items: Iterable[Item], elsewhere: Inventory | None = None) -> None:
        self.elsewhere = elsewhere
        """Machines of other datacenters, as far as they matter; nothing else of those is known."""
        self.items = {item.id: item for item in items}
        self.read_at = monotonic()

    def path(self, item_id: str) -> str:
        """The full path, `/datacenter/vm/folder/name`, a slash in a name as `%2f`; of an unknown object, its id."""
        return self._paths.get(item_id) or (self.elsewhere.path(item_id) if self.elsewhere else item_id)

    @cached_property
    def _paths(self) -> dict[str, str]:
        return {item.id: "/" + "/".join(map(_with_slash_escaped, self._names(item))) for item in self.items.values()}

    def _names(self, item: Item) -> list[str]:
        """Of all above it, downwards, and its own."""
        return [step.name for step in reversed(self._line(item.id))]

    def _line(self, item_id: str) -> list[Item]:
        """The object and all above it, upwards."""
        line: list[Item] = []
        step = self.items.get(item_id)
        while step:
            line.append(step)
            step = self.items.get(step.parent or "")
        return line

    def ancestor(self, item_id: str, kinds: Iterable[str]) -> Item | None:
        """The nearest object of these kinds above this one, or this one."""
        return next((item for item in self._line(item_id) if item.kind in kinds), None)

    def top(self, name: str) -> Item:
        """The datacenter's top folder of that name: `vm`, `host`, `network`, `datastore`."""
        return next(item for item in self.items.values() if item.name == name and self._is_top(item))

    def children(self, item_id: str, kind: str) -> list[Item]:
        return [item for item in self.items.values() if item.parent == item_id and item.kind == kind]

    def all(self, kind: str) -> list[Item]:
        return [item for item in self.items.values() if item.kind == kind]

    def find(self, what: Wanted, text: str) -> Item:
        """The one object that the text names. Raises `ConfigError` for none and for several."""
        found = self.matches(what, text)
        if len(found) == 1:
            return found[0]
        if found:
            raise ConfigError(self.ambiguity(what, text, found))
        raise ConfigError(f"{what.key}: {self._absence(what, text)}")

    def only(self, what: Wanted) -> Item:
        """The one object of that kind that there is. Raises `ConfigError` for none and for several."""
        found = self._of(what)
        if len(found) == 1:
            return found[0]
        choice = f"; name one of: {', '.join(sorted(self.path(item.id) for item in found))}" if found else ""
        raise ConfigError(f"{what.key}: not set, and there is {'more than one' if found else 'no'} {what.what}{choice}")

    def matches(self, what: Wanted, text: str) -> list[Item]:
        """By full path; else by the path below its top folder; else by its last parts, of which the name is the least; else
        (a port group) by its switch and its name; else by its id."""
        written = Written.parse(text)
        fitting = [(item, self._ways_to_name(item)) for item in self._of(what)]
        for way in range(_WAYS):
            found = [item for item, ways in fitting if any(map(written.means, ways[way]))]
            if found:
                return found
        return []

    def _ways_to_name(self, item: Item) -> Sequence[Sequence[Sequence[str]]]:
        """`_WAYS`, in the order of `matches`; one may give several names, or none."""
        names = self._names(item)
        below_top = takewhile(lambda step: not self._is_top(step), self._line(item.id))
        return (
            [names],
            [[step.name for step in below_top][::-1]],
            [names[start:] for start in range(len(names))],
            [[self._switch_name(item), item.name]] if item.switch else [],
            [[item.id]],
        )

    def pattern_matches(self, what: Wanted, pattern: str) -> list[Item]:
        """Every object whose name, or path where the pattern has a slash, fits a shell pattern."""
        parts = [unescape(part) for part in pattern.strip("/").split("/")]

        def fits(item: Item) -> bool:
            names = self._names(item)[-len(parts) :]
            return len(names) == len(parts) and all(map(fnmatchcase, names, parts))

        return [item for item in self._of(what) if fits(item)]

    def ambiguity(self, what: Wanted, text: str, found: Collection[Item]) -> str:
        paths = [self.path(item.id) for item in found]
        if len(set(paths)) == len(paths):
            choice, advice = paths, "the full path"
        else:
            choice, advice = [self._with_id(item) for item in found], "the id, in brackets,"
        several = f"{what.key}: {text!r} names more than one {what.what}: {', '.join(sorted(choice))}"
        return f"{several}; write {advice} of the one that you mean"

    def _with_id(self, item: Item) -> str:
        name = f"{self._switch_name(item)}/{item.name}" if item.switch else self.path(item.id)
        return f"{name} ({item.id})"

    def _absence(self, what: Wanted, text: str) -> str:
        names = sorted({item.name for item in self._of(what)})
        near = get_close_matches(text.rpartition("/")[2], names, n=3, cutoff=0.6) or names[:5]
        hint = f"; did you mean {' or '.join(repr(name) for name in near)}?" if near else ""
        return f"there is no {what.what} {text!r}, or the account may not see it{hint}"

    def _of(self, what: Wanted) -> list[Item]:
        return [
            item
            for item in self.items.values()
            if item.kind in what.kinds and what.accept(item) and (what.below is None or self._is_below(item, what.below))
        ]

    def _is_top(self, item: Item) -> bool:
        return item.parent in self.items and self.items[item.parent].kind == DATACENTER

    def _is_below(self, item: Item, top: str) -> bool:
        return any(step.name == top and self._is_top(step) for step in self._line(item.id))

    def _switch_name(self, item: Item) -> str:
        return self.items[item.switch].name if item.switch in self.items else item.switch or ""


@dataclass(frozen=True)
class Written:
    """A path as a person writes it. A slash in a name may stand there as it is, or as `%2f` where that means two things."""

    text: str
    escaped: bool

    @classmethod
    def parse(cls, text: str) -> Written:
        parts = [unescape(part) for part in text.strip("/").split("/")]
        escaped = "%2f" in text.lower()
        return cls("/".join(map(_with_slash_escaped, parts) if escaped else parts), escaped)

    def means(self, names: Iterable[str]) -> bool:
        """Names are compared as wholes: `120` is no end of `Prod/120` where that is one name."""
        return "/".join(map(_with_slash_escaped, names) if self.escaped else names) == self.text


def _with_slash_escaped(name: str) -> str:
    return name.replace("/", "%2f")


def unescape(name: str) -> str:
    """A name as people write it."""
    return ESCAPED.sub(lambda match: chr(int(match[1], 16)), name)


def escape(name: str) -> str:
    """A name as vSphere takes it."""
    return "".join(f"%{ord(character):02x}" if character in "/\\%" else character for character in name)


def natural(name: str) -> tuple[tuple[int, int | str], ...]:
    """Sorts `image-10` after `image-9`."""
    return tuple((0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", name))


def some_of(names: Iterable[str], like: str = "") -> str:
    """For a line of what there is: those first that are much alike, and not all where there are many."""
    known = sorted(set(names), key=natural)
    ordered = list(dict.fromkeys([*get_close_matches(like, known), *known]))
    more = f" and {len(ordered) - MOST_NAMES} more" if len(ordered) > MOST_NAMES else ""
    return (", ".join(ordered[:MOST_NAMES]) or "none") + more


def ambiguous(text: str, what: str, found: Mapping[str, str]) -> str:
    """What is said of several things of a kind that cannot be named but by their names; `found`: these, by id."""
    listed = some_of(f"{name} ({item})" for item, name in found.items())
    return f"{text!r} names more than one {what}: {listed}; rename all but one of them"
