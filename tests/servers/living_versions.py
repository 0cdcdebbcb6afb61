"""What an upgrade makes of a cluster that lives, in the objects of its API, and as strictly as kubeadm and kubelets are.

versions = Versions(objects)
versions.begin("1.37.1")
versions.carry_out("m-prod-1", task, restart)
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

from servers.cluster_objects import CONFIG_MAPS, NODES, ClusterObjects

from kube_provision_core.cluster.cordon import CORDONED
from kube_provision_node.tasks import Task

BEGINNING = "1.37.1"
"""What a cluster is initialised with."""
CONFIG = "kubeadm-config"
ADDONS = ("daemonsets/kube-proxy", "deployments/coredns")
_PROGRAM = re.compile(r"kube_provision_node\.upgrade (apply|node|worker) ([\d.]+)$", re.MULTILINE)
_PACKAGE = re.compile(r"'(kubeadm|kubelet)=([\d.]+)-\*'")


class RefusedTaskError(Exception):
    """A real machine would have failed."""


class Versions:
    """Of one cluster's parts."""

    def __init__(self, objects: ClusterObjects) -> None:
        self._objects = objects
        self._kubeadm: dict[str, str] = {}
        """Installed on machines, by their names."""
        self._alone = threading.RLock()

    # --- what there is ---------------------------------------------------------------------------------------------

    @property
    def cluster(self) -> str:
        """As kubeadm has written it down."""
        text: str = self._objects.get(CONFIG_MAPS, CONFIG)["data"]["ClusterConfiguration"]
        return text.partition("kubernetesVersion: v")[2].split()[0]

    @property
    def kubelets(self) -> dict[str, str]:
        nodes = self._objects.all(NODES)
        return {name: node["status"]["nodeInfo"]["kubeletVersion"].removeprefix("v") for name, node in nodes.items()}

    @property
    def control_planes(self) -> dict[str, str]:
        """By masters that are nodes: the versions of their components, which are one."""
        found: dict[str, set[str]] = {}
        for pod in list(self._objects.workloads.pods):
            if pod.mirror and not pod.name.startswith("etcd-"):
                found.setdefault(pod.node, set()).add(pod.image.rpartition(":v")[2])
        nodes = self._objects.all(NODES)
        return {name: " ".join(sorted(versions)) for name, versions in found.items() if name in nodes}

    @property
    def addons(self) -> dict[str, Any]:
        return {name: addon["metadata"]["labels"]["version"] for name, addon in self._objects.workloads.addons.items()}

    # --- how it comes to be ----------------------------------------------------------------------------------------

    def begin(self, version: str) -> None:
        """kubeadm's init."""
        self._objects.configure("kubernetesVersion", f"v{version}")
        self._bring_addons(version)

    def join(self, name: str, *, master: bool) -> None:
        """A machine becomes a node, of the cluster's version."""
        with self._alone:
            self._install(name, self.cluster, master=master)

    def set_back(self) -> None:
        """All is at the beginning again, to which no real cluster goes back."""
        with self._alone:
            self._write_down(BEGINNING)
            self._bring_addons(BEGINNING)
            for name in self.kubelets:
                self._install(name, BEGINNING, master=name in self.control_planes)

    def _install(self, name: str, version: str, *, master: bool) -> None:
        self._kubeadm[name] = version
        self._run_kubelet(name, version)
        if master:
            self._objects.workloads.run_control_plane(name, version)

    # --- what machines are given to do -----------------------------------------------------------------------------

    def carry_out(self, name: str, task: Task, restart: Callable[[str], None]) -> None:
        """What comes of it on the machine of this name. `restart` its API server and its etcd. Raises `RefusedTaskError`."""
        script = "\n".join(step["script"] for step in task.steps)
        installed = "\n".join(step["script"] for step in task.steps if step["name"] == "packages")
        packages = dict(_PACKAGE.findall(installed))
        verb, version = next(iter(_PROGRAM.findall(script)), ("", ""))
        match task.verb:
            case "prepare-upgrade":
                self._prepare(name, packages)
            case "upgrade":
                self._upgrade(name, verb, version, restart)
            case "upgrade-kubelet":
                self._upgrade_kubelet(name, verb, version, packages)
            case "renew":
                _require(name in self.control_planes, f"{name} is no master")
                restart(name)
            case unknown:
                raise RefusedTaskError(f"nobody knows what {unknown} is")

    def _prepare(self, name: str, packages: dict[str, str]) -> None:
        _require(packages.keys() == {"kubeadm"}, f"kubeadm alone is to be installed, and not {', '.join(packages)}")
        self._kubeadm[name] = packages["kubeadm"]

    def _upgrade(self, name: str, verb: str, version: str, restart: Callable[[str], None]) -> None:
        self._require_turn(name)
        _require(name in self.control_planes, f"{name} has no control plane")
        _require(self._kubeadm[name] == version, f"kubeadm is {self._kubeadm[name]}, and not {version}")
        _require(verb == "apply" or self.cluster == version, f"the cluster is at {self.cluster}: apply comes before node")
        restart(name)
        with self._alone:
            self._objects.workloads.run_control_plane(name, version, ready=False)
            self._write_down(version)
            if set(self.control_planes.values()) == {version}:
                self._bring_addons(version)

    def _upgrade_kubelet(self, name: str, verb: str, version: str, packages: dict[str, str]) -> None:
        self._require_turn(name)
        version = packages.get("kubelet", version)
        own = self.control_planes.get(name)
        serving = {own} if own else set(self.control_planes.values())
        _require(serving == {version}, f"kubelet {version} is newer than API servers: {', '.join(sorted(serving))}")
        _require(bool(own) or verb == "worker", "a worker's settings come with kubeadm upgrade node")
        node = self._objects.get(NODES, name)
        _require(bool(node.get("spec", {}).get("unschedulable")), f"{name} is not cordoned")
        left = [pod.name for pod in self._objects.workloads.pods if pod.node == name and not pod.mirror]
        _require(not left, f"{name} is not drained: {', '.join(left)}")
        self._kubeadm[name] = packages["kubeadm"]
        self._run_kubelet(name, version)

    def _require_turn(self, name: str) -> None:
        others = [other for other in self.away() if other != name]
        _require(not others, f"{', '.join(others)} is away, too")

    # --- as time passes --------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Addons are rolled out, and nobody's turn began before another's was over."""
        with self._alone:
            for addon in self._objects.workloads.addons.values():
                addon["status"]["observedGeneration"] = addon["metadata"]["generation"]
            away = list(self.away())
        if len(away) > 1:
            raise AssertionError(f"away at once: {', '.join(away)}")

    def away(self) -> Iterator[str]:
        """Nodes in the middle of their turns: cordoned by a run, or a master with another kubelet than control plane."""
        control_planes, kubelets = self.control_planes, self.kubelets
        for name, node in self._objects.all(NODES).items():
            cordoned = CORDONED in node["metadata"].get("annotations", {})
            if cordoned or control_planes.get(name, kubelets.get(name)) != kubelets.get(name):
                yield name

    def _run_kubelet(self, name: str, version: str) -> None:
        self._objects.all(NODES)[name]["status"]["nodeInfo"] = {"kubeletVersion": f"v{version}"}

    def _write_down(self, version: str) -> None:
        data = {"ClusterConfiguration": f"kubernetesVersion: v{version}\n"}
        self._objects.replace(CONFIG_MAPS, CONFIG, {"metadata": {"name": CONFIG}, "data": data})

    def _bring_addons(self, version: str) -> None:
        addons = self._objects.workloads.addons
        for called in ADDONS:
            generation = addons[called]["metadata"]["generation"] + 1 if called in addons else 1
            addons[called] = _addon(called.partition("/")[2], version, generation)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise RefusedTaskError(otherwise)


def _addon(name: str, version: str, generation: int) -> dict[str, Any]:
    """One that is about to be rolled out."""
    metadata = {"name": name, "generation": generation, "labels": {"version": version}}
    template = {"spec": {"containers": [{"name": name, "image": f"registry.example:5000/k8s/{name}:v{version}"}]}}
    counts = {"updatedNumberScheduled": 1, "numberAvailable": 1, "desiredNumberScheduled": 1}
    replicas = {"updatedReplicas": 1, "availableReplicas": 1}
    return {
        "metadata": metadata,
        "spec": {"template": template, "replicas": 1},
        "status": {"observedGeneration": generation - 1, **(counts if name == "kube-proxy" else replicas)},
    }
