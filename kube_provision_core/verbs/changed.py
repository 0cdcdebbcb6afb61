"""What has changed since machines were made, and what applies it: a task on the node as it runs, or another machine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..contract.machines import Node
from ..engine.facts import Facts

if TYPE_CHECKING:
    from ..config.specification import Change

_KUBELET = "kubelet."
_KEPT = (
    *("cpuManagerPolicy", "cpuManagerPolicyOptions", "memoryManagerPolicy", "reservedMemory", "reservedSystemCPUs"),
    *("topologyManagerPolicy", "topologyManagerScope", "topologyManagerPolicyOptions"),
    *("cgroupRoot", "cgroupsPerQOS", "podLogsDir", "volumePluginDir"),
)
"""A kubelet keeps what it has decided by these, for pods that run and in files that it does not start with any more.
https://kubernetes.io/docs/tasks/administer-cluster/cpu-management-policies/#changing-the-cpu-manager-policy"""
_RESERVED = ("systemReserved", "kubeReserved", "evictionHard")
"""The same where processors or memory are given to pods for good."""


class Changed:
    """Of these nodes."""

    def __init__(self, facts: Facts, nodes: Sequence[Node]) -> None:
        self._facts = facts
        self._changes = {node.name: found for node in nodes if (found := facts.changes(node))}
        self._applied = {node.name for node in nodes if self._is_applied(node)}

    def applied(self, node: Node) -> tuple[str, ...]:
        """What a task applies to the node; nothing of one that has to be made anew for any of it, which brings all."""
        return tuple(change.text for change in self._changes[node.name]) if node.name in self._applied else ()

    def notes(self, nodes: Iterable[Node]) -> Iterator[str]:
        """Per key what applies it, and to whom."""
        told: dict[tuple[str, str], list[str]] = {}
        for node in nodes:
            for change in self._changes.get(node.name, ()):
                told.setdefault((change.text, self._how(node)), []).append(node.name)
        return (f"{what}: {how}: {', '.join(names)}" for (what, how), names in told.items())

    def _how(self, node: Node) -> str:
        if node.name in self._applied:
            return "a task applies it, node by node"
        return f"applied to machines that are made anew ({self._facts.remedies.replace_drifted()})"

    def _is_applied(self, node: Node) -> bool:
        changes = self._changes.get(node.name, ())
        fixed = {f"{_KUBELET}{name}" for name in _fixed(self._facts.core(node.role).kubelet)}
        return bool(changes) and self._facts.restamps and all(_is_free(change, fixed) for change in changes)


def _fixed(kubelet: Mapping[str, Any]) -> tuple[str, ...]:
    static = (kubelet.get("cpuManagerPolicy") == "static", kubelet.get("memoryManagerPolicy") == "Static")
    return (*_KEPT, *(_RESERVED if any(static) else ()))


def _is_free(change: Change, fixed: Iterable[str]) -> bool:
    """It is the kubelet's, and that of today takes it from one moment to the next."""
    return change.key.startswith(_KUBELET) and not any(f"{change.key}.".startswith(f"{key}.") for key in fixed)
