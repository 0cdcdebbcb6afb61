"""What a cluster is configured with that only the programs of Kubernetes know themselves: kubeadm passes it on unread.

Arguments, and feature gates, which come and go with versions.
https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

_PROGRAMS = {
    "kube-apiserver": ("apiServer",),
    "kube-controller-manager": ("controllerManager",),
    "kube-scheduler": ("scheduler",),
    "etcd": ("etcd", "local"),
}
_OURS = "leader-elect-"
"""Each cluster is made with these arguments, which every version knows."""


def unread(cluster: str, kubelet: str) -> Iterator[str]:
    """By the names of programs. The texts are kubeadm's ClusterConfiguration and KubeletConfiguration."""
    for program, place in _PROGRAMS.items():
        names = _arguments(_at(_document(cluster), *place, "extraArgs"))
        yield from (f"{program} --{name}" for name in names if not name.startswith(_OURS))
    yield from (f"kubelet's feature gate {name}" for name in _mapping(_at(_document(kubelet), "featureGates")))


def _arguments(found: Any) -> list[str]:
    """A list of names and values since kubeadm's v1beta4, a mapping before."""
    if isinstance(found, list):
        return [str(_mapping(item).get("name", "")) for item in found]
    return [str(name) for name in _mapping(found)]


def _at(document: Any, *place: str) -> Any:
    for key in place:
        document = _mapping(document).get(key)
    return document


def _document(text: str) -> Any:
    """Whether it is one kubeadm tells better, which reads it before anything is changed."""
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _mapping(found: Any) -> Mapping[Any, Any]:
    return found if isinstance(found, dict) else {}
