"""Checks of what kubeadm is told: what it would refuse only on the node, and what it would take without a word.

Every rendered configuration goes through them. Messages never quote a secret.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..config.kubeadm_fields import VERSIONS, Fault, read
from ..contract.errors import BootError
from ..contract.kubeadm_limits import NODE_NETWORKS, node_label_fault, pod_network_fault, service_network_fault
from ..contract.subnets import Subnets, subnets
from .kubeadm_config import NODE_IP, TOKEN_TTL, VERSION, Document

_TOKEN = re.compile(r"[a-z0-9]{6}\.[a-z0-9]{16}")
_CERTIFICATE_KEY = re.compile(r"[0-9a-f]{64}")
_PIN = re.compile(r"sha256:[0-9a-f]{64}")
_EXACT_VERSION = re.compile(r"v1\.[0-9]{2}\.[0-9]{1,2}")
_ARGUMENT = re.compile(r"[a-z0-9][a-z0-9-]*")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


def check_documents(documents: Sequence[Document], kubernetes_version: str) -> None:
    """Raise `BootError`, one line per fault. `kubernetes_version` is kubeadm's own: `1.37`, or `1.37.1`."""
    _raise(fault for document in documents for fault in _faults(document, kubernetes_version))


def check_settings(documents: Sequence[Document]) -> None:
    """Of one kubelet's own settings, which lie over the cluster's. Raises `BootError`, one line per fault."""
    _raise(fault for document in documents for fault in _field_faults(str(document.get("kind")), document))


def _raise(faults: Iterable[str]) -> None:
    if lines := [f"kubeadm configuration: {fault}" for fault in faults]:
        raise BootError("\n".join(lines))


def _faults(document: Document, kubernetes_version: str) -> Iterator[str]:
    kind = str(document.get("kind"))
    yield from (fields := list(_field_faults(kind, document)))
    if not fields:
        yield from _CHECKS[kind](document, kubernetes_version)


def _field_faults(kind: str, document: Document) -> Iterator[str]:
    """kubeadm refuses any that it does not know. What is of another type is told alone: the other checks would stumble."""
    if kind not in VERSIONS:
        yield f"{kind} is no kind that is checked"
    else:
        yield from (f"{'.'.join([kind, *map(str, way)])}: {text}" for way, text in _read(kind, document))


def _read(kind: str, document: Document) -> Sequence[Fault]:
    """Unlike a user's document ours says which it is."""
    return read(kind, {"apiVersion": "", "kind": "", **document})[1]


# --- the kinds -----------------------------------------------------------------------------------------------------


def _check_init(document: Document, _: str) -> Iterator[str]:
    tokens = document.get("bootstrapTokens", [])
    if not tokens:
        yield "InitConfiguration.bootstrapTokens is empty, so that nobody could ever join"
    for token in tokens:
        yield from _token_faults("InitConfiguration.bootstrapTokens.token", token.get("token"))
        if token.get("ttl") != TOKEN_TTL:
            yield f"InitConfiguration.bootstrapTokens.ttl must be {TOKEN_TTL}: its life is bounded on the node"
    yield from _certificate_key_faults("InitConfiguration.certificateKey", document.get("certificateKey"))
    yield from _endpoint_faults("InitConfiguration.localAPIEndpoint", document.get("localAPIEndpoint", {}))
    yield from _registration_faults("InitConfiguration.nodeRegistration", document.get("nodeRegistration", {}))


def _check_join(document: Document, _: str) -> Iterator[str]:
    discovery = document.get("discovery", {}).get("bootstrapToken", {})
    place = "JoinConfiguration.discovery.bootstrapToken"
    yield from _token_faults(f"{place}.token", discovery.get("token"))
    pins = discovery.get("caCertHashes") or [""]
    if not all(_PIN.fullmatch(str(pin)) for pin in pins):
        yield f"{place}.caCertHashes must hold pins such as sha256:<64 hex digits>"
    if discovery.get("unsafeSkipCAVerification"):
        yield f"{place}.unsafeSkipCAVerification lets a node join anybody's cluster"
    if not discovery.get("apiServerEndpoint"):
        yield f"{place}.apiServerEndpoint is missing"
    if "controlPlane" in document:
        plane = document["controlPlane"]
        yield from _certificate_key_faults("JoinConfiguration.controlPlane.certificateKey", plane.get("certificateKey"))
        yield from _endpoint_faults("JoinConfiguration.controlPlane.localAPIEndpoint", plane.get("localAPIEndpoint", {}))
    yield from _registration_faults("JoinConfiguration.nodeRegistration", document.get("nodeRegistration", {}))


def _check_cluster(document: Document, kubernetes_version: str) -> Iterator[str]:
    if not _LABEL.fullmatch(str(document.get("clusterName"))):
        yield "ClusterConfiguration.clusterName must be a DNS label"
    if not document.get("controlPlaneEndpoint"):
        yield "ClusterConfiguration.controlPlaneEndpoint is missing, so that no second master could ever join"
    missing = {"localhost", "127.0.0.1"} - set(document.get("apiServer", {}).get("certSANs", []))
    if missing:
        yield f"ClusterConfiguration.apiServer.certSANs lacks {', '.join(sorted(missing))}"
    for component in ("apiServer", "controllerManager", "scheduler"):
        yield from _arguments_faults(
            f"ClusterConfiguration.{component}.extraArgs", document.get(component, {}).get("extraArgs", [])
        )
    yield from _version_faults(str(document.get("kubernetesVersion", "")), kubernetes_version)
    yield from _network_faults(document.get("networking", {}))


def _check_kubelet(document: Document, _: str) -> Iterator[str]:
    if document.get("cgroupDriver") != "systemd":
        yield "KubeletConfiguration.cgroupDriver must be systemd, as the container runtime's is"


def _check_kube_proxy(document: Document, _: str) -> Iterator[str]:
    if document.get("mode") not in ("iptables", "nftables", "ipvs"):
        yield "KubeProxyConfiguration.mode must be iptables, nftables or ipvs"


_CHECKS: dict[str, Callable[[Document, str], Iterator[str]]] = {
    "InitConfiguration": _check_init,
    "JoinConfiguration": _check_join,
    "ClusterConfiguration": _check_cluster,
    "KubeletConfiguration": _check_kubelet,
    "KubeProxyConfiguration": _check_kube_proxy,
}


# --- the values ----------------------------------------------------------------------------------------------------


def _token_faults(place: str, token: object) -> Iterator[str]:
    if not _TOKEN.fullmatch(str(token)):
        yield f"{place} must be 6 and 16 lower-case letters or digits, with a dot between"


def _certificate_key_faults(place: str, key: object) -> Iterator[str]:
    if not _CERTIFICATE_KEY.fullmatch(str(key)):
        yield f"{place} must be 64 hex digits"


def _endpoint_faults(place: str, endpoint: Document) -> Iterator[str]:
    """kubeadm makes a certificate for this address and tells it to all others."""
    address = endpoint.get("advertiseAddress")
    if address == NODE_IP:
        return
    try:
        parsed = ipaddress.ip_address(str(address))
    except ValueError:
        yield f"{place}.advertiseAddress must be an IP address"
        return
    if parsed.is_loopback or parsed.is_unspecified or parsed.is_multicast:
        yield f"{place}.advertiseAddress must be an address that other machines reach"


def _registration_faults(place: str, registration: Document) -> Iterator[str]:
    arguments = registration.get("kubeletExtraArgs", [])
    yield from _arguments_faults(f"{place}.kubeletExtraArgs", arguments)
    for label in _node_labels(arguments):
        if fault := node_label_fault(label):
            yield f"{place}.kubeletExtraArgs: node-labels: {label} {fault}"
    if not str(registration.get("criSocket", "")).startswith("unix:///"):
        yield f"{place}.criSocket must be a unix:/// URL"


def _node_labels(arguments: Any) -> Iterator[str]:
    """Keys of the labels that the kubelet is to give its own node."""
    pairs = arguments if isinstance(arguments, list) else []
    values = (str(it.get("value")) for it in pairs if isinstance(it, Mapping) and it.get("name") == "node-labels")
    yield from (label.partition("=")[0].strip() for value in values for label in value.split(",") if label)


def _arguments_faults(place: str, arguments: Any) -> Iterator[str]:
    if not isinstance(arguments, list):
        yield f"{place} must be a list of name and value"
        return
    for argument in arguments:
        if set(argument) != {"name", "value"} or not isinstance(argument["value"], str):
            yield f"{place} must hold pairs of name and value, both text"
        elif not _ARGUMENT.fullmatch(str(argument["name"])):
            yield f"{place}: {argument['name']}: a name stands without dashes before it"


def _version_faults(version: str, own: str) -> Iterator[str]:
    """`own` is what the node's kubeadm is; it installs no newer Kubernetes than itself, but finds out late."""
    if not version:
        yield "ClusterConfiguration.kubernetesVersion is missing, so that kubeadm would ask the internet for it"
    elif version != VERSION:
        minor = ".".join(own.split(".")[:2])
        if not _EXACT_VERSION.fullmatch(version) or not f"{version[1:]}.".startswith(f"{minor}."):
            yield f"ClusterConfiguration.kubernetesVersion must be an exact version of {minor}, such as v{minor}.1"
        elif own.count(".") == 2 and _numbers(version[1:]) > _numbers(own):
            yield f"ClusterConfiguration.kubernetesVersion {version} is newer than kubeadm {own} itself"


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".")]


def _network_faults(networking: Document) -> Iterator[str]:
    networks: dict[str, Subnets] = {}
    for key in ("podSubnet", "serviceSubnet"):
        try:
            networks[key] = subnets(str(networking.get(key)))
        except ValueError as error:
            yield f"ClusterConfiguration.networking.{key} {error}"
    if len(networks) < 2:
        return
    if len({len(each) for each in networks.values()}) > 1:
        yield "ClusterConfiguration.networking: podSubnet and serviceSubnet must both have an IPv6 network, or neither"
    for pods, services in zip(networks["podSubnet"], networks["serviceSubnet"], strict=False):
        if fault := service_network_fault(services):
            yield f"ClusterConfiguration.networking.serviceSubnet {services} {fault}"
        if fault := pod_network_fault(pods):
            each = NODE_NETWORKS[pods.version]
            yield f"ClusterConfiguration.networking.podSubnet {pods} {fault}: each node gets a /{each} of it"
        if pods.overlaps(services):
            yield f"ClusterConfiguration.networking: podSubnet {pods} and serviceSubnet {services} overlap"
