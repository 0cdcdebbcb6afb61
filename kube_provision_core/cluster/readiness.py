"""Which nodes Kubernetes itself calls ready. A question on the side: it is bounded, and never an error."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..contract.errors import ControlPlaneError
from .known import Known, Unknown, learn
from .kubeadm_configuration import KubeadmConfiguration

if TYPE_CHECKING:
    from ..folder.pki import Pki
    from .api import ControlPlane
    from .backups import LastBackup
    from .cluster_node import ClusterNode
    from .observe import Observation

LIMIT = 20.0
"""Seconds for all masters together: an emulated one needs ten to answer, and one that is off is passed over sooner."""


NOBODY_ASKED = Unknown(ControlPlaneError("nobody was asked"))


@dataclass(frozen=True)
class Readiness:
    """What a master has told."""

    nodes: tuple[ClusterNode, ...] = ()
    address: str = ""
    """The master's."""
    version: str = ""
    """Of Kubernetes, as kubeadm keeps it for the whole cluster: `1.37.1`; empty where nobody could tell."""
    kubeadm: KubeadmConfiguration = field(default_factory=KubeadmConfiguration)
    """What it keeps besides; empty where nobody could tell."""
    backup: Known[LastBackup | None] | Unknown = NOBODY_ASKED
    """The last one that was made of it; None: none ever was."""

    def node(self, name: str) -> ClusterNode | None:
        return next((node for node in self.nodes if node.name == name), None)


def node_of(readiness: Known[Readiness] | Unknown, name: str) -> ClusterNode | None:
    """A node; None where nobody could tell, and for a machine that is none."""
    return readiness.value.node(name) if isinstance(readiness, Known) else None


def ask_readiness(seen: Observation, pki: Pki, *, version: bool = False) -> Known[Readiness] | Unknown:
    """Ask the masters that were observed, for at most `LIMIT` seconds. `version`: for that of the cluster and for its
    last backup besides, as far as there is time: what was told by then counts."""
    if not seen.master_addresses:
        return Unknown(ControlPlaneError("no master has an address"))
    last: Known[Readiness] | Unknown = Unknown(ControlPlaneError(f"no master answers within {LIMIT:.0f} s"))

    def ask() -> None:
        nonlocal last
        for told in _ask(seen, pki, version):
            last = told

    asking = threading.Thread(target=ask, name="readiness", daemon=True)
    asking.start()
    asking.join(LIMIT)
    return last


def _ask(seen: Observation, pki: Pki, version: bool) -> Iterator[Known[Readiness] | Unknown]:
    """What is known, and then what more is."""
    from .api import ControlPlane

    try:
        with ControlPlane(seen.master_addresses, pki, timeout=LIMIT, endpoint=seen.cluster.endpoint) as api:
            nodes = api.nodes()
            yield Known(told := Readiness(nodes, api.answering))
            if version:
                kept = _kubeadm(api)
                yield Known(told := replace(told, version=kept.version, kubeadm=kept))
                yield Known(replace(told, backup=learn(api.backups.last)))
    except ControlPlaneError as error:
        yield Unknown(error)


def _kubeadm(api: ControlPlane) -> KubeadmConfiguration:
    """Who tells of nodes and not of this has told of nodes all the same."""
    with suppress(ControlPlaneError):
        return api.kubeadm_configuration()
    return KubeadmConfiguration()


def hint(readiness: Readiness, finished: Sequence[str], *, network_plugin: bool, kubeconfig: Path | None) -> str:
    """Why machines that have finished their boot are not ready; empty where all are, and where nobody knows why.

    `network_plugin`: the configuration has manifests applied that should bring one.
    """
    unready = [node for name in finished if (node := readiness.node(name)) and not node.ready]
    if not unready:
        return ""
    names = ", ".join(node.name for node in unready)
    messages = {node.message for node in unready if node.message}
    if not any(map(_lacks_network, messages)) and (messages or network_plugin):
        return f"{names}: not Ready: {'; '.join(sorted(messages)) or 'Kubernetes does not say why'}"
    kubectl = f"kubectl --kubeconfig {shlex.quote(str(kubeconfig))}" if kubeconfig else "kubectl"
    if network_plugin:
        return f"{names}: not Ready: the network plugin does not run there yet: {kubectl} get pods --all-namespaces"
    return (
        f"{names}: not Ready: the cluster has no network plugin, because seed_manifests is empty. Apply one: "
        f"{kubectl} apply -f MANIFEST"
    )


def _lacks_network(message: str) -> bool:
    """The kubelet's own words, in the condition `Ready`."""
    return any(word in message.lower() for word in ("networkpluginnotready", "network plugin", "cni"))
