"""A disk and all that it builds on, as the headers of qcow2 files say it."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kube_provision_core import TargetError, telling_os_errors

MAGIC = b"QFI\xfb"

_HEADER = struct.Struct(">4sIQIIQI")
"""Magic, version, offset and length of the backing file's name, bits of a cluster, virtual size in bytes, encryption."""
_FEATURES, _LENGTH = (72, ">Q"), (100, ">I")
"""From version 3 on: features that a reader must know, and the header's length, after which extensions come."""
_CORRUPT, _DATA_ELSEWHERE = 1 << 1, 1 << 2
_DATA_FILE = 0x44415441
"""The extension that names the file with the data of a disk whose header lies alone."""

_LARGEST = 64 * 1024
"""Bytes of a header with all its names."""


@dataclass(frozen=True)
class Layer:
    """One file."""

    path: Path
    size: int
    changed_ns: int
    virtual_size: int = 0
    """Bytes that a machine sees; 0 of what is no qcow2 file."""


def read(disk: Path, what: str) -> tuple[Layer, ...]:
    """The disk, then what it builds on, down to the last file. `what` it is, for the error.

    Raises `TargetError`, in the words of the true cause, where a machine could not read all of it.
    """
    layers: list[Layer] = []
    waiting = [disk]
    while waiting:
        path = waiting.pop(0)
        if path in {layer.path for layer in layers}:
            raise TargetError(f"{what}: {path} builds on itself")
        layer, below = _look(path, layers[-1].path if layers else None, what)
        layers.append(layer)
        waiting += below
    return tuple(layers)


def _look(path: Path, above: Path | None, what: str) -> tuple[Layer, list[Path]]:
    """A file, and those that its header names."""
    if above and not path.exists():
        raise TargetError(
            f"{what}: {above} builds on {path}, which is missing: bring it back, or where both are make one file of them: "
            f"qemu-img convert -O qcow2 {above.name} whole.qcow2"
        )
    with telling_os_errors(f"{what}: {path} cannot be read" if above else f"{what} cannot be read"), path.open("rb") as file:
        status, head = path.stat(), file.read(_LARGEST)
    if not head.startswith(MAGIC) or len(head) < _HEADER.size:
        return Layer(path, status.st_size, status.st_mtime_ns), []
    _, version, offset, length, _, virtual_size, encryption = _HEADER.unpack_from(head)
    features = _number(head, _FEATURES) if version > 2 else 0
    if encryption:
        raise TargetError(
            f"{what}: {path} is encrypted, and nobody types its passphrase when a machine starts: decrypt it, with "
            "qemu-img convert"
        )
    if features & _CORRUPT:
        raise TargetError(f"{what}: {path} is marked as corrupt: repair it, with qemu-img check -r all, or take another")
    names = [head[offset : offset + length]] if offset else []
    names += _data_files(head) if features & _DATA_ELSEWHERE else []
    return Layer(path, status.st_size, status.st_mtime_ns, virtual_size), [_beside(path, name, what) for name in names]


def _number(head: bytes, place: tuple[int, str]) -> int:
    offset, form = place
    return int(struct.unpack_from(form, head, offset)[0]) if len(head) >= offset + struct.calcsize(form) else 0


def _data_files(head: bytes) -> Iterator[bytes]:
    at = _number(head, _LENGTH)
    while at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if kind == 0:
            return
        if kind == _DATA_FILE:
            yield head[at + 8 : at + 8 + length]
        at += 8 + (length + 7) // 8 * 8


def _beside(path: Path, name: bytes, what: str) -> Path:
    """As QEMU understands a name in a header: relative ones start at the folder of the file in which it stands."""
    text = name.decode(errors="surrogateescape").removeprefix("file:")
    if text.startswith("json:") or "://" in text:
        raise TargetError(f"{what}: {path} builds on {text}, which is no file of this host: copy it, with qemu-img convert")
    return (path.parent / text).resolve()
