"""The contract suite of the system, and what it promises beside."""

from __future__ import annotations

from kube_provision_acme.contract import TestContract
from kube_provision_acme.driver import Acme
from kube_provision_core import Component, Packages

__all__ = ["TestContract"]


def packages(*components: str, version: str = "1.36.4") -> Packages:
    return Acme({}).os_packages(frozenset(map(Component, components)), {"kubeadm": version}, {}, frozenset())


def test_kubernetes_has_a_repository_for_each_minor() -> None:
    (repository,) = packages("kubeadm").files
    assert "baseurl=https://pkgs.k8s.io/core:/stable:/v1.36/rpm/" in str(repository.content)


def test_the_kubelet_starts_at_every_boot() -> None:
    (step,) = packages("kubeadm").steps
    assert "services=(kubelet.service)" in step.script


def test_a_baked_template_tells_its_versions() -> None:
    assert " kubeadm kubectl kubelet " in packages("kubeadm").list_versions


def test_a_sites_authorities_are_taken_up() -> None:
    step = Acme({}).trust_authorities("/etc/the folder")
    assert "folder='/etc/the folder'\n" in step.script
    assert "update-ca-trust" in step.script


def test_an_upgrade_of_the_system_says_whether_to_reboot() -> None:
    (step,) = Acme({}).upgrade_packages()
    assert "dnf --assumeyes --refresh upgrade\n" in step.script
    assert "touch /run/reboot-required" in step.script
