"""kubeadm's documents as a user may write them: in kubeadm's own names, under what the program itself writes.

What the choreography, the targets or other keys decide on is refused where it is written, with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, WithJsonSchema

from ..contract.driver import raise_faults
from . import kubeadm_arguments
from .kubeadm_fields import Fault, read, schema
from .script import Strict
from .values import Way

Document = dict[str, JsonValue]

_RUN = "is decided for each node by the run"
_PHASES = "must be left out: the choreography of first boots counts on every phase"
_PATCHES = "is the key `kubeadm_patches`"
_TAINTS = "is the key `taints`"
_REGISTRATION = {
    "name": "is the machine's name",
    "criSocket": "is that of containerd, which each node runs",
    "imagePullPolicy": "must be left out: images are on a master before kubeadm begins",
    "taints": _TAINTS,
}
_NODE = {
    **{f"nodeRegistration.{name}": reason for name, reason in _REGISTRATION.items()},
    "dryRun": "must be left out: the node would never become a member",
    "skipPhases": _PHASES,
    "patches": _PATCHES,
    "timeouts": "are chosen on the machine, by how fast its processors are",
}
REFUSED: Mapping[str, Mapping[str, str]] = {
    "ClusterConfiguration": {
        "clusterName": "is the key `name`",
        "kubernetesVersion": "is the key `kubernetes_version`",
        "imageRepository": "is the key `image_repository`",
        "controlPlaneEndpoint": "is each node's own proxy, whose port is the key `proxy_port`",
        "networking.podSubnet": "is the key `pod_subnet`",
        "networking.serviceSubnet": "is the key `service_subnet`",
        "networking.dnsDomain": "is the key `cluster_domain`",
        "proxy": "is written as `kube_proxy: none`",
        "certificatesDir": "must be left out: /etc/kubernetes/pki is where machines are given the authorities",
        "caCertificateValidityPeriod": "must be left out: the authorities are made in the cluster's folder",
        "etcd.external": "must be left out: etcd runs on the masters, where backups, restorations and upgrades look for it",
        "etcd.local.dataDir": "must be left out: /var/lib/etcd is what a restoration fills and what a disk is mounted at",
    },
    "InitConfiguration": {
        **_NODE,
        "bootstrapTokens": _RUN,
        "certificateKey": _RUN,
        "localAPIEndpoint": "is the machine's address and 6443, which proxies and discovery look at",
    },
    "JoinConfiguration": {
        **_NODE,
        "discovery": _RUN,
        "controlPlane": _RUN,
        "caCertPath": "must be left out: kubeadm fetches the authority that its pin names",
    },
    "KubeletConfiguration": {
        "cgroupDriver": "must be left out: it is systemd, as containerd's",
        "containerRuntimeEndpoint": "is that of containerd, which each node runs",
        "staticPodPath": "must be left out: kubeadm puts the control plane where it says",
        "clusterDomain": "is the key `cluster_domain`",
        "authentication.x509.clientCAFile": "must be left out: it is the cluster's authority",
        "rotateCertificates": "must be left out: a kubelet that does not renew its certificate leaves the cluster in a year",
        "registerNode": "must be left out: a run waits for the node",
        "registerWithTaints": _TAINTS,
        "port": "must be left out: API servers and firewalls know 10250",
        "enableServer": "must be left out: the API server asks the kubelet for logs",
        "healthzPort": "must be left out: kubeadm and upgrades ask 10248",
        "healthzBindAddress": "must be left out: kubeadm and upgrades ask on localhost",
        "failSwapOn": "is the key `swap`",
    },
    "KubeProxyConfiguration": {
        "clientConnection.kubeconfig": "must be left out: kubeadm makes it",
        "clusterCIDR": "is the key `pod_subnet`",
        "hostnameOverride": "is the machine's name",
    },
}
"""By kinds and places. What we write ourselves is among it, so that nothing of a user's is ever overruled without a word."""

MODES = ("none", "iptables", "nftables", "ipvs")


def _checked(kind: str, document: Document) -> Document:
    found, faults = read(kind, document)
    raise_faults([*faults, *_refused(kind, found), *kubeadm_arguments.faults(kind, found)])
    return found


def _refused(kind: str, document: Document) -> Iterator[Fault]:
    for refused, reason in REFUSED[kind].items():
        way = tuple(refused.split("."))
        if _holds(document, way):
            yield way, reason


def _holds(document: Any, way: Way) -> bool:
    for step in way:
        if not isinstance(document, Mapping) or step not in document:
            return False
        document = document[step]
    return True


def _mode_alone(value: object) -> object:
    return {"mode": value} if isinstance(value, str) else value


def _known_mode(document: Document) -> Document:
    mode = document.get("mode", "iptables")
    if mode not in MODES:
        raise_faults([(("mode",), f"must be {', '.join(MODES[:-1])} or {MODES[-1]}")])
    if mode == "none" and len(document) > 1:
        raise_faults([(("mode",), "is none: nothing reads the other keys")])
    return document


def _schema(kind: str) -> dict[str, Any]:
    return schema(kind, REFUSED[kind].__contains__)


def _as(kind: str) -> AfterValidator:
    return AfterValidator(partial(_checked, kind))


ClusterDocument = Annotated[Document, _as("ClusterConfiguration"), WithJsonSchema(_schema("ClusterConfiguration"))]
InitDocument = Annotated[Document, _as("InitConfiguration"), WithJsonSchema(_schema("InitConfiguration"))]
JoinDocument = Annotated[Document, _as("JoinConfiguration"), WithJsonSchema(_schema("JoinConfiguration"))]
KubeletDocument = Annotated[Document, _as("KubeletConfiguration"), WithJsonSchema(_schema("KubeletConfiguration"))]
KubeProxyDocument = Annotated[
    Document,
    BeforeValidator(_mode_alone),
    _as("KubeProxyConfiguration"),
    AfterValidator(_known_mode),
    WithJsonSchema({"anyOf": [{"enum": list(MODES)}, _schema("KubeProxyConfiguration")]}),
]
"""Written as a mode alone, or as kube-proxy's document; always read as the document."""


class Kubeadm(Strict):
    """kubeadm's own documents, each under what we write of it."""

    cluster: ClusterDocument = Field(default={})
    """ClusterConfiguration."""
    init: InitDocument = Field(default={})
    """InitConfiguration: of the master that initialises the cluster."""
    join: JoinDocument = Field(default={})
    """JoinConfiguration: of all other nodes."""
