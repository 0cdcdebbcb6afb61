"""`kubeadm upgrade plan|apply|node`, as strict as kubeadm 1.36, and as loose: `node` asks nobody whether it may.

`apply` goes where it is told to, `node` where the cluster's configuration is; on a worker only the kubelet's is written.
"""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from machines.standins import addons, initialise, manifests, preflight, upgrade_checks
from machines.standins.api import CONFIG_MAPS, PODS, Api, connect
from machines.standins.configuration import Document, read, seconds
from machines.standins.faults import StandInError, carry_out, wish
from machines.standins.places import ADMIN, KUBELET, KUBELET_CONFIG, MANIFESTS
from machines.standins.scratch import stamped
from machines.standins.static_upgrade import StaticUpgrade

MANIFEST_LIMIT = "5m0s"
CONFIG_LIMIT = "1m0s"
CONFIG = "kubeadm-config"


@dataclass(frozen=True)
class Cluster:
    """What kubeadm knows before it begins."""

    api: Api
    node: str
    address: str
    """Of this node's API server; empty on a worker."""
    configuration: Document
    kubelet: str
    """The configuration of all kubelets."""

    @property
    def version(self) -> str:
        return str(self.configuration["kubernetesVersion"])


def plan(version: str) -> None:
    """What `apply` would come to. Raises `StandInError`."""
    cluster = _cluster(ADMIN, CONFIG_LIMIT)
    upgrade_checks.health(cluster.api)
    told = upgrade_checks.versions(cluster.api)
    print(f"[upgrade/versions] Cluster version: {told.cluster.bare}\n[upgrade/versions] kubeadm version: {told.kubeadm}")
    target = version or str(told.kubeadm)
    print(f"\nUpgrade to the latest version:\n\nCOMPONENT NODE CURRENT TARGET\n{told.table(target)}")
    print(f"\nYou can now apply the upgrade by executing the following command:\n\n\tkubeadm upgrade apply {target}\n")


def apply(version: str, path: Path | None, *, yes: bool) -> None:
    """Raises `StandInError`."""
    document = _document(path)
    chosen = document.get("apply", {})
    target = version or chosen.get("kubernetesVersion", "")
    if not target:
        raise StandInError("missing one or more required arguments. Required arguments: [version]")
    cluster = _aimed(_cluster(ADMIN, _limit(document, "kubernetesAPICall", CONFIG_LIMIT)), target)
    _announce("preflight", "Running preflight checks")
    preflight.check_runtime()
    upgrade_checks.health(cluster.api)
    upgrade_checks.enforce(cluster.api, target, forced=chosen.get("forceUpgrade", False))
    if not (yes or chosen.get("forceUpgrade")):
        _ask()
    _say_images()
    limit = _limit(document, "upgradeManifests", MANIFEST_LIMIT)
    _announce(
        "control-plane",
        f'Upgrading your static Pod-hosted control plane to version "{target}" (timeout: {limit})...',
    )
    _upgrade_pods(cluster, chosen, limit)
    _strike("upload-config")
    initialise.upload_configuration(cluster.api, cluster.configuration, cluster.kubelet)
    _say_kubeconfig()
    _write_kubelet(cluster)
    _announce("bootstrap-token", "Configuring bootstrap token and cluster-info RBAC rules")
    _upgrade_addons(cluster)
    print(f'\n[upgrade] SUCCESS! A control plane node of your cluster was upgraded to "{target}".\n')
    print("[upgrade] Now please proceed with upgrading the rest of the nodes by following the right order.")


def node(path: Path | None) -> None:
    """Raises `StandInError`."""
    document = _document(path)
    master = (MANIFESTS / "kube-apiserver.yaml").exists()
    cluster = _cluster(ADMIN if master else KUBELET, _limit(document, "kubernetesAPICall", CONFIG_LIMIT))
    _announce("preflight", "Running pre-flight checks")
    preflight.check_runtime()
    if master:
        _say_images()
        text = f'Upgrading your Static Pod-hosted control plane instance to version "{cluster.version}"...'
        _announce("control-plane", text)
        _upgrade_pods(cluster, document.get("node", {}), _limit(document, "upgradeManifests", MANIFEST_LIMIT))
        _say_kubeconfig()
    else:
        for phase in ("preflight", "control-plane", "kubeconfig"):
            what = "prepull" if phase == "preflight" else "phase"
            print(f"[upgrade/{phase}] Skipping {what}. Not a control plane node.", flush=True)
    _write_kubelet(cluster)
    if master:
        _upgrade_addons(cluster)
        return
    for addon in ("coredns", "kube-proxy"):
        print(f"[upgrade/addon] Skipping the addon/{addon} phase. Not a control plane node.")


# --- what both read ---------------------------------------------------------------------------------------------------


def _document(path: Path | None) -> Document:
    return read(path, "UpgradeConfiguration")[0] if path else {}


def _limit(document: Document, name: str, default: str) -> str:
    return str(document.get("timeouts", {}).get(name, default))


def _cluster(kubeconfig: Path, limit: str) -> Cluster:
    """By that kubeconfig. Raises `StandInError` for a cluster that lacks what kubeadm keeps in it."""
    if not kubeconfig.exists():
        raise StandInError(
            f'couldn\'t create a Kubernetes client from file "{kubeconfig}": failed to load admin kubeconfig: '
            f"open {kubeconfig}: no such file or directory"
        )
    api, name = connect(kubeconfig), upgrade_checks.own_name()
    print(f'[upgrade] Reading configuration from the "{CONFIG}" ConfigMap in namespace "kube-system"...', flush=True)
    print("[upgrade] Use 'kubeadm init phase upload-config kubeadm --config your-config-file' to re-upload it.", flush=True)
    configuration = yaml.safe_load(_kept(api, CONFIG, "ClusterConfiguration", limit))
    address = upgrade_checks.endpoint(api, name, seconds(limit)) if kubeconfig == ADMIN else ""
    return Cluster(api, name, address, configuration, _kept(api, "kubelet-config", "kubelet", limit))


def _kept(api: Api, name: str, key: str, limit: str) -> str:
    try:
        return str(api.expect("GET", f"{CONFIG_MAPS}/{name}", patience=seconds(limit))["data"][key])
    except StandInError as problem:
        if ": 404 " not in str(problem):
            raise
        missing = f'the ConfigMap "{name}" in the "kube-system" namespace was not found'
        raise StandInError(f"[upgrade] FATAL: {missing}") from problem


def _aimed(cluster: Cluster, target: str) -> Cluster:
    configuration = cluster.configuration | {"kubernetesVersion": target}
    return Cluster(cluster.api, cluster.node, cluster.address, configuration, cluster.kubelet)


# --- phases -----------------------------------------------------------------------------------------------------------


def _announce(phase: str, text: str) -> None:
    print(f"[upgrade/{phase}] {text}", flush=True)
    _strike(phase)


def _strike(phase: str) -> None:
    carry_out(wish("upgrade", phase), phase)


def _ask() -> None:
    print("[upgrade] Are you sure you want to proceed? [y/N]: ", end="", flush=True)
    if sys.stdin.readline().strip().lower() != "y":
        raise StandInError(
            "error execution phase preflight: won't proceed; the user didn't answer (Y|y) in order to continue"
        )


def _say_images() -> None:
    """Nothing runs in containers here."""
    for line in (
        "Pulling images required for setting up a Kubernetes cluster",
        "This might take a minute or two, depending on the speed of your internet connection",
        "You can also perform this action beforehand using 'kubeadm config images pull'",
    ):
        print(f"[upgrade/preflight] {line}", flush=True)


def _upgrade_pods(cluster: Cluster, chosen: Document, limit: str) -> None:
    pods = [manifests.etcd(cluster.configuration, cluster.node, cluster.address)] if chosen.get("etcdUpgrade", True) else []
    pods += manifests.control_plane(cluster.configuration, cluster.address)
    renews = chosen.get("certificateRenewal", True)
    StaticUpgrade(cluster.api, cluster.node, limit, cluster.configuration if renews else None).run(pods)
    print("[upgrade/control-plane] The control plane instance for this node was successfully upgraded!", flush=True)


def _say_kubeconfig() -> None:
    """A master's kubelet asks its own API server already."""
    _announce("kubeconfig", "The kubeconfig files for this node were successfully upgraded!")


def _write_kubelet(cluster: Cluster) -> None:
    """Over whatever was there, which is kept. The kubelet is left alone."""
    kept = stamped("kubeadm-kubelet-config") / KUBELET_CONFIG.name
    print(f"[upgrade] Backing up kubelet config file to {kept}", flush=True)
    shutil.copy(KUBELET_CONFIG, kept)
    _strike("kubelet-config")
    KUBELET_CONFIG.write_text(cluster.kubelet)
    print("[upgrade/kubelet-config] The kubelet configuration for this node was successfully upgraded!", flush=True)


def _upgrade_addons(cluster: Cluster) -> None:
    """By whoever is the last one."""
    _strike("addon")
    found = cluster.api.expect("GET", f"{PODS}?labelSelector=component%3Dkube-apiserver")["items"]
    images: dict[str, Any] = {pod["spec"]["nodeName"]: manifests.image(pod) for pod in found}
    if cluster.node not in images:
        raise StandInError(f"cannot find kube-apiserver image for current control plane instance {cluster.node}")
    others = sorted(name for name, image in images.items() if image != images[cluster.node])
    if others:
        skipped = f"because control plane instances [{' '.join(others)}] have not been upgraded"
        print(f"[upgrade/addon] Skipping upgrade of addons {skipped}", flush=True)
        return
    addons.ensure(cluster.api, cluster.configuration)
