"""The Kubernetes that a configuration wishes for, beside the one that its cluster runs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..contract.machines import Cluster
from .advice import Remedies

if TYPE_CHECKING:
    from .cluster_node import ClusterNode

EXACT = re.compile(r"\d+\.\d+\.\d+")


def adopted(cluster: Cluster, runs: str) -> str:
    """What new machines get in place of `kubernetes_version`; empty where it fits, as a minor fits each of its patches.

    Empty too where nobody could tell what the cluster runs, and where that is no release: packages are called after those.
    """
    wanted = cluster.kubernetes_version
    return runs if EXACT.fullmatch(runs) and wanted not in (runs, minor(runs)) else ""


def adoption(cluster: Cluster, runs: str, remedies: Remedies) -> tuple[str, ...]:
    """What to say where machines are made that adopt it."""
    return tuple(f"new machines get Kubernetes {runs}: {text}" for text in drift(cluster, runs, remedies))


def drift(cluster: Cluster, runs: str, remedies: Remedies) -> tuple[str, ...]:
    """That the configuration names another Kubernetes, and how that ends."""
    wanted = cluster.kubernetes_version
    if not adopted(cluster, runs):
        return ()
    keep = f"set kubernetes_version to {runs}, or to {minor(runs)}"
    end = f"to upgrade it: {remedies.upgrade(_first_step(wanted, runs))}; to leave it as it is, {keep}"
    behind = numbers(wanted) < numbers(runs)
    return (f"kubernetes_version is {wanted}, and cluster {cluster.name} runs {runs}; {keep if behind else end}",)


def of_kubelets(nodes: Iterable[ClusterNode], runs: str, remedies: Remedies) -> Iterator[str]:
    """A line for each version that nodes have and the cluster has not; none where nobody could tell the cluster's."""
    named: dict[str, list[str]] = {}
    for node in nodes if EXACT.fullmatch(runs) else ():
        if node.kubelet != runs and EXACT.fullmatch(node.kubelet):
            named.setdefault(node.kubelet, []).append(node.name)
    for version, names in sorted(named.items(), key=lambda it: numbers(it[0])):
        newest = max(version, runs, key=numbers)
        yield (
            f"{', '.join(names)}: kubelet {version}, and the cluster runs {runs}; to bring all to one version: "
            f"{remedies.upgrade(newest)}"
        )


def minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def numbers(version: str) -> tuple[int, ...]:
    """For comparisons: `1.9` comes before `1.10`."""
    return tuple(int(number) for number in version.split("."))


def _first_step(wanted: str, runs: str) -> str:
    """Where an upgrade leads first: minors come one after the other, and it is told an exact version."""
    major, running, *_ = numbers(runs)
    next_minor = f"{major}.{running + 1}"
    reached = next_minor if numbers(minor(wanted)) > numbers(next_minor) else wanted
    return reached if EXACT.fullmatch(reached) else f"{reached}.PATCH"
