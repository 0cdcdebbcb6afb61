"""Each of our checks of kubeadm's configuration bites."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from kube_provision_core import BootError, Cluster, Node
from kube_provision_core.boot.kubeadm_checks import check_documents
from kube_provision_core.boot.kubeadm_config import init_documents, join_documents
from kube_provision_core.folder.pki import JoinSecrets

REMOVED = object()


@pytest.fixture
def documents(
    secrets: JoinSecrets, make_node: Callable[..., Node], cluster: Cluster, configure: Callable[..., Any]
) -> dict[str, Any]:
    """A master's documents by kind."""
    node, config = make_node(carries_ca=True), configure().core
    made = (*init_documents(node, cluster, secrets, config), *join_documents(node, cluster, secrets, config))
    return {str(document["kind"]): copy.deepcopy(dict(document)) for document in made}


def change(documents: dict[str, Any], place: str, value: object) -> None:
    *path, last = place.split(".")
    target: Any = documents
    for key in path:
        target = target[int(key)] if isinstance(target, list) else target.setdefault(key, {})
    if value is REMOVED:
        del target[last]
    else:
        target[last] = value


def test_what_we_render_passes(documents: dict[str, Any]) -> None:
    check_documents(list(documents.values()), "1.36.4")


PIN = "JoinConfiguration.discovery.bootstrapToken.caCertHashes"
TOKEN = "JoinConfiguration.discovery.bootstrapToken.token"
TTL = "InitConfiguration.bootstrapTokens.0.ttl"
ARGUMENTS = "InitConfiguration.nodeRegistration.kubeletExtraArgs"
ADDRESS = "InitConfiguration.localAPIEndpoint.advertiseAddress"
VERSION = "ClusterConfiguration.kubernetesVersion"
PODS = "ClusterConfiguration.networking.podSubnet"
SERVICES = "ClusterConfiguration.networking.serviceSubnet"


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        # what kubeadm takes without a word
        (PIN, ["sha256:12"], "caCertHashes must hold pins"),
        (PIN, ["SHA256:" + "0" * 64], "caCertHashes must hold pins"),
        (PIN, [], "caCertHashes must hold pins"),
        (PIN, REMOVED, "caCertHashes must hold pins"),
        ("JoinConfiguration.discovery.bootstrapToken.unsafeSkipCAVerification", True, "join anybody's cluster"),
        (ARGUMENTS, [{"name": "--node-ip", "value": "x"}], "without dashes"),
        ("ClusterConfiguration.apiServer.extraArgs", [{"name": "--v", "value": "2"}], "without dashes"),
        ("KubeletConfiguration.cgroupDriver", "cgroupfs", "cgroupDriver must be systemd"),
        ("KubeletConfiguration.cgroupDriver", "sytemd", "cgroupDriver must be systemd"),
        ("ClusterConfiguration.clusterName", "my cluster", "clusterName must be a DNS label"),
        (VERSION, "v1.36.5", "newer than kubeadm 1.36.4"),
        (VERSION, "v1.37.0", "must be an exact version of 1.36"),
        (VERSION, "1.36.4", "must be an exact version of 1.36"),
        (VERSION, REMOVED, "would ask the internet"),
        (TTL, "0s", "ttl must be @TOKEN_TTL@"),
        (TTL, "24h0m0s", "ttl must be @TOKEN_TTL@"),
        (TTL, REMOVED, "ttl must be @TOKEN_TTL@"),
        ("ClusterConfiguration.controlPlaneEndpoint", REMOVED, "no second master"),
        ("ClusterConfiguration.apiServer.certSANs", ["localhost"], "certSANs lacks 127.0.0.1"),
        ("KubeProxyConfiguration.mode", "userspace", "mode must be iptables, nftables or ipvs"),
        (PODS, "10.96.0.0/16", "overlap"),
        # what kubeadm refuses, but only on the node
        ("JoinConfiguration.discovery.timeout", "5m0s", r"discovery\.timeout: no such key is known"),
        ("ClusterConfiguration.apiServer.timeoutForControlPlane", "4m0s", "no such key is known"),
        ("InitConfiguration.bootstrapTokens.0.tll", "1m", r"bootstrapTokens\.0\.tll: no such key is known"),
        ("InitConfiguration.apiVersion", "kubeadm.k8s.io/v1beta3", "apiVersion: must be"),
        ("ClusterConfiguration.apiVersion", REMOVED, "apiVersion: must be"),
        ("KubeletConfiguration.maxPods", "many", "KubeletConfiguration.maxPods: must be a whole number"),
        ("KubeletConfiguration.maxPod", 30, r"maxPod: no such key is known; did you mean maxPods\?"),
        ("KubeProxyConfiguration.ipvs", {"strictArp": True}, r"ipvs\.strictArp: no such key is known"),
        (ARGUMENTS, {"node-ip": "x"}, "kubeletExtraArgs: must be a list"),
        (ARGUMENTS, [{"name": "node-ip"}], "must hold pairs"),
        (ADDRESS, "127.0.0.1", "an address that other machines reach"),
        (ADDRESS, "0.0.0.0", "an address that other machines reach"),
        (ADDRESS, "m-prod-1", "must be an IP address"),
        ("JoinConfiguration.controlPlane.localAPIEndpoint.advertiseAddress", REMOVED, "must be an IP address"),
        (TOKEN, "ABCDEF.0123456789abcdef", "6 and 16 lower-case letters"),
        (TOKEN, "abcdef0123456789abcdef", "6 and 16 lower-case letters"),
        ("InitConfiguration.bootstrapTokens", [], "bootstrapTokens is empty"),
        ("InitConfiguration.certificateKey", "xyz", "certificateKey must be 64 hex digits"),
        ("JoinConfiguration.controlPlane.certificateKey", REMOVED, "certificateKey must be 64 hex digits"),
        ("JoinConfiguration.discovery.bootstrapToken.apiServerEndpoint", "", "apiServerEndpoint is missing"),
        ("JoinConfiguration.nodeRegistration.criSocket", "/run/containerd/containerd.sock", "criSocket must be"),
        (SERVICES, "10.96.0.0/29", "must be between a /12 and a /28"),
        (SERVICES, "10.0.0.0/11", "must be between a /12 and a /28"),
        (SERVICES, "services", "must be an IPv4 network"),
        (SERVICES, "10.96.0.0/12,fd00::/112", "must both have an IPv6 network, or neither"),
        (PODS, "fd00::/56", "is IPv6 alone"),
        (PODS, "10.244.0.0/25", "must be between a /8 and a /24"),
        (PODS, "0.0.0.0/0", "has 0.0.0.0/0, whose addresses mean something else"),
        (PODS, "8.0.0.0/6", "must be between a /8 and a /24"),
    ],
)
def test_it_bites(documents: dict[str, Any], place: str, value: object, said: str) -> None:
    change(documents, place, value)
    with pytest.raises(BootError, match=said):
        check_documents(list(documents.values()), "1.36.4")


def test_all_faults_are_told_at_once_and_none_quotes_a_secret(documents: dict[str, Any]) -> None:
    change(documents, TOKEN, "my-secret-token")
    change(documents, "InitConfiguration.certificateKey", "my-secret-key")
    with pytest.raises(BootError) as caught:
        check_documents(list(documents.values()), "1.36.4")
    assert len(str(caught.value).splitlines()) == 2
    assert "secret-" not in str(caught.value)


def test_a_document_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(BootError, match="ResetConfiguration is no kind that is checked"):
        check_documents([{"kind": "ResetConfiguration"}], "1.36")


@pytest.mark.parametrize(
    ("label", "settable"),
    [
        ("example.com/disk=fast", True),
        ("disk=fast", True),
        ("topology.kubernetes.io/zone=a", True),
        ("node.kubernetes.io/exclude-from-external-load-balancers=", True),
        ("gpu.node.kubernetes.io/count=2", True),
        ("notkubernetes.io/a=b", True),
        ("node-role.kubernetes.io/worker=", False),
        ("kubernetes.io/role=worker", False),
        ("sub.k8s.io/a=b", False),
        ("node-restriction.kubernetes.io/tenant=a", False),
    ],
)
def test_a_node_is_given_no_label_that_its_kubelet_refuses_to_start_with(
    documents: dict[str, Any], label: str, settable: bool
) -> None:
    change(documents, ARGUMENTS, [{"name": "node-labels", "value": f"a=b,{label}"}])
    if settable:
        check_documents(list(documents.values()), "1.36.4")
    else:
        with pytest.raises(BootError, match=r"node-labels: \S+ is a label that a kubelet may not give its own node"):
            check_documents(list(documents.values()), "1.36.4")
