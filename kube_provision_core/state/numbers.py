"""The numbered objects of one cluster: `00000001.age` and so on. The last one counts, and each is written once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ..backup import Keys, Recipients, reason
from ..contract.errors import FolderError, KubeProvisionError, StateError
from ..contract.kept_files import replace_file
from .record import Numbered, Record, seal, unseal
from .stores import Store, prove

T = TypeVar("T")

_NAME = re.compile(r"(\d{8,})\.age")


class TakenError(Exception):
    """Another run has written the number."""


@dataclass(frozen=True)
class Numbers:
    store: Store
    cluster: str
    where: str
    """As people know the place of all."""
    keys: Keys
    seen: Path
    """A file of this host that says which one was seen last."""

    def all(self) -> list[int]:
        """From the first that is left to the last. Raises `StateError`."""
        found = map(_NAME.fullmatch, self._told(self.store.names))
        return sorted(int(name.group(1)) for name in found if name)

    def read(self, number: int) -> Numbered:
        """Raises `FolderError` for one that these keys do not open, or that is not whole or another cluster's."""
        where = f"{self.where}/{_name(number)}"
        content = self._told(lambda: self.store.read(_name(number)))
        record = unseal(content, self.keys, where)
        if (record.cluster, record.number) != (self.cluster, number):
            raise StateError(f"{where} is number {record.number} of cluster {record.cluster}: somebody has renamed it")
        return Numbered(record, _digest(content))

    def digest(self, number: int) -> str:
        return _digest(self._told(lambda: self.store.read(_name(number))))

    def last(self) -> Numbered | None:
        """The one that counts; None where there is none. Raises `StateError` where a later one was seen from this host."""
        numbers = self.all()
        found = self.read(numbers[-1]) if numbers else None
        self._refuse_lost(numbers)
        if found:
            self.refuse_another(found)
            self._remember(found)
        return found

    def shown(self) -> list[int]:
        """All, as `last` believes them, whether or not these keys open them."""
        numbers = self.all()
        self._refuse_lost(numbers)
        return numbers

    def refuse_another(self, found: Numbered) -> None:
        """Raise `StateError` where this host has seen another one of its number."""
        number, sha256 = self._seen()
        if found.record.number == number and found.sha256 != sha256:
            raise self._stale(number, "another")

    def write(self, record: Record, recipients: Recipients) -> Numbered:
        """Create it. Raises `TakenError` where another run was quicker, and `StateError` where nobody knows."""
        content = seal(record, recipients, self.keys)
        if record.number == 1:
            self._told(lambda: prove(self.store, self.where))
        try:
            self.store.create(_name(record.number), content)
        except Exception as problem:
            # The answer may be what was cut off, and not the question.
            if not self._holds(record.number, content):
                if isinstance(problem, FileExistsError):
                    raise TakenError from problem
                raise StateError(
                    f"{self.where}: number {record.number} could not be written: {reason(problem)}"
                ) from problem
        written = Numbered(record, _digest(content))
        self._refuse_pruned(written)
        self._remember(written)
        return written

    def delete(self, number: int) -> None:
        self._told(lambda: self.store.delete(_name(number)))

    def _refuse_pruned(self, written: Numbered) -> None:
        """What another run had written was deleted, as it was followed: the number was free, and is not the last one."""
        number, there = written.record.number, self.all()
        if there[-1:] > [number] and not self._is_in_turn(written, there):
            self.delete(number)
            raise TakenError

    def _is_in_turn(self, written: Numbered, there: Collection[int]) -> bool:
        """The first one has none before it, and is told by what the second one was written after."""
        if written.record.number > 1:
            return written.record.number - 1 in there
        with suppress(FolderError):
            return 2 in there and self.read(2).record.previous == written.sha256
        return False

    def _holds(self, number: int, content: bytes) -> bool:
        with suppress(Exception):
            return self.store.read(_name(number)) == content
        return False

    def _refuse_lost(self, numbers: Sequence[int]) -> None:
        here, (number, _) = (numbers or [0])[-1], self._seen()
        if here < number:
            raise self._stale(here, f"number {number}")

    def _seen(self) -> tuple[int, str]:
        """The last one's number and digest; 0: none was."""
        try:
            seen = json.loads(self.seen.read_bytes())
            return int(seen["number"]), str(seen["sha256"])
        except (OSError, ValueError, TypeError, KeyError):
            return 0, ""

    def _stale(self, here: int, seen: str) -> StateError:
        shown = f"number {here}" if here else "nothing"
        return StateError(
            f"{self.where} shows {shown}, and this host has seen {seen} there: the store is stale, or was put back. If you "
            f"want to go by it, remove {self.seen}"
        )

    def _remember(self, found: Numbered) -> None:
        """A host that keeps nothing goes without."""
        with suppress(OSError):
            self.seen.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            replace_file(self.seen, json.dumps({"number": found.record.number, "sha256": found.sha256}).encode())

    def _told(self, act: Callable[[], T]) -> T:
        """Stores raise whatever their libraries do."""
        try:
            return act()
        except KubeProvisionError as problem:
            raise StateError(str(problem)) from problem
        except Exception as problem:
            raise StateError(f"{self.where}: {reason(problem)}") from problem


def _name(number: int) -> str:
    return f"{number:08}.age"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
