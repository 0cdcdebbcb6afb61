"""The contract suite of the system, and what it has of its own."""

from __future__ import annotations

from kube_provision_acme.contract import TestContract
from kube_provision_acme.driver import Acme
from kube_provision_core import Component, DnfConfig, Repository, Role

__all__ = ["TestContract"]


def test_a_mirror_takes_the_place_of_the_systems_repositories() -> None:
    mirrors = {"os": Repository("http://mirror/acme")}
    mirrored = Acme(dict.fromkeys(Role, DnfConfig())).os_packages(frozenset({Component.TCP_PROXY}), {}, mirrors, frozenset())
    definitions = "".join(str(file.content) for file in mirrored.files)
    assert "baseurl=http://mirror/acme/$releasever/BaseOS/$basearch/os/\n" in definitions
