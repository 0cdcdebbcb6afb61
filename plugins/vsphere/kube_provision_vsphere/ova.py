"""An OVA: an OVF template in one archive. It is read where it lies: nothing is unpacked, no name in it becomes a path."""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree

from kube_provision_core import ConfigError

LARGEST_TEXT = 1024**2
"""Bytes that a descriptor, a manifest or a header may have; real ones have some ten thousand."""

MOST_FILES = 64
CHUNK = 256 * 1024

_SUM = re.compile(r"(SHA-?(?:1|256|512))\s*\((.+)\)\s*=\s*([0-9A-Fa-f]+)")
"""A line of a manifest: DMTF DSP0243, 5.1."""


@dataclass(frozen=True)
class Checksum:
    algorithm: str
    digest: str


@dataclass(frozen=True)
class Part:
    """A file of the archive."""

    name: str
    offset: int
    size: int
    checksum: Checksum | None = None
    """As the manifest has it; None: there is no manifest."""

    def read(self, archive: BinaryIO) -> Iterator[bytes]:
        """Its content. Raises `ConfigError`, at the end too, where it is not what the manifest says."""
        digest = hashlib.new(self.checksum.algorithm) if self.checksum else None
        left = self.size
        try:
            archive.seek(self.offset)
            while left:
                chunk = archive.read(min(CHUNK, left))
                if not chunk:
                    raise ConfigError(f"bake_from: {self.name} ends before its end; was the OVA changed?")
                left -= len(chunk)
                if digest:
                    digest.update(chunk)
                yield chunk
        except OSError as error:
            raise ConfigError(f"bake_from: {self.name} cannot be read: {error.strerror or error}") from error
        if self.checksum and digest and digest.hexdigest() != self.checksum.digest:
            raise ConfigError(f"bake_from: {self.name} is not what the OVA's manifest says; fetch the OVA again")


@dataclass(frozen=True)
class Ova:
    """What is known of an OVA before it is imported."""

    path: Path
    digest: str = ""
    """SHA-256 of descriptor and manifest, or, where there is no manifest, of the whole file."""
    descriptor: str = ""
    files: tuple[Part, ...] = ()
    """Those that the descriptor refers to, its disks among them."""
    networks: tuple[str, ...] = ()
    """Names of the descriptor's own."""
    problem: str = ""
    """Why it cannot be imported, and what to do; the others are empty then."""

    @property
    def name(self) -> str:
        return f"{self.path.name}, sha256 {self.digest[:16]}" if self.digest else self.path.name

    @property
    def described(self) -> str:
        return f"OVA {self.name}"


def look(path: Path) -> Ova:
    """Reads no disk, but for an OVA without a manifest. Never raises for what the file is."""
    try:
        with _Archive(io.FileIO(path)) as archive:
            return _read(path, archive)
    except (OSError, ElementTree.ParseError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        what = "cannot be read" if isinstance(error, OSError) else "is no OVA that can be imported"
        return Ova(path, problem=f"bake_from: {path} {what}: {reason}")


class _Archive(io.BufferedReader):
    """What is read of it at once is bounded, whatever its headers say."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= LARGEST_TEXT:
            raise ValueError(f"a header, descriptor or manifest of it is larger than {LARGEST_TEXT // 1024} KiB")
        return super().read(size)


def _read(path: Path, archive: _Archive) -> Ova:
    """Raises ValueError, or what the libraries raise."""
    members = _members(archive)
    named = [name for name in members if name.lower().endswith(".ovf")]
    if len(named) != 1:
        raise ValueError(f"it holds {len(named) or 'no'} descriptors (.ovf), and one is wanted")
    content = _content(archive, members[named[0]])
    manifest = next((member for name, member in members.items() if name.lower().endswith(".mf")), None)
    text = _content(archive, manifest) if manifest else b""
    checksums = _checksums(text) if manifest else None
    described = _described(content)
    if checksums is not None:
        _check(named[0], content, checksums)
    return Ova(
        path,
        hashlib.sha256(content + b"\0" + text).hexdigest() if manifest else _digest(path),
        content.decode("utf-8-sig"),
        tuple(_part(reference, members, checksums) for reference in described.findall("{*}References/{*}File")),
        tuple(_attribute(network, "name") for network in described.findall("{*}NetworkSection/{*}Network")),
    )


def _members(archive: _Archive) -> dict[str, tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    for member in _headers(archive):
        if not member.isreg() or member.issparse():
            raise ValueError(f"{member.name!r} in it is no plain file")
        if member.name in members:
            raise ValueError(f"it holds {member.name!r} twice")
        if len(members) == MOST_FILES:
            raise ValueError(f"it holds more than {MOST_FILES} files")
        members[member.name] = member
    return members


def _headers(archive: _Archive) -> Iterator[tarfile.TarInfo]:
    try:
        with tarfile.open(fileobj=archive, mode="r:") as tar:
            yield from tar
    except tarfile.TarError as error:
        raise ValueError(f"it is no tar, or not whole ({error})") from error


def _content(archive: _Archive, member: tarfile.TarInfo) -> bytes:
    archive.seek(member.offset_data)
    return archive.read(member.size)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _checksums(manifest: bytes) -> Mapping[str, Checksum]:
    found: dict[str, Checksum] = {}
    for line in filter(None, map(str.strip, manifest.decode().splitlines())):
        match = _SUM.fullmatch(line)
        if match is None:
            raise ValueError(f"its manifest has a line that is none: {line[:80]!r}")
        algorithm, name, digest = match.groups()
        found[name] = Checksum(algorithm.replace("-", "").lower(), digest.lower())
    return found


def _check(name: str, content: bytes, checksums: Mapping[str, Checksum]) -> None:
    said = checksums.get(name)
    if said is None:
        raise ValueError(f"its manifest does not list {name}")
    if hashlib.new(said.algorithm, content).hexdigest() != said.digest:
        raise ValueError(f"{name} is not what its manifest says; fetch it again")


def _described(content: bytes) -> ElementTree.Element:
    """The descriptor, of one machine that can be imported."""
    text = content.decode("utf-8-sig")
    if "<!DOCTYPE" in text:
        raise ValueError("its descriptor has a document type, and so may be larger than it looks")
    envelope = ElementTree.fromstring(text)  # noqa: S314 (without a document type there are no entities)
    if envelope.tag.rpartition("}")[2] != "Envelope":
        raise ValueError("its descriptor is no OVF envelope")
    if envelope.find("{*}VirtualSystemCollection") is not None or len(envelope.findall("{*}VirtualSystem")) != 1:
        raise ValueError("one machine is wanted, and it describes none or several")
    if envelope.find(".//{*}EulaSection") is not None:
        raise ValueError(
            "it asks for a licence to be accepted, which is for people to do; import it by hand, and name what came of it"
        )
    if not envelope.findall("{*}References/{*}File"):
        raise ValueError("it has no disk")
    return envelope


def _part(
    reference: ElementTree.Element, members: Mapping[str, tarfile.TarInfo], checksums: Mapping[str, Checksum] | None
) -> Part:
    name = _attribute(reference, "href")
    member = members.get(name)
    if _attribute(reference, "compression") not in ("", "identity") or _attribute(reference, "chunkSize"):
        raise ValueError(f"{name} in it is compressed or in pieces; make one of it whose disks are streamOptimized alone")
    if member is None:
        raise ValueError(f"{name} is not in it")
    if checksums is not None and name not in checksums:
        raise ValueError(f"its manifest does not list {name}")
    return Part(name, member.offset_data, member.size, (checksums or {}).get(name))


def _attribute(element: ElementTree.Element, name: str) -> str:
    """Whatever its namespace."""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")
