"""What kubeadm is told: the documents of its v1beta4 configuration, for the master that initialises and for who joins.

Words such as `@NODE_IP@` stand for what only the node knows; its `kubeadm.py` fills them in, and its `patience.py` every
wait, which depends on how fast its processors are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contract.machines import Cluster, Node, Role
from ..folder.pki import JoinSecrets

API = "kubeadm.k8s.io/v1beta4"
NODE_IP = "@NODE_IP@"
VERSION = "@KUBERNETES_VERSION@"
ELECTIONS = {"lease-duration": "@LEASE_DURATION@", "renew-deadline": "@RENEW_DEADLINE@", "retry-period": "@RETRY_PERIOD@"}
CRI_SOCKET = "unix:///run/containerd/containerd.sock"
TOKEN_TTL = "@TOKEN_TTL@"  # noqa: S105 - a length of time
TIMEOUTS = (
    *("controlPlaneComponentHealthCheck", "kubeletHealthCheck", "kubernetesAPICall", "etcdAPICall"),
    *("tlsBootstrap", "discovery", "upgradeManifests"),
)
"""All of v1beta4."""
API_PORT = 6443

Document = Mapping[str, Any]


def init_documents(node: Node, cluster: Cluster, secrets: JoinSecrets, image_repository: str | None) -> tuple[Document, ...]:
    """For `kubeadm init`, on a master that carries the authorities."""
    init = {
        "apiVersion": API,
        "kind": "InitConfiguration",
        "bootstrapTokens": [
            {
                "token": secrets.token,
                "description": "first boot",
                "ttl": TOKEN_TTL,
                "usages": ["signing", "authentication"],
                "groups": ["system:bootstrappers:kubeadm:default-node-token"],
            }
        ],
        "certificateKey": secrets.certificate_key,
        "localAPIEndpoint": _api_endpoint(),
        "nodeRegistration": _registration(node),
        "timeouts": _timeouts(),
    }
    return init, _cluster_configuration(cluster, image_repository), _kubelet(cluster), _kube_proxy(cluster)


def join_documents(node: Node, cluster: Cluster, secrets: JoinSecrets) -> tuple[Document, ...]:
    """For `kubeadm join`, on every node: also the one that may initialise finds itself joining if another one was faster."""
    join: dict[str, Any] = {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "token": secrets.token,
                "apiServerEndpoint": _endpoint(cluster),
                "caCertHashes": [secrets.pki.ca_pin],
            }
        },
        "nodeRegistration": _registration(node),
        "timeouts": _timeouts(),
    }
    if node.role is Role.MASTER:
        join["controlPlane"] = {"certificateKey": secrets.certificate_key, "localAPIEndpoint": _api_endpoint()}
    return (join,)


def _cluster_configuration(cluster: Cluster, image_repository: str | None) -> Document:
    configuration: dict[str, Any] = {
        "apiVersion": API,
        "kind": "ClusterConfiguration",
        "clusterName": cluster.name,
        "kubernetesVersion": _version(cluster.kubernetes_version),
        "controlPlaneEndpoint": _endpoint(cluster),
        "apiServer": {"certSANs": ["localhost", "127.0.0.1"]},  # kubeadm itself adds only the first of these
        "controllerManager": _patient_elections(),
        "scheduler": _patient_elections(),
        "networking": {
            "podSubnet": cluster.pod_subnet,
            "serviceSubnet": cluster.service_subnet,
            "dnsDomain": cluster.domain,
        },
    }
    if image_repository:
        configuration["imageRepository"] = image_repository
    return configuration


def _endpoint(cluster: Cluster) -> str:
    """Where every node finds the API servers: its own proxy."""
    return f"localhost:{cluster.proxy_port}"


def _version(version: str) -> str:
    """Never left out, or kubeadm asks the internet which is the newest."""
    return f"v{version}" if version.count(".") == 2 else VERSION


def _kubelet(cluster: Cluster) -> Document:
    """Where the host may swap, pods still do not: the kubelet's `swapBehavior` is `NoSwap` unless it is told otherwise."""
    kubelet = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "cgroupDriver": "systemd"}
    return kubelet | ({"failSwapOn": False} if cluster.shares_kernel else {})


def _kube_proxy(cluster: Cluster) -> Document:
    """Zeroes: the kernel's table of connections stays as large as it is."""
    proxy = {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables"}
    return proxy | ({"conntrack": {"maxPerCore": 0, "min": 0}} if cluster.shares_kernel else {})


def _registration(node: Node) -> Document:
    return {
        "name": node.name,
        "criSocket": CRI_SOCKET,
        "imagePullPolicy": "IfNotPresent",
        "kubeletExtraArgs": [{"name": "node-ip", "value": NODE_IP}],
    }


def _api_endpoint() -> Document:
    return {"advertiseAddress": NODE_IP, "bindPort": API_PORT}


def _timeouts() -> Document:
    return {name: f"@{name}@" for name in TIMEOUTS}


def _patient_elections() -> Document:
    """For the controller manager and the scheduler."""
    return {"extraArgs": [{"name": f"leader-elect-{name}", "value": value} for name, value in ELECTIONS.items()]}
