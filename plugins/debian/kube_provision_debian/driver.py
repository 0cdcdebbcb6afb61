"""What Debian has of its own."""

from __future__ import annotations

from kube_provision_core import CODENAME, AptSystem, Archive


class Debian(AptSystem):
    """The release that is stable and the one before."""

    system = "debian"
    releases = ("12", "13")
    # Updates for security have an archive of their own, which Debian's mirrors carry beside the other one.
    archives = (
        Archive(suites=(CODENAME, f"{CODENAME}-updates")),
        Archive(suites=(f"{CODENAME}-security",), beside="-security"),
    )
    archive_components = ("main",)
    archive_keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    archive_sources = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/debian.sources")
