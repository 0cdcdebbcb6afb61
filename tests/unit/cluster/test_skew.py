"""Which Kubernetes new machines get, and what is said where configuration, cluster and nodes differ."""

from __future__ import annotations

import pytest

from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.skew import adopted, adoption, drift, of_kubelets
from kube_provision_core.contract.machines import Cluster

REMEDIES = Remedies("prod", ("-c", "config.yml"))
UPGRADE = "kube-provision upgrade --name prod --k8s-version {} -c config.yml"


def wanting(version: str) -> Cluster:
    return Cluster("prod", "id-1", version, frozenset())


def node(name: str, kubelet: str) -> ClusterNode:
    return ClusterNode(name, True, (), None, kubelet=kubelet)


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [("1.36", "1.36.2"), ("1.36.2", "1.36.2"), ("1.36", ""), ("1.36.4", ""), ("1.36", "1.37.0-rc.1"), ("1.36", "1.37.1+x")],
)
def test_what_fits_or_cannot_be_known_is_left_as_the_configuration_says(wanted: str, runs: str) -> None:
    assert adopted(wanting(wanted), runs) == ""
    assert drift(wanting(wanted), runs, REMEDIES) == adoption(wanting(wanted), runs, REMEDIES) == ()


@pytest.mark.parametrize(
    ("wanted", "runs", "end"),
    [
        ("1.37", "1.36.2", f"to upgrade it: {UPGRADE.format('1.37.PATCH')}; to leave it as it is, set"),
        ("1.37.1", "1.36.2", f"to upgrade it: {UPGRADE.format('1.37.1')}; to leave it as it is, set"),
        ("1.36.10", "1.36.9", f"to upgrade it: {UPGRADE.format('1.36.10')}; to leave it as it is, set"),
        ("1.37.1", "1.35.9", f"to upgrade it: {UPGRADE.format('1.36.PATCH')}; to leave it as it is, set"),
        ("1.35", "1.36.2", "set"),
        ("1.36.2", "1.36.10", "set"),
    ],
)
def test_what_differs_is_told_with_what_ends_it_and_the_cluster_decides(wanted: str, runs: str, end: str) -> None:
    assert adopted(wanting(wanted), runs) == runs
    (told,) = drift(wanting(wanted), runs, REMEDIES)
    keep = f"kubernetes_version to {runs}, or to {runs.rpartition('.')[0]}"
    assert told == f"kubernetes_version is {wanted}, and cluster prod runs {runs}; {end} {keep}"
    assert adoption(wanting(wanted), runs, REMEDIES) == (f"new machines get Kubernetes {runs}: {told}",)


def test_nodes_at_other_versions_than_the_cluster_are_told_a_line_a_version() -> None:
    nodes = [node("m-prod-1", "1.37.1"), node("w-prod-1", "1.36.10"), node("w-prod-2", "1.36.9"), node("w-prod-3", "1.36.9")]
    assert list(of_kubelets(nodes, "1.37.1", REMEDIES)) == [
        f"{names}, and the cluster runs 1.37.1; to bring all to one version: {UPGRADE.format('1.37.1')}"
        for names in ("w-prod-2, w-prod-3: kubelet 1.36.9", "w-prod-1: kubelet 1.36.10")
    ]


def test_a_node_ahead_of_its_cluster_is_brought_to_one_version_by_an_upgrade_to_its_own() -> None:
    (told,) = of_kubelets([node("w-prod-1", "1.36.4")], "1.36.2", REMEDIES)
    assert told.endswith(UPGRADE.format("1.36.4"))


def test_of_nodes_nothing_is_told_where_nobody_knows() -> None:
    assert not list(of_kubelets([node("w-prod-1", "1.36.4")], "", REMEDIES))
    assert not list(of_kubelets([node("w-prod-1", "")], "1.36.4", REMEDIES))
