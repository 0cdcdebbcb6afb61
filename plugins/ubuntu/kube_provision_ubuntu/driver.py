"""How Ubuntu differs from the rest of Debian's family."""

from __future__ import annotations

from .apt import CODENAME, AptSystem


class Ubuntu(AptSystem):
    """The long-term releases that upstream supports."""

    system = "ubuntu"
    releases = ("22.04", "24.04", "26.04")
    archive_suites = (CODENAME, f"{CODENAME}-updates", f"{CODENAME}-security")
    archive_components = ("main", "universe")
    archive_keyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
    archive_sources = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/ubuntu.sources")
