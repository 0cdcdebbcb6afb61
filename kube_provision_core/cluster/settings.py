"""What a cluster is configured with that only the programs of Kubernetes know themselves: kubeadm passes it on unread.

Arguments, and feature gates, which come and go with versions.
https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
_GATES = "kube-apiserver"
"""Knows all of them, the kubelet's too: they stand in one list that both are made of (k8s.io/kubernetes/pkg/features)."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One of them, as the program is asked for it that knows whether it takes it."""

    name: str
    """In a person's words: `kube-scheduler --v`, `kubelet's feature gate LongGone`."""
    program: str
    """Of the control plane, which has an image of that name."""
    argument: str = field(repr=False)
    """`--v=4`; what it says may be nobody else's business."""
    place: str
    """That it is to be taken out of, in a person's words: `the ConfigMap kubeadm-config in kube-system`."""


def unread(cluster: str, kubelet: str) -> Iterator[Setting]:
    """By programs. The texts are kubeadm's ClusterConfiguration and KubeletConfiguration."""
    for program, place in _PROGRAMS.items():
        for name, value in _arguments(_at(_document(cluster), *place, "extraArgs")):
            if not name.startswith(_OURS):
                yield Setting(f"{program} --{name}", program, f"--{name}={value}", _config_map("kubeadm-config"))
    yield from gates(_document(kubelet), _config_map("kubelet-config"))


def gates(kubelet: Any, place: str) -> Iterator[Setting]:
    """Of a KubeletConfiguration that stands in this place, which is told as `Setting.place`."""
    for name, value in _mapping(_at(kubelet, "featureGates")).items():
        told = f"kubelet's feature gate {name}"
        yield Setting(told, _GATES, f"--feature-gates={name}={str(value).lower()}", place)


def _config_map(name: str) -> str:
    return f"the ConfigMap {name} in kube-system"


def _arguments(found: Any) -> Iterator[tuple[str, str]]:
    """A list of names and values since kubeadm's v1beta4, a mapping before."""
    if isinstance(found, list):
        yield from ((str(item.get("name", "")), str(item.get("value", ""))) for item in map(_mapping, found))
    else:
        yield from ((str(name), str(value)) for name, value in _mapping(found).items())


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
