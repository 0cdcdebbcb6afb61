"""Pods, disruption budgets and attached volumes of a stand-in for the Kubernetes API, and the eviction of pods.

    objects.workloads.run("web-0", "w-prod-1", controller="ReplicaSet", labels={"app": "web"})
    objects.workloads.guard("web", {"app": "web"}, minimum=2)

Whoever has a controller comes again on another node, and is ready when `settle` says so.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

from servers.refusals import RefusedError

if TYPE_CHECKING:
    from servers.cluster_objects import ClusterObjects
    from servers.control_plane import Call

Object = dict[str, Any]
Answered = tuple[int, Any]

MERGE_PATCH = "application/merge-patch+json"
PATCHES = 5
"""How often one that names no version is tried, as the API server does it, before whoever sent it hears of a conflict."""
NODES = "/api/v1/nodes"
STORED_PODS = "/api/v1/namespaces/kube-system/pods"
STORED_DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments"


@dataclass
class Running:
    """A pod."""

    name: str
    node: str
    namespace: str = "default"
    controller: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    empty_dir: bool = False
    mirror: bool = False
    ready: bool = True
    phase: str = "Running"
    ending: bool = False
    image: str = ""
    tolerations: tuple[Object, ...] = ()
    wanted_labels: Mapping[str, str] = field(default_factory=dict)
    lingers: bool = False
    """Its processes take their time: it stays, ending, until `settle`."""

    @property
    def document(self) -> Object:
        owner = {"apiVersion": "apps/v1", "kind": self.controller, "name": "owner", "uid": "1", "controller": True}
        return {
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": dict(self.labels),
                **({"ownerReferences": [owner]} if self.controller else {}),
                **({"annotations": {"kubernetes.io/config.mirror": "1"}} if self.mirror else {}),
                **({"deletionTimestamp": "2026-01-01T00:00:00Z"} if self.ending else {}),
            },
            "spec": {
                "nodeName": self.node,
                "containers": [{"name": self.name, "image": self.image}],
                "volumes": [{"name": "data", "emptyDir": {}}] if self.empty_dir else [],
                "tolerations": list(self.tolerations),
                "nodeSelector": dict(self.wanted_labels),
            },
            "status": {
                "phase": self.phase,
                "conditions": [{"type": "Ready", "status": "True" if self.ready else "False"}],
            },
        }


@dataclass
class Budget:
    name: str
    selector: Mapping[str, str]
    minimum: int
    namespace: str = "default"

    def matches(self, pod: Running) -> bool:
        return pod.namespace == self.namespace and self.selector.items() <= pod.labels.items()


class Workloads:
    def __init__(self) -> None:
        self.pods: list[Running] = []
        self.budgets: list[Budget] = []
        self.deployments: dict[str, tuple[Mapping[str, str], int]] = {}
        """Labels and the number of pods that are wanted, by name."""
        self.addons: dict[str, Object] = {}
        """By kind and name, such as `daemonsets/kube-proxy`."""
        self.attachments: dict[str, str] = {}
        """Node by persistent volume."""
        self.evicted: list[str] = []
        self._numbers = count(1)
        self._lock = threading.RLock()

    def run(self, name: str, node: str, **more: Any) -> Running:
        pod = Running(name, node, **more)
        with self._lock:
            self.pods.append(pod)
        return pod

    def guard(self, name: str, selector: Mapping[str, str], minimum: int) -> None:
        self.budgets.append(Budget(name, selector, minimum))

    def run_control_plane(self, master: str, version: str, *, ready: bool = True) -> None:
        """The static pods of a master, in place of those that it has."""
        with self._lock:
            self.pods = [pod for pod in self.pods if not (pod.mirror and pod.node == master)]
            for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"):
                labels = {"component": name, "tier": "control-plane"}
                more = {"namespace": "kube-system", "mirror": True, "labels": labels, "ready": ready}
                tag = "3.6.8-0" if name == "etcd" else f"v{version}"
                self.run(f"{name}-{master}", master, image=f"registry.example:5000/k8s/{name}:{tag}", **more)

    def clear(self) -> None:
        """All pods that no kubelet runs by itself."""
        with self._lock:
            self.pods = [pod for pod in self.pods if pod.mirror]

    def settle(self) -> None:
        """Time passes: who ends has ended, who begins is ready."""
        with self._lock:
            self.pods = [pod for pod in self.pods if not pod.ending]
            for pod in self.pods:
                pod.ready = True

    def on(self, node: str) -> set[str]:
        return {pod.name for pod in self.pods if pod.node == node}

    def act(self, call: Call, objects: ClusterObjects) -> Answered | None:
        """None for what does not concern it."""
        parts = call.path.strip("/").split("/")
        match (call.method, parts):
            case ("PATCH", ["api", "v1", "nodes", name]):
                return self._patch(call, objects, name)
            case ("GET", ["api", "v1", "pods"]):
                return self._pods(call, objects)
            case ("GET", ["api", "v1", "namespaces", namespace, "pods"]):
                return self._pods(call, objects, namespace)
            case ("GET", ["apis", "apps", "v1", "namespaces", namespace, "deployments"]):
                return self._deployments(call, objects, namespace)
            case ("GET", ["apis", "apps", "v1", "namespaces", "kube-system", kind, name]):
                return self._addon(call, objects, f"{kind}/{name}")
            case ("POST", ["api", "v1", "namespaces", namespace, "pods", name, "eviction"]):
                return self._evict(call, objects, namespace, name)
            case ("GET", ["apis", "policy", "v1", "poddisruptionbudgets"]):
                return 200, _list("policy/v1", "PodDisruptionBudget", [self._status(budget) for budget in self.budgets])
            case ("GET", ["apis", "storage.k8s.io", "v1", "volumeattachments"]):
                return 200, _list("storage.k8s.io/v1", "VolumeAttachment", self._attached())
        return None

    def _patch(self, call: Call, objects: ClusterObjects, name: str) -> Answered:
        if call.form != MERGE_PATCH:
            raise RefusedError(415, "the body of the request was in an unknown format")
        for _ in range(PATCHES - 1):
            with suppress(RefusedError):  # somebody else has changed it since it was read
                return 200, objects.replace(NODES, name, _merged(objects.get(NODES, name), call.document))
        return 200, objects.replace(NODES, name, _merged(objects.get(NODES, name), call.document))

    def _addon(self, call: Call, objects: ClusterObjects, called: str) -> Answered:
        """One that is kept here, or among the cluster's objects."""
        if called in self.addons:
            return 200, self.addons[called]
        collection, _, name = call.path.rpartition("/")
        return 200, objects.get(collection, name)

    def _pods(self, call: Call, objects: ClusterObjects, namespace: str = "") -> Answered:
        """Those that run here, and those that kubelets have told of."""
        key, _, node = call.query.get("fieldSelector", [""])[0].partition("=")
        if key not in ("", "spec.nodeName"):
            raise RefusedError(400, f"field label not supported: {key}")
        with self._lock:
            running = [pod.document for pod in self.pods]
        found = [
            pod
            for pod in [*running, *objects.all(STORED_PODS).values()]
            if namespace in ("", pod["metadata"]["namespace"]) and node in ("", pod["spec"]["nodeName"])
        ]
        return 200, _list("v1", "Pod", list(_selected(call, found)))

    def _deployments(self, call: Call, objects: ClusterObjects, namespace: str) -> Answered:
        running = [
            {"metadata": {"name": name, "namespace": namespace, "labels": dict(labels)}, "spec": {"replicas": wanted}}
            for name, (labels, wanted) in self.deployments.items()
        ]
        stored = objects.all(STORED_DEPLOYMENTS).values()
        found = [*running, *(it for it in stored if it["metadata"]["namespace"] == namespace)]
        return 200, _list("apps/v1", "Deployment", list(_selected(call, found)))

    def _evict(self, call: Call, objects: ClusterObjects, namespace: str, name: str) -> Answered:
        document = call.document
        if (document.get("apiVersion"), document.get("kind")) != ("policy/v1", "Eviction"):
            raise RefusedError(400, "the object provided is unrecognized")
        if document["metadata"]["name"] != name:
            raise RefusedError(400, "the name of the object does not match the name on the URL")
        with self._lock:
            pod = next((pod for pod in self.pods if (pod.namespace, pod.name) == (namespace, name)), None)
            if pod is None:
                raise RefusedError(404, f'pods "{name}" not found')
            if not pod.ending and pod.phase == "Running":
                self._ask_budgets(pod)
            if document.get("deleteOptions", {}).get("dryRun") != ["All"]:
                self._end(pod, objects)
        return 201, {"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}

    def _ask_budgets(self, pod: Running) -> None:
        mine = [budget for budget in self.budgets if budget.matches(pod)]
        if len(mine) > 1:
            trouble = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
            raise RefusedError(500, trouble)
        for budget in mine:
            healthy = sum(budget.matches(other) and other.ready and not other.ending for other in self.pods)
            if pod.ready and healthy <= budget.minimum:
                raise _over_budget(budget.name, f"needs {budget.minimum} healthy pods and has {healthy} currently")

    def _end(self, pod: Running, objects: ClusterObjects) -> None:
        if pod.ending:
            return
        self.evicted.append(pod.name)
        pod.ending = True
        pod.ready = pod.ready and pod.lingers
        if not pod.lingers:
            self.pods.remove(pod)
        if pod.controller:
            nodes = objects.all(NODES)
            places = [name for name, node in nodes.items() if not node.get("spec", {}).get("unschedulable")]
            others = [name for name in sorted(places) if name != pod.node] or [""]
            name = f"{pod.name}-{next(self._numbers)}"
            self.run(name, others[0], namespace=pod.namespace, controller=pod.controller, labels=pod.labels, ready=False)

    def _status(self, budget: Budget) -> Object:
        mine = [pod for pod in self.pods if budget.matches(pod)]
        healthy = sum(pod.ready and not pod.ending for pod in mine)
        return {
            "metadata": {"name": budget.name, "namespace": budget.namespace},
            "spec": {"minAvailable": budget.minimum, "selector": {"matchLabels": dict(budget.selector)}},
            "status": {
                "desiredHealthy": budget.minimum,
                "currentHealthy": healthy,
                "expectedPods": len(mine),
                "disruptionsAllowed": max(0, healthy - budget.minimum),
            },
        }

    def _attached(self) -> list[Object]:
        return [
            {"metadata": {"name": f"csi-{volume}"}, "spec": {"nodeName": node, "source": {"persistentVolumeName": volume}}}
            for volume, node in self.attachments.items()
        ]


def _merged(old: Object, patch: Object) -> Object:
    """RFC 7386: null takes a key away."""
    new = dict(old)
    for key, value in patch.items():
        if isinstance(value, dict):
            new[key] = _merged(new.get(key) or {}, value)
        elif value is None:
            new.pop(key, None)
        else:
            new[key] = value
    return new


def _selected(call: Call, found: Iterable[Object]) -> Iterator[Object]:
    """What has all the labels that are asked for."""
    wanted = dict(part.split("=", 1) for part in call.query.get("labelSelector", [""])[0].split(",") if part)
    return (it for it in found if wanted.items() <= it["metadata"].get("labels", {}).items())


def _over_budget(name: str, needs: str) -> RefusedError:
    cause = {"reason": "DisruptionBudget", "message": f"The disruption budget {name} {needs}"}
    more = {"reason": "TooManyRequests", "details": {"causes": [cause]}}
    return RefusedError(429, "Cannot evict pod as it would violate the pod's disruption budget.", more)


def _list(version: str, kind: str, found: list[Object]) -> Object:
    return {"apiVersion": version, "kind": f"{kind}List", "metadata": {}, "items": found}
