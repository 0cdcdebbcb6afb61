"""What a run asks of a cluster that lives already, before it changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..contract.errors import ControlPlaneError
from .kubeadm_configuration import KubeadmConfiguration

if TYPE_CHECKING:
    from ..folder.pki import Pki
    from .api import ControlPlane
    from .cluster_node import ClusterNode
    from .etcd import EtcdMember, EtcdQuorum
    from .observe import Observation


@dataclass(frozen=True)
class Living:
    """The cluster's own view of itself, from one living master."""

    nodes: tuple[ClusterNode, ...] = ()
    members: tuple[EtcdMember, ...] = ()
    version: str = ""
    """Of Kubernetes, such as `1.37.1`, as kubeadm keeps it for the whole cluster; empty where nobody was asked."""
    quorum: EtcdQuorum | None = None
    """Which members of etcd follow a leader; None where nobody was asked."""
    kubeadm: KubeadmConfiguration = field(default_factory=KubeadmConfiguration)
    """What kubeadm keeps of it; empty where nobody was asked."""

    def node(self, name: str) -> ClusterNode | None:
        """What the cluster counts under that name, whether or not there is a machine."""
        return next((node for node in self.nodes if node.name == name), None)

    def member(self, name: str) -> EtcdMember | None:
        return next((member for member in self.members if member.name == name), None)

    def joined(self, name: str) -> bool:
        """Whether a machine of that name is a master of the cluster, and no longer about to become one."""
        node = self.node(name)
        return node is not None and "control-plane" in node.roles

    def strangers(self, hosts: Sequence[str]) -> tuple[EtcdMember, ...]:
        """Members without a name (learners that never started) on none of these addresses."""
        return tuple(member for member in self.members if not member.name and not member.hosts & set(hosts))


def look(seen: Observation, pki: Pki, *, etcd: bool = True) -> Living:
    """Ask one of the masters observed. Raises `ControlPlaneError` when none answers.

    `etcd`: masters come or go. Then its members are asked too, and a lost quorum is an error. Of workers etcd knows nothing,
    and an API server that waits for a slow one serves all the same.
    """
    with control_plane(seen, pki) as api:
        quorum = _check(api) if etcd else None
        members = api.etcd.members() if etcd else ()
        kept = api.kubeadm_configuration()
        version = kept.version or api.version()
        return Living(api.nodes(), members, version, quorum, kept)


def control_plane(seen: Observation, pki: Pki) -> ControlPlane:
    """Calls to the masters observed. Raises `ControlPlaneError` where none has an address."""
    from .api import ControlPlane

    if not seen.master_addresses:
        raise ControlPlaneError("the cluster lives, but no master's address is known: start one of its masters")
    return ControlPlane(seen.master_addresses, pki, endpoint=seen.cluster.endpoint)


def _check(api: ControlPlane) -> EtcdQuorum:
    """A master is ready, and etcd has a quorum. Without one no API server is ready, and etcd itself says more about it."""
    try:
        api.check()
    except ControlPlaneError as unready:
        try:
            quorum = api.etcd.quorum()
        except ControlPlaneError:
            raise unready from None
        if quorum.holds:
            raise
    return api.etcd.check_quorum()
