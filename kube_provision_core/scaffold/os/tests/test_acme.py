"""The driver keeps every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kube_provision_acme.driver import COMPONENTS, Acme
from kube_provision_core import Packages, Repository, Stage
from kube_provision_core.testing import OsContract


class TestContract(OsContract):
    known_components = frozenset(COMPONENTS)

    @pytest.fixture
    def make_driver(self) -> Callable[[], Acme]:
        return lambda: Acme({})


def packages(*components: str, version: str = "1.36.4") -> Packages:
    return Acme({}).os_packages(frozenset(components), {"kubeadm": version}, {}, frozenset())


def test_kubernetes_has_a_repository_for_each_minor() -> None:
    (repository,) = packages("kubeadm").files
    assert "baseurl=https://pkgs.k8s.io/core:/stable:/v1.36/rpm/" in str(repository.content)


def test_the_kubelet_starts_at_every_boot() -> None:
    (step,) = packages("kubeadm").steps
    assert "services=(kubelet.service)" in step.script


def test_a_baked_template_tells_its_versions_and_keeps_no_cache() -> None:
    assert " kubeadm kubectl kubelet " in packages("kubeadm").list_versions
    (step,) = Acme({}).seal_image()
    assert (step.stage, "dnf --quiet clean all" in step.script) == (Stage.FINISH, True)


def test_a_mirror_brings_its_own_key_or_none() -> None:
    mirrors = {"kubernetes": Repository("http://mirror/k8s/")}
    mirrored = Acme({}).os_packages(frozenset({"kubeadm"}), {"kubeadm": "1.36"}, mirrors, frozenset())
    assert "gpgkey" not in str(mirrored.files[0].content)
