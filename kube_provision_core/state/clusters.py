"""What a user does with one cluster's numbers: list, fetch, bring, verify them, and name others who can open them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ..contract.errors import BusyError, ConfigError, FolderError
from ..folder.documents import read_identity, read_pki, read_values
from ..folder.on_disk import FilesOnDisk, path_of
from ..folder.state import clusters_own
from ..folder.store import Folder
from .numbers import Numbers, TakenError
from .record import NotForUsError, Numbered, Record, successor
from .sealed import SealedState


@dataclass(frozen=True)
class Entry:
    """A number, for people."""

    number: int
    written: str
    by: str
    changed: str
    cluster_id: str
    recipients: int | None
    """How many can open it; None: nobody can tell."""
    problem: str
    """Why it cannot be read; empty: it can."""


@dataclass(frozen=True)
class Fault:
    """Of one number."""

    number: int
    problem: str
    for_others: bool
    """It may be whole: these keys do not open it."""


def entries(state: SealedState, cluster: str) -> list[Entry]:
    """Of all numbers. Raises `StateError`, and `ConfigError` where there are none."""
    numbers = state.numbers(cluster)
    return [_entry(numbers, number) for number in _shown(numbers)]


def pull(state: SealedState, cluster: str, folder: Path) -> Path:
    """Write the cluster's folder to `folder`/`cluster`, where there is none yet. Raises `FolderError`."""
    into, found = FilesOnDisk(path_of(folder, cluster)), _living(state, cluster)
    if into.exists():
        raise FolderError(f"{into.where} exists already, and no folder is written over another: name another one")
    into.create(found.record.files)
    return into.path


def push(state: SealedState, cluster: str, folder: Path) -> int:
    """Bring the cluster's folder to a store that has none. Returns its number. Raises `FolderError` where there is one."""
    found = Folder.open(folder, cluster)
    if found is None:
        raise ConfigError(f"cluster {cluster} has no folder at {path_of(folder, cluster)}: name the folder that it lies in")
    files = state.files(cluster)
    if files.exists():
        kept = read_identity(files.read, files.where, cluster)
        whose = "this cluster" if kept == found.cluster_id else f"another cluster ({kept}) of this name"
        raise FolderError(f"{files.where} has the folder of {whose} already: nothing was changed")
    files.create(clusters_own(found.files))
    return state.numbers(cluster).all()[-1]


def verify(state: SealedState, cluster: str) -> tuple[list[int], list[Fault]]:
    """Read all numbers: each whole, each after the one before it, and in each a folder that is one cluster's.

    Raises `StateError`, and `ConfigError` where there are none.
    """
    numbers = state.numbers(cluster)
    shown = _shown(numbers)
    return shown, list(_faults(numbers, shown))


def rotate(state: SealedState, cluster: str) -> int:
    """Write the last number once more, for the recipients of `state`. Returns the new one.

    Whoever could open the numbers before it still can. Raises `BusyError` where another run has written meanwhile.
    """
    numbers = state.numbers(cluster)
    last = numbers.last()
    if last is None:
        raise ConfigError(f"{numbers.where} has no cluster yet: nobody can open anything there")
    record = successor(last, cluster, last.record.files, ("recipients",), state.recipients)
    try:
        return numbers.write(record, state.recipients).record.number
    except TakenError as taken:
        raise BusyError(f"{numbers.where} was changed meanwhile: nothing was changed by this run: run again") from taken


def prune(state: SealedState, cluster: str) -> int:
    """Delete all numbers but the last one. Returns how many they were: what a store keeps of them is its own matter."""
    numbers = state.numbers(cluster)
    numbers.last()
    old = numbers.all()[:-1]
    for number in old:
        numbers.delete(number)
    return len(old)


def _living(state: SealedState, cluster: str) -> Numbered:
    numbers = state.numbers(cluster)
    found = numbers.last()
    if found is None or not found.record.files:
        raise ConfigError(f"{numbers.where} has no cluster{' any more' if found else ''}: name another --state")
    return found


def _shown(numbers: Numbers) -> list[int]:
    shown = numbers.shown()
    if not shown:
        raise ConfigError(f"{numbers.where} has no cluster: name another --state")
    return shown


def _entry(numbers: Numbers, number: int) -> Entry:
    try:
        record = _read(numbers, number)
    except NotForUsError:
        return Entry(number, "", "", "", "", None, "for others")
    except FolderError as problem:
        return Entry(number, "", "", "", "", None, str(problem))
    changed = ", ".join(record.changed)
    return Entry(number, record.written, record.by, changed, record.cluster_id, len(record.recipients), "")


def _faults(numbers: Numbers, shown: Iterable[int]) -> Iterator[Fault]:
    digests: dict[int, str] = {}
    for number in shown:
        digests[number] = numbers.digest(number)
        try:
            _check(_read(numbers, number), numbers.where, digests, min(digests))
        except FolderError as problem:
            yield Fault(number, str(problem), isinstance(problem, NotForUsError))


def _read(numbers: Numbers, number: int) -> Record:
    found = numbers.read(number)
    numbers.refuse_another(found)
    return found.record


def _check(record: Record, where: str, digests: Mapping[int, str], first: int) -> None:
    if record.number > first and digests.get(record.number - 1) != record.previous:
        raise FolderError(f"{where}: number {record.number} was not written after the one that is before it there")
    if record.files:

        def read(file: str) -> bytes:
            with suppress(KeyError):
                return record.files[file]
            raise FolderError(f"{where}: number {record.number} lacks {file}")

        if read_identity(read, where, record.cluster) != record.cluster_id:
            raise FolderError(f"{where}: number {record.number} says that it is of another cluster than its folder")
        read_values(read, where)
        read_pki(read, where)
