"""What kubeadm is told: the documents of its v1beta4 configuration, for the master that initialises and for who joins.

`@NODE_IP@` and `@KUBERNETES_VERSION@` stand for what only the node knows; the choreography fills them in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..model import Cluster, Node, Role
from ..pki import JoinSecrets

API = "kubeadm.k8s.io/v1beta4"
ENDPOINT = "localhost:8443"
"""Where every node finds the API servers: its own proxy."""
NODE_IP = "@NODE_IP@"
VERSION = "@KUBERNETES_VERSION@"
CRI_SOCKET = "unix:///run/containerd/containerd.sock"
TOKEN_TTL = "30m0s"  # noqa: S105 - a length of time
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
    return init, _cluster_configuration(cluster, image_repository), _kubelet(), _kube_proxy()


def join_documents(node: Node, secrets: JoinSecrets) -> tuple[Document, ...]:
    """For `kubeadm join`, on every node: also the one that may initialise finds itself joining if another one was faster."""
    join: dict[str, Any] = {
        "apiVersion": API,
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "token": secrets.token,
                "apiServerEndpoint": ENDPOINT,
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
        "controlPlaneEndpoint": ENDPOINT,
        "apiServer": {"certSANs": ["localhost", "127.0.0.1"]},  # kubeadm itself adds only the first of these
        "networking": {
            "podSubnet": cluster.pod_subnet,
            "serviceSubnet": cluster.service_subnet,
            "dnsDomain": cluster.domain,
        },
    }
    if image_repository:
        configuration["imageRepository"] = image_repository
    return configuration


def _version(version: str) -> str:
    """Never left out, or kubeadm asks the internet which is the newest."""
    return f"v{version}" if version.count(".") == 2 else VERSION


def _kubelet() -> Document:
    return {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration", "cgroupDriver": "systemd"}


def _kube_proxy() -> Document:
    return {"apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration", "mode": "iptables"}


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
    """Longer than kubeadm's own: the choreography bounds an attempt, and images may come through a slow line."""
    return {
        "controlPlaneComponentHealthCheck": "6m0s",
        "discovery": "5m0s",
        "kubeletHealthCheck": "6m0s",
        "tlsBootstrap": "6m0s",
    }
