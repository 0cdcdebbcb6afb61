"""What a node, and an API server, are called by: labels, taints, names in a certificate. The grammar is Kubernetes' own.

https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator

from ..contract.hosts import LOWER_LABEL

_NAME = r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"{LOWER_LABEL}(\.{LOWER_LABEL})*"
_KEY = re.compile(rf"({_DOMAIN}/)?{_NAME}")
_VALUE = re.compile(rf"({_NAME})?")
_TAINT = re.compile(
    rf"(?P<key>({_DOMAIN}/)?{_NAME})(=(?P<value>({_NAME})?))?:(?P<effect>NoSchedule|PreferNoSchedule|NoExecute)"
)
_SERVER = re.compile(rf"(\*\.)?{_DOMAIN}")

MASTERS = "node-role.kubernetes.io/control-plane"
_KUBELETS = ("kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch")


def taint_parts(taint: str) -> dict[str, str]:
    """`key`, `effect` and, where there is one, `value`, as Kubernetes names them."""
    found = _TAINT.fullmatch(taint)
    if not found:
        raise ValueError("must be key=value:Effect or key:Effect, the effect NoSchedule, PreferNoSchedule or NoExecute")
    return {name: part for name, part in found.groupdict().items() if part}


def _label_key(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise ValueError("must be a label's name such as disk or example.com/disk")
    if key == MASTERS:
        raise ValueError("makes a node a master: kubeadm gives it to masters, and to them alone")
    if key in _KUBELETS:
        raise ValueError("is what each kubelet finds out itself")
    return key


def _label_value(value: str) -> str:
    if not _VALUE.fullmatch(value):
        raise ValueError("must be at most 63 letters, digits, `-`, `_` and `.`, a letter or a digit at both ends; or empty")
    return value


def _taint(taint: str) -> str:
    taint_parts(taint)
    return taint


def _once(taints: list[str]) -> list[str]:
    named = [(parts["key"], parts["effect"]) for parts in map(taint_parts, taints)]
    if twice := next((it for it in named if named.count(it) > 1), None):
        raise ValueError(f"{':'.join(twice)} is given twice")
    return taints


def _server_name(name: str) -> str:
    if _SERVER.fullmatch(name) and not re.fullmatch(r"[0-9.]+", name):
        return name
    try:
        return str(ip_address(name))
    except ValueError as error:
        raise ValueError("must be a name such as api.example or *.example, in lower case, or an IP address") from error


LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValue = Annotated[str, AfterValidator(_label_value)]
Taints = Annotated[list[Annotated[str, AfterValidator(_taint)]], AfterValidator(_once)]
ServerName = Annotated[str, AfterValidator(_server_name)]
