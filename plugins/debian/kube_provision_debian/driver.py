"""Debian's stable releases."""

from __future__ import annotations

from typing import ClassVar

from .apt import CODENAME, AptSystem, Archive


class Debian(AptSystem):
    """The release that is stable and the one before."""

    system = "debian"
    releases: ClassVar[tuple[str, ...]] = ("12", "13")
    # Updates for security have an archive of their own, which Debian's mirrors carry beside the other one.
    archives: ClassVar[tuple[Archive, ...]] = (
        Archive(suites=(CODENAME, f"{CODENAME}-updates")),
        Archive(suites=(f"{CODENAME}-security",), beside="-security"),
    )
    archive_components: ClassVar[tuple[str, ...]] = ("main",)
    archive_keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    archive_sources: ClassVar[tuple[str, ...]] = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")
