"""Actions about nodes of a cluster that lives, and about what the cluster knows under their names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..cluster.cordon import Purpose
from .plan import Action, OfCluster, OfNode
from .wish import Draining


@dataclass(frozen=True, kw_only=True)
class AwaitReady(OfNode):
    """Look at the cluster until it calls the node ready, and has done so for a while."""

    verb = "settle"
    mark = "."
    seconds: float = 0.0
    """For so long without a break; a node that fails again after a minute stops the rest."""
    version: str = ""
    """Of Kubernetes, which its kubelet has by then, and all of its control plane where it is a master; empty: any."""


@dataclass(frozen=True, kw_only=True)
class AwaitAddons(OfCluster):
    """Look at the cluster until what kubeadm runs in it, CoreDNS and kube-proxy, is what the version brings."""

    verb = "addons"
    mark = "."
    version: str


@dataclass(frozen=True, kw_only=True)
class OfName(Action):
    """About what the living cluster knows under this name, whether or not its machine exists."""

    name: str

    @property
    def subject(self) -> str:
        return self.name


@dataclass(frozen=True, kw_only=True)
class Pause(OfName):
    """Let time pass before the turn of a node comes, which does not begin once it is too late."""

    verb = "pause"
    mark = "."
    seconds: float = 0.0
    until: float = 0.0
    """Seconds since the epoch; 0: it is never too late."""


@dataclass(frozen=True, kw_only=True)
class CordonNode(OfName):
    """Have no more pods begin on a node, and write there what for."""

    verb = "cordon"
    purpose: Purpose


class UncordonNode(OfName):
    """Let pods begin there again, unless somebody else has cordoned it."""

    verb = "uncordon"


@dataclass(frozen=True, kw_only=True)
class LabelNode(OfNode):
    """Give a node labels over the API; others stay."""

    verb = "label"
    labels: tuple[tuple[str, str], ...]

    @property
    def details(self) -> Mapping[str, object]:
        return {"labels": dict(self.labels)}


@dataclass(frozen=True, kw_only=True)
class DrainNode(OfName):
    """Evict a node's pods as their budgets allow, and look at it until they have gone."""

    verb = "drain"
    mark = "."
    draining: Draining


@dataclass(frozen=True, kw_only=True)
class RemoveMember(OfName):
    """Take the member of a machine that is gone, or about to go, out of the living cluster's etcd."""

    verb = "remove-member"
    mark = "-"
    member: str | None = None
    """Id of an etcd member that has no name: a learner that never started."""

    @property
    def details(self) -> Mapping[str, object]:
        return {"member": self.member}


class ForgetNodes(OfCluster):
    """Have a cluster that was restored forget all nodes but those whose machines exist now."""

    verb = "forget-nodes"
    mark = "-"


class DeleteNode(OfName):
    """Have the living cluster forget a machine that is gone: pods of one that still runs would be started a second time."""

    verb = "delete-node"
    mark = "-"
