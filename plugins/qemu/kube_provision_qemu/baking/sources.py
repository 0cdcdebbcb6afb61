"""What a template is baked from, as the configuration says it: `debian-13`, a cloud image's file, or its URL."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

DEBIAN = re.compile(r"debian-(\d+)")
RELEASES = {"12": "bookworm", "13": "trixie"}
"""Debian releases that are built from packages, by version."""

CHECKSUM = r"^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$"


@dataclass(frozen=True)
class Checksum:
    algorithm: str
    digest: str

    @classmethod
    def parse(cls, text: str) -> Checksum:
        """From what `CHECKSUM` matches."""
        algorithm, _, digest = text.partition(":")
        return cls(algorithm, digest)

    def of(self, path: Path) -> str:
        """The file's digest by this algorithm."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, self.algorithm).hexdigest()


@dataclass(frozen=True)
class DebianRelease:
    """Built from its packages."""

    version: str

    @property
    def codename(self) -> str:
        return RELEASES[self.version]

    def __str__(self) -> str:
        return f"debian-{self.version}"


@dataclass(frozen=True)
class ImageFile:
    path: Path
    checksum: Checksum | None

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True)
class ImageUrl:
    url: str
    checksum: Checksum

    def __str__(self) -> str:
        """Without what may be a password."""
        return re.sub(r"//[^/@]*@", "//", self.url)


Source = DebianRelease | ImageFile | ImageUrl


def is_url(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def is_release(text: str) -> bool:
    return DEBIAN.fullmatch(text) is not None


def parse(text: str, checksum: str | None) -> Source:
    """From configured values that are valid."""
    expected = Checksum.parse(checksum) if checksum else None
    if release := DEBIAN.fullmatch(text):
        return DebianRelease(release[1])
    if is_url(text):
        assert expected is not None, "the configuration demands it"
        return ImageUrl(text, expected)
    return ImageFile(Path(text), expected)
