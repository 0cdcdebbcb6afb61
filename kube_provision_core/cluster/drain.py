"""Empty a node before it is taken away: nothing new begins there, and what runs moves elsewhere as its budgets allow.

As `kubectl drain` does it, in steps: one look asks for what may go now and says what is still waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .pods import Budget

if TYPE_CHECKING:
    from .places import Place
    from .pods import Pod
    from .workloads import Workloads

_DNS = ("kube-system", "k8s-app=kube-dns")
"""CoreDNS, as kubeadm labels it. No budget of kubeadm's keeps its replicas from being evicted together."""

_NAMED = 3
"""Of many pods, those that a line names."""


@dataclass(frozen=True)
class Drain:
    """One node's."""

    workloads: Workloads
    node: str
    force: bool = False
    """Evict as well what is lost for good with its node."""
    looks_only: bool = False
    """Evict nothing: somebody only wants to know how far it is."""

    def objections(self, places: Collection[Place]) -> Iterator[str]:
        """What stands against it from the beginning. `places`: the nodes that there are, or will be. Changes nothing."""
        leaving = self._leaving()
        yield from self._losses(leaving)
        budgets = self.workloads.budgets() if leaving else ()
        yield from self._held_for_ever(leaving, [budget for budget in budgets if budget.spare <= 0])
        others = [place for place in places if place.name != self.node]
        namespaces = {pod.namespace for pod in leaving}
        for guard in (*budgets, *self._names_guard(leaving)):
            if guard.spare > 0 and guard.namespace in namespaces:
                yield from self._stranded(guard, others)

    def step(self) -> str:
        """Evict what may go now; say what is waited for, and nothing once the node is empty.

        What would be lost is waited for as well: its owner may take it away. On a node that the cluster no longer hears from
        nothing ends before its machine does, and nothing is waited for. Idempotent. Raises `ControlPlaneError`. The node is
        cordoned already.
        """
        leaving = self._leaving()
        if leaving and not self.workloads.hears_from(self.node):
            return ""
        if losses := list(self._losses(leaving)):
            return "; ".join(losses)
        if leaving:
            return _listed([f"{pod} {self._state(pod)}".strip() for pod in leaving])
        volumes = self.workloads.attached(self.node)
        return f"volumes to be detached: {_listed(volumes)}" if volumes else ""

    def _leaving(self) -> list[Pod]:
        return [pod for pod in self.workloads.on(self.node) if not pod.stays]

    def _held_for_ever(self, leaving: Sequence[Pod], budgets: Sequence[Budget]) -> Iterator[str]:
        for pod in leaving:
            own = [budget.name for budget in budgets if budget.namespace == pod.namespace]
            refusal = self.workloads.evict(pod, try_only=True) if own and not pod.ending else ""
            if any(f" {name} " in refusal for name in own):
                yield f"{pod} can never be evicted: {refusal}, and never will have more (--no-drain ends it all the same)"

    def _stranded(self, guard: Budget, others: Sequence[Place]) -> Iterator[str]:
        """The first ones are let go, find no other node, and the rest is kept for them."""
        guarded = () if guard.selector is None else self.workloads.labelled(guard.namespace, guard.selector)
        waiting = [pod for pod in guarded if pod.node in ("", self.node) and not pod.stays and not pod.ending]
        stranded = [pod for pod in waiting if all(place.keeps_out(pod) for place in others)]
        if len(stranded) > guard.spare and any(pod.node for pod in stranded):
            why = _listed([place.keeps_out(stranded[0]) for place in others])
            yield (
                f"{self.node} can never be emptied: no other node takes {_listed([str(pod) for pod in stranded])} ({why}), "
                f"and {guard} lets no more than {guard.spare} be away. Add a worker, or end them by --no-drain"
            )

    def _names_guard(self, leaving: Sequence[Pod]) -> Iterator[Budget]:
        """That the last replica of CoreDNS stays, as a budget would say it."""
        if any(map(_resolves_names, leaving)) and (wanted := self.workloads.replicas(*_DNS)) > 1:
            yield Budget(_DNS[0], "CoreDNS", wanted - 1, _DNS[1], kind="the drain of")

    def _losses(self, leaving: Sequence[Pod]) -> Iterator[str]:
        """Of pods that nothing brings back, or not with what they keep."""
        if self.force:
            return
        bare = [str(pod) for pod in leaving if not pod.controller and not pod.ending]
        if bare:
            yield f"{self.node} runs pods that nothing starts again elsewhere: {_listed(bare)} (--force evicts them)"
        keeping = [str(pod) for pod in leaving if pod.controller and pod.keeps_data and not pod.ending]
        if keeping:
            yield f"{self.node} runs pods whose emptyDir is lost with them: {_listed(keeping)} (--force evicts them)"

    def _state(self, pod: Pod) -> str:
        if pod.ending:
            return "to end"
        reason = self._keeps_names_resolved(pod) or self.workloads.evict(pod, try_only=self.looks_only)
        return f"({reason})" if reason else "" if self.looks_only else "to end"

    def _keeps_names_resolved(self, pod: Pod) -> str:
        """Why a replica of CoreDNS waits: it goes once another one answers elsewhere, or another of this node has gone."""
        if not pod.ready or not _resolves_names(pod):
            return ""
        others = [other for other in self.workloads.labelled(*_DNS) if other.name != pod.name]
        if any(other.ready and not other.ending and other.node != self.node for other in others):
            return ""
        wanted = self.workloads.replicas(*_DNS)
        stay = [other for other in others if other.node == self.node and other.ready and not other.ending]
        return "" if wanted <= 1 or len(stay) + 1 >= wanted else "until another replica of CoreDNS is ready elsewhere"


def _resolves_names(pod: Pod) -> bool:
    return pod.namespace == _DNS[0] and pod.labels.get("k8s-app") == "kube-dns"


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
