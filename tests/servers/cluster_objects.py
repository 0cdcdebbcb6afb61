"""What a stand-in for the Kubernetes API stores: objects by collection, with the refusals that our calls must cope with.

objects = ClusterObjects()
objects.add_node("m-prod-1", "127.0.0.11", master=True)
"""

from __future__ import annotations

import threading
import time
import uuid
from base64 import b64decode
from typing import Any

from servers.refusals import RefusedError
from servers.workloads import Workloads

Object = dict[str, Any]

SECRETS = "/api/v1/namespaces/kube-system/secrets"
NODES = "/api/v1/nodes"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system"
CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
PODS = "/api/v1/namespaces/kube-system/pods"
EVENTS = "/api/v1/events"
DEPLOYMENTS = "/apis/apps/v1/namespaces/kube-system/deployments"
DAEMON_SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"
KINDS = {
    SECRETS: ("v1", "Secret"),
    NODES: ("v1", "Node"),
    CONFIG_MAPS: ("v1", "ConfigMap"),
    PODS: ("v1", "Pod"),
    EVENTS: ("v1", "Event"),
    DEPLOYMENTS: ("apps/v1", "Deployment"),
    DAEMON_SETS: ("apps/v1", "DaemonSet"),
    f"{RBAC}/roles": ("rbac.authorization.k8s.io/v1", "Role"),
    f"{RBAC}/rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding"),
}
"""Version and kind of what is in a collection."""
COLLECTIONS = tuple(KINDS)


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


class ClusterObjects:
    """Shared by the stand-ins of one cluster's masters, as etcd is by real ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Object]] = {collection: {} for collection in COLLECTIONS}
        self.workloads = Workloads()

    def add_node(self, name: str, address: str, *, master: bool = False, ready: bool = True, kubelet: str = "") -> None:
        labels = {"kubernetes.io/hostname": name}
        if master:
            labels["node-role.kubernetes.io/control-plane"] = ""
        node = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": name, "labels": labels},
            "status": {
                "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                "nodeInfo": {"kubeletVersion": kubelet},
            },
        }
        self.create(NODES, node)

    def cordon(self, *names: str) -> None:
        """These nodes and no others, by somebody who says nothing of it."""
        for name, node in self.all(NODES).items():
            self.replace(NODES, name, {**node, "spec": {"unschedulable": True} if name in names else {}})

    def configure(self, setting: str, value: str) -> None:
        """As kubeadm has written it down in the cluster, at the top of its configuration."""
        data = {"ClusterConfiguration": f"clusterName: prod\n{setting}: {value}\ndns: {{}}\n"}
        self.create(CONFIG_MAPS, {"metadata": {"name": "kubeadm-config"}, "data": data})

    def all(self, collection: str) -> dict[str, Object]:
        """By name."""
        with self._lock:
            return dict(self._objects[collection])

    def secret(self, name: str) -> dict[str, bytes]:
        """A secret's decoded data."""
        data = self.all(SECRETS)[name]["data"]
        return {key: b64decode(value, validate=True) for key, value in data.items()}

    def list(self, collection: str, limit: int, offset: int) -> Object:
        items = sorted(self.all(collection).values(), key=lambda item: str(item["metadata"]["name"]))
        end = offset + limit if limit else len(items)
        metadata = {"continue": str(end)} if end < len(items) else {}
        version, kind = KINDS[collection]
        listed = [_without(item, "apiVersion", "kind") for item in items[offset:end]]  # the list says it for all
        return {"kind": f"{kind}List", "apiVersion": version, "metadata": metadata, "items": listed}

    def get(self, collection: str, name: str) -> Object:
        try:
            return self.all(collection)[name]
        except KeyError as problem:
            raise RefusedError(404, f"{_called(collection, name)} not found") from problem

    def create(self, collection: str, document: Object) -> Object:
        _validate(collection, document)
        name = document["metadata"]["name"]
        with self._lock:
            if name in self._objects[collection]:
                raise RefusedError(409, f"{_called(collection, name)} already exists")
            return self._store(collection, document, None)

    def replace(self, collection: str, name: str, document: Object) -> Object:
        """What was read before it was changed by others is refused, as its version says."""
        _validate(collection, document)
        with self._lock:
            old = self._objects[collection].get(name)
            if old is None and not collection.startswith(RBAC):
                raise RefusedError(404, f"{_called(collection, name)} not found")
            if old is not None and old.get("type") != document.get("type"):
                raise RefusedError(422, "type: Invalid value: field is immutable")
            if old is not None and _version(document) not in ("", _version(old)):
                raise RefusedError(409, f"Operation cannot be fulfilled on {_called(collection, name)}: {MODIFIED}")
            return self._store(collection, document, old)

    def delete(self, collection: str, name: str) -> Object:
        with self._lock:
            if self._objects[collection].pop(name, None) is None:
                raise RefusedError(404, f"{_called(collection, name)} not found")
        return {"kind": "Status", "apiVersion": "v1", "status": "Success"}

    def _store(self, collection: str, document: Object, old: Object | None) -> Object:
        version, kind = KINDS[collection]
        uid = old["metadata"]["uid"] if old else str(uuid.uuid4())
        metadata = {**document["metadata"], "uid": uid, "resourceVersion": str(time.time_ns())}
        stored = {**document, "apiVersion": version, "kind": kind, "metadata": metadata}
        if not self._exchange(collection, metadata["name"], old, stored):
            raise RefusedError(409, f"Operation cannot be fulfilled on {_called(collection, metadata['name'])}: {MODIFIED}")
        return stored

    def _exchange(self, collection: str, name: str, _: Object | None, stored: Object) -> bool:
        """Whether the object was written in the old one's place: nobody else writes while the lock is held."""
        self._objects[collection][name] = stored
        return True


def _called(collection: str, name: str) -> str:
    return f'{collection.rpartition("/")[2]} "{name}"'


def _version(document: Object) -> str:
    return str(document["metadata"].get("resourceVersion", ""))


def _without(item: Object, *keys: str) -> Object:
    return {key: value for key, value in item.items() if key not in keys}


def _validate(collection: str, document: Object) -> None:
    _, kind = KINDS[collection]
    given = document.get("kind", kind)
    if given != kind:
        raise RefusedError(400, f'{given} in version "v1" cannot be handled as a {kind}')
    for owner in document["metadata"].get("ownerReferences", ()):
        if not all(owner.get(key) for key in ("apiVersion", "kind", "name", "uid")):
            raise RefusedError(422, "metadata.ownerReferences: Invalid value")
    for key, value in document.get("data", {}).items() if kind == "Secret" else ():
        try:
            b64decode(value, validate=True)
        except ValueError as problem:
            raise RefusedError(400, f"data.{key}: illegal base64 data") from problem
