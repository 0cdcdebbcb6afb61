"""What the controllers of a cluster keep true, told where it is read: nodes that are silent, workloads rolled out."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from functools import cache
from typing import Any

from servers.cluster_objects import DAEMON_SETS, DEPLOYMENTS, NODES, PODS, ClusterObjects
from servers.control_plane import Call

NODE_GRACE, UPSTREAM_NODE_GRACE = 12.0, 50.0
"""Seconds without a word from a kubelet after which its node counts as not ready: what most tests wait for, and upstream, as
do emulated machines, which need them."""


def as_told(call: Call, document: Any, objects: ClusterObjects) -> Any:
    """An answer to a call, brought up to date."""
    if call.method != "GET" or not isinstance(document, dict):
        return document
    for item in document.get("items", [document]):
        if call.path.startswith(NODES):
            _judge(item)
        elif call.path.startswith((DEPLOYMENTS, DAEMON_SETS)):
            _roll_out(item, len(objects.all(NODES)))
    return document


def collect(call: Call, objects: ClusterObjects) -> None:
    """After a node has gone its pods are taken away as well."""
    if call.method == "DELETE" and call.path.startswith(f"{NODES}/"):
        node = call.path.rpartition("/")[2]
        for name, pod in objects.all(PODS).items():
            if pod["spec"]["nodeName"] == node:
                objects.delete(PODS, name)


def _judge(node: dict[str, Any]) -> None:
    """A kubelet that is silent for too long is not ready."""
    for condition in node["status"]["conditions"]:
        silent = time.time() - float(condition.get("lastHeartbeatTime", 0))
        if condition["type"] == "Ready" and silent > node_grace():
            condition["status"] = "Unknown"


@cache
def node_grace() -> float:
    with suppress(OSError):
        told = subprocess.run(["systemd-detect-virt", "--vm"], capture_output=True, text=True, timeout=60, check=False)
        return UPSTREAM_NODE_GRACE if told.stdout.strip() == "qemu" else NODE_GRACE
    return NODE_GRACE


def _roll_out(workload: dict[str, Any], nodes: int) -> None:
    """No scheduler is needed for what has no containers: it is there as soon as it is wanted."""
    generation = workload["metadata"].get("generation", 1)
    if "replicas" in workload["spec"]:
        wanted = workload["spec"]["replicas"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), wanted)
    else:
        scheduled = (f"{which}NumberScheduled" for which in ("desired", "current", "updated"))
        counts = dict.fromkeys((*scheduled, "numberReady", "numberAvailable"), nodes)
    workload["status"] = {"observedGeneration": generation, **counts}
