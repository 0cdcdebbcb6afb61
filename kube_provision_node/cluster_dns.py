"""Keeps the cluster's DNS from living on one machine alone.

kubeadm asks for two replicas that would rather run apart. But when it does, the first master is the only node, and nobody
moves them later. So the master on whose node all of them run moves one, as soon as another node can take it. Only one node
can be in that place: nobody needs a lock. One that is evicted is replaced at once, elsewhere, while the others still answer.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .exclusion import alone
from .journal import log_to_journal
from .kubeadm import KubeadmError
from .last_error import last_error
from .settings import Places, read_document, read_node

log = logging.getLogger(__name__)

NAMESPACE, LABEL = "kube-system", "k8s-app=kube-dns"
TOLERATED = ("node-role.kubernetes.io/control-plane", "CriticalAddonsOnly")
"""Taints that kubeadm's CoreDNS does not mind."""
_LIMIT = 60.0

Object = dict[str, Any]


@dataclass(frozen=True)
class ClusterDns:
    places: Places
    node: str
    """This node's name."""

    def spread(self) -> str:
        """Move a replica away if all of them run here; what was done, empty for nothing.

        A node is hoped for once: one that the scheduler does not choose is none. Raises `KubeadmError` or `OSError`.
        """
        pods = [pod for pod in self._list("pods", "--namespace", NAMESPACE, "--selector", LABEL) if not _is_leaving(pod)]
        if len(pods) < 2 or not all(_is_ready(pod) and pod["spec"].get("nodeName") == self.node for pod in pods):
            return ""
        others = {node["metadata"]["uid"] for node in self._list("nodes") if self._can_take(node)}
        if others <= self._hoped_for():
            return ""
        name = pods[0]["metadata"]["name"]
        self._evict(name)
        self._hope_for(others)
        return f"{name} moves to another node: all of the cluster's DNS ran on this one"

    def _can_take(self, node: Object) -> bool:
        spec = node.get("spec", {})
        hard = [taint for taint in spec.get("taints") or () if taint["effect"] != "PreferNoSchedule"]
        return (
            node["metadata"]["name"] != self.node
            and _is_ready(node)
            and not spec.get("unschedulable")
            and all(taint["key"] in TOLERATED for taint in hard)
        )

    def _evict(self, pod: str) -> None:
        """Refused where a PodDisruptionBudget does not allow it."""
        metadata = {"name": pod, "namespace": NAMESPACE}
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}
        path = f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction"
        self._kubectl("create", "--raw", path, "--filename", "-", stdin=json.dumps(eviction))

    def _list(self, *what: str) -> list[Object]:
        found: list[Object] = json.loads(self._kubectl("get", *what, "--output", "json"))["items"]
        return found

    def _kubectl(self, *arguments: str, stdin: str = "") -> str:
        administrator = str(self.places.kubernetes / "admin.conf")
        command = ["kubectl", *arguments, "--kubeconfig", administrator]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=_LIMIT, check=False)
        except subprocess.TimeoutExpired as problem:
            raise KubeadmError(str(problem)) from problem
        if done.returncode != 0:
            raise KubeadmError(f"kubectl {arguments[0]}: {last_error(done.stderr.splitlines())}")
        return done.stdout

    # --- what a reboot may forget ----------------------------------------------------------------------------------

    @property
    def _memory(self) -> Path:
        return self.places.volatile / "dns-hoped-for.json"

    def _hoped_for(self) -> frozenset[str]:
        try:
            return frozenset(json.loads(self._memory.read_text()))
        except (OSError, ValueError):
            return frozenset()

    def _hope_for(self, nodes: set[str]) -> None:
        self._memory.parent.mkdir(parents=True, exist_ok=True)
        self._memory.write_text(json.dumps(sorted(nodes)))


def _is_leaving(pod: Object) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def _is_ready(thing: Object) -> bool:
    """A pod or a node."""
    conditions = thing.get("status", {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def main() -> int:
    """What comes of it changes nothing for the unit that runs it: there is a next time."""
    log_to_journal()
    places = Places()
    if not (places.state / "member").exists():
        return 0
    try:
        with alone(places):
            done = ClusterDns(places, read_node(read_document(places)).name).spread()
    except (KubeadmError, OSError, ValueError, KeyError) as problem:
        log.warning("the cluster's DNS is left where it is: %s", problem)
    else:
        log.info("%s", done or "the cluster's DNS is where it should be")
    return 0


if __name__ == "__main__":
    sys.exit(main())
