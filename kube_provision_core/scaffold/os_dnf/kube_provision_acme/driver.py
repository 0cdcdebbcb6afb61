"""What the operating system `acme` has of its own; the rest is that of RHEL's family."""

from __future__ import annotations

from kube_provision_core import DnfSystem


class Acme(DnfSystem):
    system = "acme"
    """`ID` of /etc/os-release on its machines."""
    releases = ("9", "10")
    """Its `VERSION_ID`s that this package is made for; `9` means 9.4 and its like, too."""

    # A mirror that a user names as `os` takes the place of what the template has.
    archive_definitions = ("/etc/yum.repos.d/acme*.repo",)
    archive_keys = ("/etc/pki/rpm-gpg/RPM-GPG-KEY-acme*",)
