"""What CentOS Stream has of its own."""

from __future__ import annotations

from kube_provision_core import DnfSystem


class CentOS(DnfSystem):
    """The releases whose support goes on."""

    system = "centos"
    releases = ("9", "10")
    archive_release = "$stream"
    archive_definitions = ("/etc/yum.repos.d/centos*.repo",)
    archive_keys = ("/etc/pki/rpm-gpg/RPM-GPG-KEY-centosofficial*",)
