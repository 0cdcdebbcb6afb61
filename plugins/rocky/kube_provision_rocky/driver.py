"""What Rocky Linux and AlmaLinux have of their own."""

from __future__ import annotations

from kube_provision_core import DnfSystem


class Rocky(DnfSystem):
    """Rocky Linux. The key that signs its test builds lies beside the others, and vouches for nothing."""

    system = "rocky"
    releases = ("9", "10")
    archive_definitions = ("/etc/yum.repos.d/rocky*.repo",)
    archive_keys = ("/etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9", "/etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-10")


class AlmaLinux(DnfSystem):
    """AlmaLinux."""

    system = "almalinux"
    releases = ("9", "10")
    archive_definitions = ("/etc/yum.repos.d/almalinux*.repo",)
    archive_keys = ("/etc/pki/rpm-gpg/RPM-GPG-KEY-AlmaLinux-9", "/etc/pki/rpm-gpg/RPM-GPG-KEY-AlmaLinux-10")
