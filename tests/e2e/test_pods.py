"""What runs in a dual-stack cluster of hosts with real Kubernetes: pods on every node, on Debian 13 and 12, and its DNS."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from machines.lab import DUAL_STACK, Lab, until

LIMIT = 300.0
"""Seconds. Masters look every two minutes whether all of the cluster's DNS runs on one node."""
PODS, SERVICES = (networks.split(",") for networks in DUAL_STACK.values())
DNS = "10.96.0.10"
NODES = {"m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2"}
DAEMONS = """\
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: idle, namespace: default}
spec:
  selector: {matchLabels: {app: idle}}
  template:
    metadata: {labels: {app: idle}}
    spec:
      tolerations: [{operator: Exists}]
      containers: [{name: idle, image: IMAGE}]
"""
EXPOSED = """\
apiVersion: v1
kind: Service
metadata: {name: ready, namespace: kube-system}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {k8s-app: kube-dns}
  ports: [{name: ready, port: 8181}]
"""
"""CoreDNS' own readiness."""
WEB = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      affinity:
        nodeAffinity:
          preferredDuringSchedulingIgnoredDuringExecution:
          - weight: 100
            preference: {matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [w-prod-2]}]}
      containers: [{name: web, image: IMAGE}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web, namespace: default}
spec:
  minAvailable: 2
  selector: {matchLabels: {app: web}}
---
apiVersion: v1
kind: Pod
metadata: {name: tool, namespace: default}
spec:
  nodeName: w-prod-2
  containers: [{name: tool, image: IMAGE}]
"""
"""Two that would rather be on one worker than on the other, all of which a budget wants; and one that nobody makes anew."""

RESOLVE = f"""\
import socket
name = b"".join(bytes([len(part)]) + part.encode() for part in "kubernetes.default.svc.cluster.local".split("."))
query = b"\\x12\\x34\\x01\\0\\0\\x01\\0\\0\\0\\0\\0\\0" + name + b"\\0\\0\\x01\\0\\x01"
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
    client.settimeout(5)
    client.sendto(query, ("{DNS}", 53))
    print(socket.inet_ntoa(client.recv(512)[-4:]))
"""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), DUAL_STACK, bookworm={"w-prod-2"}) as lab:
        run = lab.provision("--wait")
        assert run.code == 0, run.errors
        yield lab


def test_start_on_every_node_with_addresses_of_their_network(lab: Lab) -> None:
    apply(lab, DAEMONS)
    until(
        lambda: {pod["spec"]["nodeName"] for pod in running(lab, "default", "app=idle")} == NODES, LIMIT, "all are running"
    )
    for pod in running(lab, "default", "app=idle"):
        told = pod["status"]["podIPs"]
        assert all(ip_address(it["ip"]) in ip_network(network) for it, network in zip(told, PODS, strict=True))


def test_run_on_nodes_with_addresses_of_both_families(lab: Lab) -> None:
    for node in json.loads(kubectl(lab, "get", "nodes", "--output", "json"))["items"]:
        own = lab.hosts[node["metadata"]["name"]].link
        assert [it["address"] for it in node["status"]["addresses"] if it["type"] == "InternalIP"] == [own.address, own.ipv6]
        assert [":" in pods for pods in node["spec"]["podCIDRs"]] == [False, True]


@pytest.mark.parametrize("name", sorted(NODES))
def test_are_reached_by_both_families_from_every_node_by_their_service(lab: Lab, name: str) -> None:
    apply(lab, EXPOSED)
    service = json.loads(kubectl(lab, "get", "service", "ready", "--namespace", "kube-system", "--output", "json"))
    for address, network in zip(service["spec"]["clusterIPs"], SERVICES, strict=True):
        assert ip_address(address) in ip_network(network)
        until(partial(reaches, lab, name, address), LIMIT, f"{name} reaches {address}")


@pytest.mark.parametrize("name", sorted(NODES))
def test_are_found_by_name_from_every_node(lab: Lab, name: str) -> None:
    until(lambda: resolved(lab, name) == "10.96.0.1", LIMIT, f"{name} resolves a service's name")


def test_of_dns_are_not_all_on_one_node(lab: Lab) -> None:
    until(lambda: len(running(lab, "kube-system", "k8s-app=kube-dns")) == 2, LIMIT, "DNS runs")
    until(
        lambda: len({pod["spec"]["nodeName"] for pod in running(lab, "kube-system", "k8s-app=kube-dns")}) == 2,
        LIMIT,
        "spread",
    )


class TestOfANodeThatGoes:
    def test_those_that_would_be_lost_or_can_never_move_are_named_before_anything_is_touched(self, lab: Lab) -> None:
        apply(lab, WEB)
        until(lambda: on(lab, "app=web") == ["w-prod-2"] * 2, LIMIT, "both are on one worker")
        kubectl(lab, "wait", "--for=condition=Ready", "pod/tool", "--timeout=2m")
        run = lab.run("destroy", "--node", "w-prod-2", "--yes")
        assert run.code == 2
        assert "pods that nothing starts again elsewhere: default/tool" in run.errors
        assert "can never be evicted: The disruption budget web needs 2 healthy pods and has 2 currently" in run.errors
        assert "unschedulable" not in json.loads(kubectl(lab, "get", "node", "w-prod-2", "--output", "json"))["spec"]

    def test_move_as_their_budget_allows_and_are_waited_for(self, lab: Lab) -> None:
        kubectl(lab, "delete", "pod", "tool", "--wait")
        kubectl(lab, "patch", "poddisruptionbudget", "web", "--patch", '{"spec": {"minAvailable": 1}}', "--type=merge")
        status = "{.status.disruptionsAllowed}"
        until(
            lambda: kubectl(lab, "get", "pdb", "web", "--output", f"jsonpath={status}") == "1", LIMIT, "the budget allows it"
        )
        run = lab.run("destroy", "--node", "w-prod-2", "--yes")
        assert run.code == 0, run.errors
        assert "(The disruption budget web needs 1 healthy pods and has 1 currently)" in run.errors
        assert "prod: w-prod-2 drain done: its pods have gone\n" in run.errors
        assert on(lab, "app=web") == ["w-prod-1"] * 2
        assert lab.ready() == NODES - {"w-prod-2"}

    def test_of_dns_still_answer(self, lab: Lab) -> None:
        until(lambda: len(running(lab, "kube-system", "k8s-app=kube-dns")) == 2, LIMIT, "DNS runs")
        assert resolved(lab, "w-prod-1") == "10.96.0.1"


def apply(lab: Lab, manifest: str) -> None:
    """With the one image that every node has."""
    host = lab.masters["m-prod-2"]
    image = host.run("sh", "-c", "kubeadm config images list --kubernetes-version $(kubeadm version -o short) | grep pause")
    host.write("/root/manifest.yaml", manifest.replace("IMAGE", image.strip()))
    kubectl(lab, "apply", "-f", "/root/manifest.yaml")


def on(lab: Lab, label: str) -> list[str]:
    """Nodes of the pods that are ready."""
    return sorted(pod["spec"]["nodeName"] for pod in running(lab, "default", label))


def resolved(lab: Lab, name: str) -> str:
    return lab.hosts[name].run("python3", "-c", RESOLVE, check=False).strip()


def reaches(lab: Lab, name: str, address: str) -> bool:
    """Whether a service answers this host."""
    ask = f"import socket; print(socket.create_connection(('{address}', 8181), 5).getpeername()[0])"
    return lab.hosts[name].run("python3", "-c", ask, check=False).strip() == address


def running(lab: Lab, namespace: str, label: str) -> list[Any]:
    """Pods that are ready."""
    pods = json.loads(kubectl(lab, "get", "pods", "--namespace", namespace, "--selector", label, "--output", "json"))[
        "items"
    ]
    return [pod for pod in pods if _ready(pod)]


def _ready(pod: Any) -> bool:
    conditions = {condition["type"]: condition["status"] for condition in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def kubectl(lab: Lab, *arguments: str) -> str:
    return lab.masters["m-prod-2"].run("kubectl", "--kubeconfig=/etc/kubernetes/admin.conf", *arguments)
