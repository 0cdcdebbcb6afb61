"""What kubeadm is told: the documents of its v1beta4 configuration, for the master that initialises and for who joins.

Words such as `@NODE_IP@` stand for what only the node knows; its `kubeadm.py` fills them in, and its `patience.py` every
wait, which depends on how fast its processors are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ..config.kubeadm_fields import KUBEADM_API, VERSIONS
from ..config.kubeadm_patches import patches
from ..config.node_words import taint_parts
from ..contract.kubeadm_limits import node_label_fault
from ..contract.machines import Cluster, Node, Role
from ..folder.pki import JoinSecrets
from . import api_server, hardened
from .laying_under import laid_under

if TYPE_CHECKING:
    from ..config.core import CoreConfig

NODE_IP = "@NODE_IP@"
NODE_IPV6 = "@NODE_IPV6@"
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
KUBELET_DROP_INS = "/etc/kubernetes/kubelet.conf.d"
"""Where the kubelet's own documentation has them. kubeadm leaves the folder alone."""

PATCHES = "/etc/kubernetes/patches"
"""Where upgrades look for them too: the node's `upgrading.py` names it."""

Document = Mapping[str, Any]


def init_documents(node: Node, cluster: Cluster, secrets: JoinSecrets, config: CoreConfig) -> tuple[Document, ...]:
    """For `kubeadm init`, on a master that carries the authorities. Each has under it what the user wishes for."""
    user = config.kubeadm
    return (
        laid_under(user.init, _init(node, cluster, secrets, config) | _patches(node, config)),
        laid_under(user.cluster, _cluster_configuration(cluster, config)),
        _kubelet(cluster, config),
        *_kube_proxy(cluster, config),
    )


def join_documents(node: Node, cluster: Cluster, secrets: JoinSecrets, config: CoreConfig) -> tuple[Document, ...]:
    """For `kubeadm join`, on every node: also the one that may initialise finds itself joining if another one was faster."""
    return (laid_under(config.kubeadm.join, _join(node, cluster, secrets, config) | _patches(node, config)),)


def _init(node: Node, cluster: Cluster, secrets: JoinSecrets, config: CoreConfig) -> dict[str, Any]:
    return {
        "apiVersion": KUBEADM_API,
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
        "nodeRegistration": _registration(node, cluster, config),
        "timeouts": _timeouts(),
    }


def _join(node: Node, cluster: Cluster, secrets: JoinSecrets, config: CoreConfig) -> dict[str, Any]:
    join: dict[str, Any] = {
        "apiVersion": KUBEADM_API,
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "token": secrets.token,
                "apiServerEndpoint": _endpoint(cluster),
                "caCertHashes": [secrets.pki.ca_pin],
            }
        },
        "nodeRegistration": _registration(node, cluster, config),
        "timeouts": _timeouts(),
    }
    if node.role is Role.MASTER:
        join["controlPlane"] = {"certificateKey": secrets.certificate_key, "localAPIEndpoint": _api_endpoint()}
    return join


def _patches(node: Node, config: CoreConfig) -> dict[str, Any]:
    return {"patches": {"directory": PATCHES}} if patches(config.kubeadm_patches, node.role) else {}


def _cluster_configuration(cluster: Cluster, config: CoreConfig) -> Document:
    configuration: dict[str, Any] = {
        "apiVersion": KUBEADM_API,
        "kind": "ClusterConfiguration",
        "clusterName": cluster.name,
        "kubernetesVersion": _version(cluster.kubernetes_version),
        "controlPlaneEndpoint": _endpoint(cluster),
        "apiServer": {"certSANs": _api_server_names(config), **api_server.settings(config)},
        "controllerManager": _told(config, hardened.CONTROLLER_MANAGER),
        "scheduler": _told(config, hardened.SCHEDULER),
        "networking": {
            "podSubnet": cluster.pod_subnet,
            "serviceSubnet": cluster.service_subnet,
            "dnsDomain": cluster.domain,
        },
    }
    if config.image_repository:
        configuration["imageRepository"] = config.image_repository
    if config.kube_proxy.get("mode") == "none":
        configuration["proxy"] = {"disabled": True}
    return configuration


def _api_server_names(config: CoreConfig) -> list[str]:
    """Besides kubeadm's own. Of the two of a node's proxy kubeadm itself adds only the first one."""
    return list(dict.fromkeys(("localhost", "127.0.0.1", *config.api_server_sans)))


def _endpoint(cluster: Cluster) -> str:
    """Where every node finds the API servers: its own proxy."""
    return f"localhost:{cluster.proxy_port}"


def _version(version: str) -> str:
    """Never left out, or kubeadm asks the internet which is the newest."""
    return f"v{version}" if version.count(".") == 2 else VERSION


def _kubelet(cluster: Cluster, config: CoreConfig) -> Document:
    """For all nodes of the cluster; a role's own settings lie beside it on each of them, see `kubelet.py`.

    Where the host may swap, pods still do not: the kubelet's `swapBehavior` is `NoSwap` unless it is told otherwise.
    """
    return (
        begun("KubeletConfiguration")
        | {"cgroupDriver": "systemd"}
        | ({"failSwapOn": False} if cluster.shares_kernel else {})
        | (hardened.kubelet(shares_kernel=cluster.shares_kernel) if config.hardened else {})
    )


def _kube_proxy(cluster: Cluster, config: CoreConfig) -> Iterator[Document]:
    """Zeroes: the kernel's table of connections stays as large as it is."""
    user = config.kube_proxy
    if (mode := user.get("mode", "iptables")) != "none":
        ours = begun("KubeProxyConfiguration") | {"mode": mode}
        yield laid_under(user, ours | ({"conntrack": {"maxPerCore": 0, "min": 0}} if cluster.shares_kernel else {}))


def kubelet_settings(config: CoreConfig) -> dict[str, Any]:
    """What kubelets of one role are told besides, each in a drop-in of its own."""
    return ({"failSwapOn": False} if config.swap else {}) | config.kubelet


def begun(kind: str) -> dict[str, Any]:
    return {"apiVersion": VERSIONS[kind], "kind": kind}


def _registration(node: Node, cluster: Cluster, config: CoreConfig) -> Document:
    taints = {} if config.taints is None else {"taints": [taint_parts(taint) for taint in config.taints]}
    return {
        "name": node.name,
        "criSocket": CRI_SOCKET,
        "imagePullPolicy": "IfNotPresent",
        "kubeletExtraArgs": [
            {"name": name, "value": value} for name, value in _arguments(node, cluster, config).items() if value
        ],
        **taints,
    }


def _arguments(node: Node, cluster: Cluster, config: CoreConfig) -> Mapping[str, str | None]:
    """Of the kubelet. Labels that it may not give its own node are given to it by the run."""
    wished = node.labels(config.labels)
    labels = [f"{key}={value}" for key, value in sorted(wished.items()) if not node_label_fault(key)]
    return {
        "node-ip": f"{NODE_IP},{NODE_IPV6}" if cluster.is_dual_stack else NODE_IP,
        "config-dir": KUBELET_DROP_INS if kubelet_settings(config) else None,
        "cloud-provider": config.cloud_provider,
        "node-labels": ",".join(labels),
    }


def _api_endpoint() -> Document:
    return {"advertiseAddress": NODE_IP, "bindPort": API_PORT}


def _timeouts() -> Document:
    return {name: f"@{name}@" for name in TIMEOUTS}


def _told(config: CoreConfig, program: str) -> Document:
    """The controller manager or the scheduler."""
    told = {f"leader-elect-{name}": value for name, value in ELECTIONS.items()} | dict(api_server.hardening(config, program))
    return {"extraArgs": [{"name": name, "value": value} for name, value in told.items()]}
