"""Which nodes Kubernetes itself calls ready. A question on the side: it is bounded, and never an error."""

from __future__ import annotations

import shlex
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ControlPlaneError

if TYPE_CHECKING:
    from ..observe import Observation
    from ..pki import Pki
    from .api import ClusterNode

LIMIT = 5.0
"""Seconds for all masters together."""


@dataclass(frozen=True)
class Readiness:
    nodes: tuple[ClusterNode, ...] = ()
    asked: bool = False
    """A master has answered."""
    error: str = ""
    """Why none has."""

    def node(self, name: str) -> ClusterNode | None:
        return next((node for node in self.nodes if node.name == name), None)

    def of(self, name: str) -> bool | None:
        """Whether the node is ready; None where nobody could tell, and for a machine that is no node."""
        node = self.node(name)
        return node.ready if node else None


def ask_readiness(seen: Observation, pki: Pki) -> Readiness:
    """Ask the masters that were observed, for at most `LIMIT` seconds."""
    if not seen.master_addresses:
        return Readiness(error="no master has an address")
    answers: list[Readiness] = []
    asking = threading.Thread(target=lambda: answers.append(_ask(seen, pki)), name="readiness", daemon=True)
    asking.start()
    asking.join(LIMIT)
    return answers[0] if answers else Readiness(error=f"no master answers within {LIMIT:.0f} s")


def _ask(seen: Observation, pki: Pki) -> Readiness:
    from .api import ControlPlane

    try:
        with ControlPlane(seen.master_addresses, pki, timeout=LIMIT, endpoint=seen.cluster.endpoint) as api:
            return Readiness(api.nodes(), asked=True)
    except ControlPlaneError as error:
        return Readiness(error=str(error))


def hint(readiness: Readiness, finished: Sequence[str], *, network_plugin: bool, kubeconfig: Path) -> str:
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
    kubectl = f"kubectl --kubeconfig {shlex.quote(str(kubeconfig))}"
    if network_plugin:
        return f"{names}: not Ready: the network plugin does not run there yet: {kubectl} get pods --all-namespaces"
    return (
        f"{names}: not Ready: the cluster has no network plugin, because seed_manifests is empty. Apply one: "
        f"{kubectl} apply -f MANIFEST"
    )


def _lacks_network(message: str) -> bool:
    """The kubelet's own words, in the condition `Ready`."""
    return any(word in message.lower() for word in ("networkpluginnotready", "network plugin", "cni"))
