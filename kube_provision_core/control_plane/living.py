"""What a run asks of a cluster that lives already, before it changes anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import ControlPlaneError

if TYPE_CHECKING:
    from ..observe import Observation
    from ..pki import Pki
    from .api import ClusterNode, ControlPlane, EtcdMember


@dataclass(frozen=True)
class Living:
    """The cluster's own view of itself, from one living master."""

    nodes: tuple[ClusterNode, ...] = ()
    members: tuple[EtcdMember, ...] = ()
    version: str = ""
    """Of Kubernetes, such as `1.36.4`; empty where nobody was asked."""

    def knows(self, name: str) -> bool:
        """Whether the cluster still counts a machine of that name."""
        return any(node.name == name for node in self.nodes) or any(member.name == name for member in self.members)

    def strangers(self, hosts: Sequence[str]) -> tuple[EtcdMember, ...]:
        """Members without a name (learners that never started) on none of these addresses."""
        return tuple(member for member in self.members if not member.name and not member.hosts & set(hosts))


def look(seen: Observation, pki: Pki) -> Living:
    """Ask one of the masters observed. Raises `ControlPlaneError` when none answers, or when etcd has lost its quorum."""
    from .api import ControlPlane

    addresses = seen.master_addresses
    if not addresses:
        raise ControlPlaneError("the cluster lives, but no master's address is known: start one of its masters")
    with ControlPlane(addresses, pki, endpoint=seen.cluster.endpoint) as api:
        _check(api)
        return Living(api.nodes(), api.etcd_members(), api.version())


def _check(api: ControlPlane) -> None:
    """A master is ready, and etcd has a quorum. Without one no API server is ready, and etcd itself says more about it."""
    try:
        api.check()
    except ControlPlaneError as unready:
        try:
            quorum = api.etcd_quorum()
        except ControlPlaneError:
            raise unready from None
        if quorum.holds:
            raise
    api.check_quorum()
