"""Where pods may run: a node takes those that tolerate its taints and want no label that it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .cordon import is_ours

if TYPE_CHECKING:
    from .pods import Pod

_KEPT_OUT_BY = ("NoSchedule", "NoExecute")
_PASSING = "node.kubernetes.io/"
"""Taints that come and go with what the cluster sees of a node, such as `node.kubernetes.io/not-ready`."""


@dataclass(frozen=True)
class Place:
    """A node that pods of another one may move to. Of one that is still to come nothing but the name is known."""

    name: str
    labels: Mapping[str, str] | None = None
    taints: tuple[Mapping[str, str], ...] = ()
    cordoned: bool = False
    """By somebody else: what we have cordoned takes pods again."""

    def keeps_out(self, pod: Pod) -> str:
        """Why it will not take the pod; empty where it may."""
        if self.cordoned:
            return f"{self.name} is cordoned"
        for taint in self.taints:
            if not any(_tolerates(toleration, taint) for toleration in pod.tolerations):
                return f"{self.name} has the taint {taint['key']}"
        for key, value in pod.wanted_labels.items():
            if self.labels is not None and self.labels.get(key) != value:
                return f"{self.name} lacks the label {key}"
        return ""


def place(node: Mapping[str, Any]) -> Place:
    """Of a node as the API shows it."""
    metadata, spec = node["metadata"], node.get("spec") or {}
    lasting = (it for it in spec.get("taints") or () if it["effect"] in _KEPT_OUT_BY and not it["key"].startswith(_PASSING))
    cordoned = bool(spec.get("unschedulable")) and not is_ours(node)
    return Place(metadata["name"], metadata.get("labels") or {}, tuple(lasting), cordoned)


def selector(document: Mapping[str, Any]) -> str:
    """A `LabelSelector` as queries write it; empty for one that selects all."""
    equal = [f"{key}={value}" for key, value in (document.get("matchLabels") or {}).items()]
    return ",".join([*equal, *map(_requirement, document.get("matchExpressions") or ())])


def _requirement(document: Mapping[str, Any]) -> str:
    key, values = document["key"], ",".join(document.get("values") or ())
    match document["operator"]:
        case "Exists":
            return f"{key}"
        case "DoesNotExist":
            return f"!{key}"
        case operator:
            return f"{key} {operator.lower()} ({values})"


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, str]) -> bool:
    """Operators that compare numbers are taken to fit: nothing is refused that might be done."""
    if toleration.get("effect") not in (None, "", taint["effect"]) or toleration.get("key") not in (None, "", taint["key"]):
        return False
    return toleration.get("operator") not in (None, "", "Equal") or toleration.get("value", "") == taint.get("value", "")
