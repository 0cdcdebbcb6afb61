"""What the operating system `acme` has of its own; the rest is that of Debian's family."""

from __future__ import annotations

from kube_provision_core import CODENAME, AptSystem, Archive


class Acme(AptSystem):
    system = "acme"
    """`ID` of /etc/os-release on its machines."""
    releases = ("1", "2")
    """Its `VERSION_ID`s that this package is made for."""

    # A mirror that a user names as `os` takes the place of what the template has.
    archives = (Archive(suites=(CODENAME, f"{CODENAME}-updates", f"{CODENAME}-security")),)
    archive_components = ("main",)
    archive_keyring = "/usr/share/keyrings/acme-archive-keyring.gpg"
    archive_sources = ("/etc/apt/sources.list", "/etc/apt/sources.list.d/acme.sources")
