"""Where CoreDNS runs: with a kubectl in its place that keeps the cluster in a file and schedules as the real one would."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kube_provision_node.cluster_dns import ClusterDns
from kube_provision_node.kubeadm import KubeadmError
from kube_provision_node.settings import Places

KUBECTL = """#!{python}
import json, sys
path, arguments = {cluster!r}, sys.argv[1:]
cluster = json.load(open(path))
if arguments[:2] == ["get", "pods"]:
    assert "k8s-app=kube-dns" in arguments and "kube-system" in arguments
    print(json.dumps({{"items": cluster["pods"]}}))
elif arguments[:2] == ["get", "nodes"]:
    print(json.dumps({{"items": cluster["nodes"]}}))
elif arguments[:2] == ["create", "--raw"]:
    eviction = json.load(sys.stdin)
    name = eviction["metadata"]["name"]
    assert arguments[2] == f"/api/v1/namespaces/kube-system/pods/{{name}}/eviction", arguments
    assert (eviction["apiVersion"], eviction["kind"]) == ("policy/v1", "Eviction")
    if cluster["budget"]:
        sys.exit("Error from server (TooManyRequests): Cannot evict pod as it would violate the pod's disruption budget.")
    cluster["evicted"].append(name)
    json.dump(cluster, open(path, "w"))
else:
    sys.exit(f"error: unknown command {{arguments}}")
"""


def node(name: str, *taints: str, ready: bool = True, cordoned: bool = False) -> dict[str, Any]:
    spec = {"taints": [{"key": key, "effect": "NoSchedule"} for key in taints], "unschedulable": cordoned}
    conditions = [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": str(ready)}]
    return {"metadata": {"name": name, "uid": f"uid-of-{name}"}, "spec": spec, "status": {"conditions": conditions}}


def pod(name: str, where: str | None, *, ready: bool = True, leaving: bool = False) -> dict[str, Any]:
    metadata = {"name": name, **({"deletionTimestamp": "2026-11-28T12:00:00Z"} if leaving else {})}
    spec = {"nodeName": where} if where else {}
    return {"metadata": metadata, "spec": spec, "status": {"conditions": [{"type": "Ready", "status": str(ready)}]}}


CONTROL_PLANE = "node-role.kubernetes.io/control-plane"
FIRST, SECOND = node("m-1", CONTROL_PLANE), node("m-2", CONTROL_PLANE)
BOTH_HERE = (pod("dns-a", "m-1"), pod("dns-b", "m-1"))


class Cluster:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.file = root / "cluster.json"
        program = root / "bin/kubectl"
        program.parent.mkdir()
        program.write_text(KUBECTL.format(python=sys.executable, cluster=str(self.file)))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def spread(
        self, *nodes: dict[str, Any], pods: tuple[dict[str, Any], ...] = BOTH_HERE, me: str = "m-1", budget: bool = False
    ) -> list[str]:
        """Who is evicted when that master looks."""
        cluster = {"nodes": nodes, "pods": pods, "evicted": [], "budget": budget}
        self.file.write_text(json.dumps(cluster))
        ClusterDns(Places(self.root), me).spread()
        evicted: list[str] = json.loads(self.file.read_text())["evicted"]
        return evicted


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(tmp_path, monkeypatch)


@pytest.mark.parametrize("other", [SECOND, node("w-1")], ids=["master", "worker"])
def test_one_replica_moves_when_another_node_can_take_it(cluster: Cluster, other: dict[str, Any]) -> None:
    assert cluster.spread(FIRST, other) == ["dns-a"]


@pytest.mark.parametrize(
    "other",
    [
        node("m-2", CONTROL_PLANE, ready=False),
        node("m-2", CONTROL_PLANE, "node.kubernetes.io/not-ready"),
        node("w-1", "example.com/gpu"),
        node("w-1", cordoned=True),
    ],
    ids=["not-ready", "without-a-network", "for-others", "cordoned"],
)
def test_nothing_moves_where_no_other_node_can_take_it(cluster: Cluster, other: dict[str, Any]) -> None:
    assert cluster.spread(FIRST, other) == []


@pytest.mark.parametrize(
    "pods",
    [
        (pod("dns-a", "m-1"), pod("dns-b", "m-2")),
        (pod("dns-a", "m-1"), pod("dns-b", None, ready=False)),
        (pod("dns-a", "m-1"), pod("dns-b", "m-1", leaving=True), pod("dns-c", "m-2", ready=False)),
        (pod("dns-a", "m-1"), pod("dns-b", "m-1", ready=False)),
        (pod("dns-a", "m-1"),),
        (),
    ],
    ids=["apart", "replacement-pending", "replacement-starting", "one-not-ready", "only-one", "none"],
)
def test_nothing_moves_before_all_of_them_serve_from_one_place(cluster: Cluster, pods: tuple[dict[str, Any], ...]) -> None:
    assert cluster.spread(FIRST, SECOND, pods=pods) == []


def test_only_the_master_where_they_run_acts(cluster: Cluster) -> None:
    assert cluster.spread(FIRST, SECOND, me="m-2") == []


def test_a_node_that_the_scheduler_does_not_choose_is_hoped_for_once(cluster: Cluster) -> None:
    assert cluster.spread(FIRST, SECOND) == ["dns-a"]
    assert cluster.spread(FIRST, SECOND) == []
    assert cluster.spread(FIRST, SECOND, node("w-1")) == ["dns-a"]


def test_a_master_that_was_made_anew_is_another_node(cluster: Cluster) -> None:
    assert cluster.spread(FIRST, SECOND) == ["dns-a"]
    anew = {**SECOND, "metadata": {"name": "m-2", "uid": "another"}}
    assert cluster.spread(FIRST, anew) == ["dns-a"]


def test_an_eviction_that_is_not_allowed_now_is_tried_again(cluster: Cluster) -> None:
    with pytest.raises(KubeadmError, match="disruption budget"):
        cluster.spread(FIRST, SECOND, budget=True)
    assert cluster.spread(FIRST, SECOND) == ["dns-a"]
