"""The contract suite, and what CentOS Stream has of its own; what its family has in common is tested there."""

from __future__ import annotations

from kube_provision_centos.contract import TestContract
from kube_provision_centos.driver import CentOS
from kube_provision_core import DnfConfig, Repository, Role

__all__ = ["TestContract"]


def test_a_mirror_has_a_folder_for_each_stream() -> None:
    mirrors = {"os": Repository("http://mirror/centos")}
    driver = CentOS(dict.fromkeys(Role, DnfConfig()))
    mirrored = driver.os_packages(frozenset({"tcp-proxy"}), {}, mirrors, frozenset())
    definitions = "".join(str(file.content) for file in mirrored.files if file.path.endswith(".repo"))
    for part in ("BaseOS", "AppStream"):
        assert f"baseurl=http://mirror/centos/$stream/{part}/$basearch/os/\n" in definitions
