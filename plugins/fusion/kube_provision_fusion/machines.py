"""The machines that lie in `vm_dir`, each in a folder of its own: found without asking VMware."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from kube_provision_core import UNFINISHED, Cluster, Stamp, TargetError, telling_os_errors

from . import note, stamp, vmx
from .host import Host
from .note import Note
from .vmx import Vmx

BUNDLE = ".vmwarevm"

_NOTHING = (".DS_Store", ".localized")
"""What the Finder puts into folders."""


@dataclass(frozen=True)
class Found:
    """What bears a machine's name."""

    name: str
    folder: Path
    file: Path
    """Its .vmx."""
    stamp: Stamp | None = None
    """None: not ours."""
    note: Note | None = None
    vmx: Vmx | None = None
    """None for one that is half there, and for one that cannot be read."""
    version: tuple[int, int] = (0, 0)
    """Another one means that the .vmx was written anew."""

    @property
    def complete(self) -> bool:
        return self.note is None or self.note.complete

    @property
    def noted(self) -> Note:
        """Of a machine of ours, also where nobody has noted anything."""
        assert self.stamp, "it is ours"
        return self.note or Note(self.name, self.stamp, complete=True)


class Machines:
    """Thread-safe. Methods raise `TargetError`."""

    def __init__(self, vm_dir: Path, host: Host) -> None:
        self._vm_dir, self._host = vm_dir, host
        self._read: dict[Path, tuple[tuple[int, int], Vmx]] = {}

    def folder(self, name: str) -> Path:
        return self._vm_dir / f"{name}{self._host.bundle}"

    def file(self, name: str) -> Path:
        return self.folder(name) / f"{name}.vmx"

    def find(self, name: str) -> Found | None:
        """What is in the way of a machine of that name, or the machine itself; None: the name is free."""
        other = self._vm_dir / (name if self._host.bundle else f"{name}{BUNDLE}")
        return self._look(self.folder(name), name) or self._foreign(other, name)

    def concerning(self, cluster: Cluster) -> list[Found]:
        """The cluster's machines, and whatever bears one of its names."""
        found = (self.find(name) if name in cluster.names else self._glance(name) for name in self._names())
        return [
            one for one in found if one and (one.name in cluster.names or (one.stamp and one.stamp.cluster == cluster.name))
        ]

    def network_cards(self) -> frozenset[str]:
        """Hardware addresses, lower case, that machines here already bear."""
        found = map(self._glance, self._names())
        readable = [one.vmx for one in found if one and one.vmx]
        return frozenset(each.get(name).lower() for each in readable for name in each.names() if name.endswith("address"))

    def _names(self) -> Iterator[str]:
        """Of all that lies there. An absent folder holds nothing."""
        with telling_os_errors(f"vm_dir: {self._vm_dir} cannot be read"):
            try:
                entries = sorted(entry.name for entry in os.scandir(self._vm_dir) if entry.is_dir(follow_symlinks=False))
            except FileNotFoundError:
                return
        names = [entry.removesuffix(BUNDLE) for entry in entries if not entry.startswith(".")]
        yield from dict.fromkeys(name.casefold() if self._host.folds_case else name for name in names)

    def _glance(self, name: str) -> Found | None:
        """What lies there under a name that nobody needs: a folder of somebody else's, which we must not enter, is none."""
        try:
            return self._look(self.folder(name), name)
        except TargetError:
            return None

    def _look(self, folder: Path, name: str) -> Found | None:
        """None where nothing lies. Raises `TargetError` where it cannot be looked at."""
        contents = _contents(folder)
        if not contents:
            return None
        file, noted = folder / f"{name}.vmx", note.read(folder)
        if noted and not noted.complete:
            return Found(name, folder, file, noted.stamp, noted)
        try:
            version, read = self._cached(file)
        except (TargetError, FileNotFoundError):
            return Found(name, folder, file)
        except OSError as problem:
            raise TargetError(f"{file}: cannot be looked at: {problem.strerror}") from problem
        its_stamp = _newest(stamp.load(name, read.get(stamp.STAMP)), noted)
        return Found(name, folder, file, its_stamp, noted, read, version)

    def _foreign(self, folder: Path, name: str) -> Found | None:
        """A machine whose folder is named as the other product would name it."""
        files_there = [folder / entry for entry in _contents(folder) if entry.endswith(".vmx")]
        return Found(name, folder, files_there[0]) if files_there else None

    def _cached(self, file: Path) -> tuple[tuple[int, int], Vmx]:
        status = file.stat()
        version = (status.st_mtime_ns, status.st_size)
        known = self._read.get(file)
        if known is None or known[0] != version:
            known = self._read[file] = (version, vmx.read(file))
        return known


def _newest(found: Stamp | None, noted: Note | None) -> Stamp | None:
    """The note has what was applied to the machine since it was made; whose it is, its .vmx says."""
    if found is None or noted is None:
        return found
    rewritten = replace(found, spec=noted.stamp.spec, made_of=noted.stamp.made_of)
    return rewritten if rewritten == noted.stamp else found


def _contents(folder: Path) -> list[str]:
    """What is in the folder, but for what a killed run left half written; nothing where there is no folder."""
    try:
        entries = sorted(entry.name for entry in folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as problem:
        raise TargetError(f"{folder}: cannot be read: {problem.strerror}") from problem
    return [entry for entry in entries if entry not in _NOTHING and not entry.startswith(UNFINISHED)]


def locks(folder: Path) -> list[str]:
    """Names of the locks that VMware keeps on a machine that is open, and that stay after a crash."""
    return sorted(lock.name for lock in folder.glob("*.lck") if not lock.is_dir() or any(lock.iterdir()))


def clear(folder: Path) -> None:
    """Delete everything in a machine's folder but its note. Links are deleted, what they lead to stays."""
    with telling_os_errors(f"{folder}: cannot be deleted"):
        for entry in folder.iterdir():
            if entry.name == note.FILE:
                continue
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink(missing_ok=True)


def erase(folder: Path) -> None:
    """Delete the folder, the note last: until then it tells a killed run's successor whose the rest is."""
    clear(folder)
    with telling_os_errors(f"{folder}: cannot be deleted"):
        (folder / note.FILE).unlink(missing_ok=True)
        folder.rmdir()
