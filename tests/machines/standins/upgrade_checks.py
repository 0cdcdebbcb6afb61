"""What `kubeadm upgrade apply` asks before it touches anything: how the cluster does, and which version may follow which."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from http.client import HTTPException
from typing import Any

from cryptography import x509
from cryptography.x509.oid import NameOID
from machines.standins import manifests, preflight
from machines.standins.api import NODES, PODS, Api
from machines.standins.faults import StandInError
from machines.standins.kubelet import CONTROL_PLANE
from machines.standins.places import KUBELET_CERTIFICATE, MANIFESTS
from machines.standins.release import Release, own

JOB_LIMIT = 60.0
"""Seconds that the Job of the check has; no time-out of the configuration changes them."""
SKEW = 1
OLDEST_KUBELET = 3
SKIPPED = 'The preflight check "CreateJob" was skipped because there are no schedulable Nodes in the cluster.'


@dataclass(frozen=True)
class Versions:
    cluster: Release
    """Of whichever API server has answered."""
    kubeadm: Release
    kubelets: dict[str, Release]
    """By node."""

    def table(self, target: str) -> str:
        return "\n".join(f"kubelet {node} {release} {target}" for node, release in sorted(self.kubelets.items()))


def own_name() -> str:
    """As the kubelet's certificate has it."""
    subject = x509.load_pem_x509_certificate(KUBELET_CERTIFICATE.read_bytes()).subject
    (name,) = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(name.value).removeprefix("system:node:")


def endpoint(api: Api, node: str, limit: float) -> str:
    """Address of this node's API server, which only its mirror pod tells. Raises `StandInError`."""
    selector = f"fieldSelector=spec.nodeName%3D{node}&labelSelector=component%3Dkube-apiserver,tier%3Dcontrol-plane"
    deadline = time.monotonic() + limit
    while True:
        found = api.expect("GET", f"{PODS}?{selector}", patience=limit)["items"]
        if len(found) == 1:
            return str(found[0]["metadata"]["annotations"][manifests.ADVERTISED]).rpartition(":")[0]
        if time.monotonic() > deadline:
            problem = f'API server pod for node name "{node}" has {len(found)} entries, only one was expected'
            raise StandInError(f'could not retrieve API endpoints for node "{node}" using pod annotations: {problem}')
        time.sleep(0.5)


def health(api: Api) -> None:
    """Raises `StandInError`."""
    print("[upgrade] Running cluster health checks", flush=True)
    preflight.refuse([*_job(api), *_masters(api), *_manifests()])


def _job(api: Api) -> list[str]:
    """A Job is given to the cluster: some node that takes pods has to run it, which a silent one does not."""
    deadline = time.monotonic() + JOB_LIMIT
    while True:
        schedulable = [node for node in _nodes(api) if not node.get("spec", {}).get("unschedulable")]
        if not schedulable:
            print(f"W {SKIPPED}", file=sys.stderr, flush=True)
            return []
        if any(map(_is_ready, schedulable)):
            return []
        if time.monotonic() > deadline:
            name = f"upgrade-health-check-{int(time.time() * 1000)}"
            reason = "did not complete in 1m0s: no condition of type Complete"
            return [f'CreateJob]: Job "{name}" in the namespace "kube-system" {reason}']
        time.sleep(1)


def _masters(api: Api) -> list[str]:
    silent = [
        node["metadata"]["name"]
        for node in _nodes(api)
        if CONTROL_PLANE in node["metadata"]["labels"] and not _is_ready(node)
    ]
    problem = f"there are NotReady control-planes in the cluster: [{' '.join(silent)}]"
    return [f"ControlPlaneNodesReady]: {problem}"] if silent else []


def _manifests() -> list[str]:
    paths = [MANIFESTS / f"{name}.yaml" for name in manifests.COMPONENTS]
    missing = [str(path) for path in paths if not path.exists()]
    return [f"StaticPodManifest]: manifest files not found: [{' '.join(missing)}]"] if missing else []


def versions(api: Api) -> Versions:
    """Raises `StandInError`."""
    try:
        _, said = api.call("GET", "/version")
    except (OSError, HTTPException) as problem:
        raise StandInError(f"Couldn't fetch cluster version from the API Server: {problem}") from problem
    kubelets = {node["metadata"]["name"]: Release(node["status"]["nodeInfo"]["kubeletVersion"]) for node in _nodes(api)}
    return Versions(Release(said["gitVersion"]), own(), kubelets)


def enforce(api: Api, target: str, *, forced: bool) -> None:
    """Raises `StandInError` for a version that may not follow."""
    print(f'[upgrade/preflight] You have chosen to upgrade the cluster version to "{target}"', flush=True)
    found = versions(api)
    print(f"[upgrade/versions] Cluster version: {found.cluster.bare}\n[upgrade/versions] kubeadm version: {found.kubeadm}")
    fatal, skippable = faults(found, Release(target))
    said, way = "the version argument is invalid due to these", "Can be bypassed if you pass the --force flag"
    if fatal:
        said, way = f"{said} fatal", "Please fix the misalignments highlighted above and try upgrading again"
    if fatal or (skippable and not forced):
        lines = "".join(f"\t- {fault}\n" for fault in fatal or skippable)
        raise StandInError(f"error execution phase preflight: {said} errors:\n\n{lines}\n{way}")


def faults(found: Versions, target: Release) -> tuple[list[str], list[str]]:
    """What nobody may pass over, and what `--force` would. Going back by a patch or a minor is neither."""
    fatal, skippable, chosen = [], [], f'Specified version to upgrade to "{target}"'
    if target.minor < found.kubeadm.minor - SKEW:
        fatal.append(f'{chosen} is equal to or lower than the minimum supported version "{found.cluster.bare}".')
    if target.minor > found.cluster.minor + SKEW:
        fatal.append(f"{chosen} is too high; kubeadm can upgrade only {SKEW} minor version at a time")
    if target.minor < found.cluster.minor - SKEW:
        back = f'Specified version to downgrade to "{target}"'
        fatal.append(f"{back} is too low; kubeadm can downgrade only {SKEW} minor version at a time")
    if target.minor > found.kubeadm.minor:
        minors = f"({target.minor} > {found.kubeadm.minor})"
        higher = f"at least one minor release higher than the kubeadm minor release {minors}"
        fatal.append(f"{chosen} is {higher}. Such an upgrade is not supported")
    elif target.numbers > found.kubeadm.numbers:
        advice = "Upgrade kubeadm first using the tool you used to install kubeadm"
        skippable.append(f'{chosen} is higher than the kubeadm version "{found.kubeadm}". {advice}')
    if found.kubeadm.minor > target.minor:
        only = f"can only be used to upgrade to Kubernetes version 1.{found.kubeadm.minor}"
        skippable.append(f"Kubeadm version {found.kubeadm} {only}")
    old = sorted({str(it) for it in found.kubelets.values() if target.minor > it.minor + OLDEST_KUBELET})
    if old:
        skippable.append(f"There are kubelets in this cluster that are too old that have these versions [{' '.join(old)}]")
    return fatal, skippable


def _nodes(api: Api) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = api.expect("GET", NODES)["items"]
    return items


def _is_ready(node: dict[str, Any]) -> bool:
    return any((it["type"], it["status"]) == ("Ready", "True") for it in node["status"]["conditions"])
