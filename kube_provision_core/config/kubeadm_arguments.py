"""Arguments of the programs that kubeadm starts: those that are not a user's to give, and those that must name something.

kubeadm itself passes every argument on unread, and one that is given takes the place of its own.
https://kubernetes.io/docs/reference/command-line-tools-reference/
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from .kubeadm_fields import Fault
from .values import Way

_NAME = re.compile(r"[a-z0-9][a-z0-9-]*")

_PORT = "must be left out: probes, proxies and firewalls know the port"
_OURS = "must be left out: kubeadm, which makes the certificates and kubeconfigs, sets it"
_ELECTION = "must be left out: leases are as long as the machine's processors need"
_ADDRESS = "is the machine's address"

_LISTENS = dict.fromkeys(("secure-port", "bind-address"), _PORT)
_ELECTS = dict.fromkeys(
    ("leader-elect", "leader-elect-lease-duration", "leader-elect-renew-deadline", "leader-elect-retry-period"), _ELECTION
)
_KUBECONFIGS = dict.fromkeys(("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig"), _OURS)
_NODE = {
    "node-ip": _ADDRESS,
    "hostname-override": "is the machine's name",
    **dict.fromkeys(("config", "config-dir"), "must be left out: the key `kubelet` holds the kubelet's settings"),
    **dict.fromkeys(("kubeconfig", "bootstrap-kubeconfig"), _OURS),
    "container-runtime-endpoint": "is that of containerd, which each node runs",
    "register-with-taints": "is the key `taints`",
    "node-labels": "is the key `labels`",
    "cloud-provider": "is the key `cloud_provider`",
}
REFUSED: Mapping[tuple[str, str], Mapping[str, str]] = {
    ("ClusterConfiguration", "apiServer.extraArgs"): {
        **_LISTENS,
        "advertise-address": _ADDRESS,
        "service-cluster-ip-range": "is the key `service_subnet`",
        "enable-bootstrap-token-auth": "must be left out: machines join with tokens",
        **dict.fromkeys(("etcd-servers", "etcd-cafile", "etcd-certfile", "etcd-keyfile"), _OURS),
        **dict.fromkeys(("client-ca-file", "tls-cert-file", "tls-private-key-file"), _OURS),
        **dict.fromkeys(("service-account-key-file", "service-account-signing-key-file"), _OURS),
        **dict.fromkeys(("kubelet-client-certificate", "kubelet-client-key"), _OURS),
    },
    ("ClusterConfiguration", "controllerManager.extraArgs"): {
        **_LISTENS,
        **_ELECTS,
        **_KUBECONFIGS,
        "cluster-cidr": "is the key `pod_subnet`",
        "service-cluster-ip-range": "is the key `service_subnet`",
        "cluster-name": "is the key `name`",
        **dict.fromkeys(("cluster-signing-cert-file", "cluster-signing-key-file", "root-ca-file", "client-ca-file"), _OURS),
        "service-account-private-key-file": _OURS,
    },
    ("ClusterConfiguration", "scheduler.extraArgs"): {**_LISTENS, **_ELECTS, **_KUBECONFIGS},
    ("ClusterConfiguration", "etcd.local.extraArgs"): {
        **dict.fromkeys(("name", "data-dir", "initial-cluster", "initial-cluster-state"), _OURS),
        **dict.fromkeys(("initial-advertise-peer-urls", "advertise-client-urls"), _ADDRESS),
        **dict.fromkeys(("listen-client-urls", "listen-peer-urls", "listen-metrics-urls"), _PORT),
        **dict.fromkeys(("cert-file", "key-file", "trusted-ca-file", "client-cert-auth"), _OURS),
        **dict.fromkeys(("peer-cert-file", "peer-key-file", "peer-trusted-ca-file", "peer-client-cert-auth"), _OURS),
    },
    ("InitConfiguration", "nodeRegistration.kubeletExtraArgs"): _NODE,
    ("JoinConfiguration", "nodeRegistration.kubeletExtraArgs"): _NODE,
}
"""By kinds and places of lists of arguments: all there are."""

_NAMES: Mapping[tuple[str, str], tuple[Sequence[Sequence[str]], str]] = {
    ("apiServer.extraArgs", "authorization-mode"): (
        (("Node",), ("RBAC",)),
        "must name Node and RBAC: kubelets, joins and runs are let in by them",
    ),
    ("apiServer.extraArgs", "enable-admission-plugins"): (
        (("NodeRestriction",),),
        "must name NodeRestriction too: it takes the place of kubeadm's own list",
    ),
    ("controllerManager.extraArgs", "controllers"): (
        (("bootstrap-signer-controller", "bootstrapsigner"), ("token-cleaner-controller", "tokencleaner")),
        "must name bootstrap-signer-controller and token-cleaner-controller too: no machine joins without them",
    ),
}
"""Arguments that must name each of some words, one of which may have several names."""

_FALSE = frozenset(("false", "False", "FALSE", "f", "F", "0"))
"""What Go takes for it: https://pkg.go.dev/strconv#ParseBool"""
_MUST_NOT: Mapping[tuple[str, str], tuple[frozenset[str], str]] = {
    ("apiServer.extraArgs", "anonymous-auth"): (
        _FALSE,
        "must not be false: machines that join, and all that ask for /readyz, are not known yet",
    ),
    ("apiServer.extraArgs", "disable-admission-plugins"): (
        frozenset(("NodeRestriction",)),
        "must not name NodeRestriction: a node could then change others",
    ),
}


def faults(kind: str, document: Mapping[str, Any]) -> Iterator[Fault]:
    for of_kind, place in REFUSED:
        if of_kind == kind:
            way = tuple(place.split("."))
            for number, argument in enumerate(_list(document, way)):
                yield from _faults(kind, place, argument, (*way, number))


def _list(document: Any, way: Way) -> list[Any]:
    """What is none has been told of where types were looked at."""
    for step in way:
        document = document.get(step) if isinstance(document, Mapping) else None
    return document if isinstance(document, list) else []


def _faults(kind: str, place: str, argument: Any, way: Way) -> Iterator[Fault]:
    if not isinstance(argument, Mapping) or not argument.keys() >= {"name", "value"}:
        yield way, "must be a name and a value, both text"
        return
    name, value = argument["name"], argument["value"]
    if not isinstance(name, str) or not isinstance(value, str):
        return
    if not _NAME.fullmatch(name):
        yield (*way, "name"), "must be an argument's name, without dashes before it"
    elif reason := REFUSED[kind, place].get(name) or _value_fault(place, name, value):
        yield way, f"{name} {reason}"


def _value_fault(place: str, name: str, value: str) -> str:
    words = {word.strip() for word in value.split(",")}
    wanted, missing = _NAMES.get((place, name), ((), ""))
    unwanted, there = _MUST_NOT.get((place, name), (frozenset(), ""))
    if any(words.isdisjoint(names) for names in wanted):
        return missing
    return there if unwanted & words else ""
