"""What a stand-in for the Kubernetes API stores: objects by collection, with the refusals that our calls must cope with.

objects = ClusterObjects()
objects.add_node("m-prod-1", "127.0.0.11", master=True)
"""

from __future__ import annotations

import threading
import uuid
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]

SECRETS = "/api/v1/namespaces/kube-system/secrets"
NODES = "/api/v1/nodes"
RBAC = "/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system"
CONFIG_MAPS = "/api/v1/namespaces/kube-system/configmaps"
COLLECTIONS = (SECRETS, NODES, CONFIG_MAPS, f"{RBAC}/roles", f"{RBAC}/rolebindings")


@dataclass
class RefusedError(Exception):
    """An answer that is no success, as the API gives it."""

    status: int
    message: str


class ClusterObjects:
    """Shared by the stand-ins of one cluster's masters, as etcd is by real ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, Object]] = {collection: {} for collection in COLLECTIONS}
        self._version = 0

    def add_node(self, name: str, address: str, *, master: bool = False, ready: bool = True) -> None:
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
            },
        }
        self.create(NODES, node)

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
        return {"kind": "List", "metadata": metadata, "items": items[offset:end]}

    def get(self, collection: str, name: str) -> Object:
        try:
            return self.all(collection)[name]
        except KeyError as problem:
            raise RefusedError(404, f"{name} not found") from problem

    def create(self, collection: str, document: Object) -> Object:
        _validate(document)
        name = document["metadata"]["name"]
        with self._lock:
            if name in self._objects[collection]:
                raise RefusedError(409, f"{name} already exists")
            return self._store(collection, document, str(uuid.uuid4()))

    def replace(self, collection: str, name: str, document: Object) -> Object:
        _validate(document)
        with self._lock:
            old = self._objects[collection].get(name)
            if old is None and not collection.startswith(RBAC):
                raise RefusedError(404, f"{name} not found")
            if old is not None and old.get("type") != document.get("type"):
                raise RefusedError(422, "type: Invalid value: field is immutable")
            return self._store(collection, document, old["metadata"]["uid"] if old else str(uuid.uuid4()))

    def delete(self, collection: str, name: str) -> Object:
        with self._lock:
            if self._objects[collection].pop(name, None) is None:
                raise RefusedError(404, f"{name} not found")
        return {"kind": "Status", "status": "Success"}

    def _store(self, collection: str, document: Object, uid: str) -> Object:
        self._version += 1
        metadata = {**document["metadata"], "uid": uid, "resourceVersion": str(self._version)}
        stored = {**document, "metadata": metadata}
        self._objects[collection][metadata["name"]] = stored
        return stored


def _validate(document: Object) -> None:
    for owner in document["metadata"].get("ownerReferences", ()):
        if not all(owner.get(key) for key in ("apiVersion", "kind", "name", "uid")):
            raise RefusedError(422, "metadata.ownerReferences: Invalid value")
    secret = document.get("kind") != "ConfigMap"
    for key, value in document.get("data", {}).items() if secret else ():
        try:
            b64decode(value, validate=True)
        except ValueError as problem:
            raise RefusedError(400, f"data.{key}: illegal base64 data") from problem
