"""A strict stand-in for the API of a cluster's masters, as far as discovery by it goes.

store = Store()
store.apply(documents)
with DiscoveryApi(pki, "127.9.9.1", store) as api: ...

Tokens are judged by the Secrets that lie there, rights by the Roles and RoleBindings; what none of them allows is forbidden.
Writes meet conflicts, and watches tell of changes.
"""

from __future__ import annotations

import json
import re
import threading
import time
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from copy import deepcopy
from datetime import datetime
from typing import Any

from servers.control_plane import ADMINISTRATORS, Call, ControlPlaneServer
from servers.refusals import RefusedError

from kube_provision_core.folder.pki import Pki

Object = dict[str, Any]

RBAC, LEASES, SLICES = "rbac.authorization.k8s.io", "coordination.k8s.io", "discovery.k8s.io"
KINDS = {
    "configmaps": ("", "v1", "ConfigMap"),
    "secrets": ("", "v1", "Secret"),
    "roles": (RBAC, "v1", "Role"),
    "rolebindings": (RBAC, "v1", "RoleBinding"),
    "leases": (LEASES, "v1", "Lease"),
    "endpointslices": (SLICES, "v1", "EndpointSlice"),
}
"""Group, version and kind by resource, of what lies in a namespace."""
_PATH = re.compile(
    r"/(?:api/v1|apis/(?P<group>[a-z0-9.]+)/v1)"
    r"/(?:(?P<cluster>namespaces)(?:/(?P<whole>[^/]+))?|namespaces/(?P<namespace>[^/]+)/(?P<resource>[a-z]+)(?:/(?P<name>[^/]+))?)"
)
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?")
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_WAIT = 0.2


class Store:
    """What the masters of one cluster share."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self._revision = 100
        self.objects: dict[tuple[str, str], dict[str, Object]] = {}
        """By namespace and resource, then by name."""
        self.namespaces = {"default", "kube-system"}

    def put(self, namespace: str, resource: str, document: Object) -> Object:
        with self.changed:
            self._revision += 1
            metadata = {**document["metadata"], "namespace": namespace, "resourceVersion": str(self._revision)}
            group, version, kind = KINDS[resource]
            full = {**document, "apiVersion": f"{group}/{version}".lstrip("/"), "kind": kind, "metadata": metadata}
            self.objects.setdefault((namespace, resource), {})[metadata["name"]] = full
            self.changed.notify_all()
            return deepcopy(full)

    def get(self, namespace: str, resource: str, name: str) -> Object | None:
        with self.changed:
            return deepcopy(self.objects.get((namespace, resource), {}).get(name))

    def all(self, namespace: str, resource: str) -> list[Object]:
        with self.changed:
            return deepcopy(list(self.objects.get((namespace, resource), {}).values()))

    def remove(self, namespace: str, resource: str, name: str) -> None:
        with self.changed:
            self.objects.get((namespace, resource), {}).pop(name, None)
            self.changed.notify_all()

    def apply(self, documents: Iterable[Object]) -> None:
        """As an administrator does, namespaces first."""
        resources = {kind: resource for resource, (_, _, kind) in KINDS.items()}
        for document in documents:
            metadata = document["metadata"]
            if document["kind"] == "Namespace":
                self.namespaces.add(metadata["name"])
            else:
                resource = resources[document["kind"]]
                self.put(metadata["namespace"], resource, _checked(resource, document))

    def serve_at(self, *addresses: str) -> None:
        """As API servers keep it themselves."""
        endpoints = [{"addresses": [address], "conditions": {"ready": True}} for address in addresses]
        self.put(
            "default", "endpointslices", {"metadata": {"name": "kubernetes"}, "addressType": "IPv4", "endpoints": endpoints}
        )


class DiscoveryApi(ControlPlaneServer):
    """One master's. Masters of a cluster share the store."""

    def __init__(self, pki: Pki, address: str, store: Store, port: int = 0) -> None:
        super().__init__(pki, address, port)
        self.store = store

    def answer(self, call: Call) -> tuple[int, Any]:
        match = _PATH.fullmatch(call.path)
        if match is None:
            raise RefusedError(404, "the server could not find the requested resource")
        groups = self._groups(call)
        if match["cluster"]:
            return self._namespace(call, groups, match["whole"])
        namespace, resource, name = match["namespace"], match["resource"], match["name"] or ""
        if resource not in KINDS or KINDS[resource][0] != (match["group"] or ""):
            raise RefusedError(404, "the server could not find the requested resource")
        watches = "watch" in call.query
        selected = dict(it.split("=", 1) for it in call.query.get("fieldSelector", [])).get("metadata.name", "")
        verb = ("watch" if watches else "get" if name else "list") if call.method == "GET" else _VERBS[call.method]
        if not self._may(groups, verb, namespace, resource, name or selected):
            raise RefusedError(403, f'{resource} "{name}" is forbidden: User "{call.user}" cannot {verb} it in {namespace}')
        if watches:
            return 200, self._watch(call, namespace, resource, selected)
        with self.store.changed:
            return self._act(call, namespace, resource, name)

    # --- who asks, and what he may ----------------------------------------------------------------------------------

    def _groups(self, call: Call) -> frozenset[str]:
        if not call.token:
            return call.groups or frozenset({"system:unauthenticated"})
        identity, _, secret = call.token.partition(".")
        found = self.store.get("kube-system", "secrets", f"bootstrap-token-{identity}")
        data = {key: b64decode(value).decode() for key, value in (found or {}).get("data", {}).items()}
        if not data or data.get("token-secret") != secret or data.get("usage-bootstrap-authentication") != "true":
            raise RefusedError(401, "Unauthorized")
        more = data.get("auth-extra-groups", "")
        return frozenset({"system:bootstrappers", "system:authenticated", *filter(None, more.split(","))})

    def _may(self, groups: frozenset[str], verb: str, namespace: str, resource: str, name: str) -> bool:
        if ADMINISTRATORS & groups:
            return True
        for binding in self.store.all(namespace, "rolebindings"):
            bound = {it["name"] for it in binding["subjects"] if it["kind"] == "Group" and it["apiGroup"] == RBAC}
            role = self.store.get(namespace, "roles", binding["roleRef"]["name"])
            if bound & groups and role and any(self._allows(rule, verb, resource, name) for rule in role["rules"]):
                return True
        return False

    @staticmethod
    def _allows(rule: Object, verb: str, resource: str, name: str) -> bool:
        names = rule.get("resourceNames")
        return (
            KINDS[resource][0] in rule["apiGroups"]
            and resource in rule["resources"]
            and verb in rule["verbs"]
            and (not names or name in names)
        )

    # --- what is done -----------------------------------------------------------------------------------------------

    def _namespace(self, call: Call, groups: frozenset[str], name: str | None) -> tuple[int, Any]:
        if not ADMINISTRATORS & groups or call.method != "POST" or name:
            raise RefusedError(403, "namespaces is forbidden")
        made = call.document["metadata"]["name"]
        if made in self.store.namespaces:
            raise RefusedError(409, f'namespaces "{made}" already exists')
        self.store.namespaces.add(made)
        return 201, call.document

    def _act(self, call: Call, namespace: str, resource: str, name: str) -> tuple[int, Any]:
        old = self.store.get(namespace, resource, name)
        called = f'{resource} "{name}"'
        if call.method == "POST":
            return 201, self._create(call, namespace, resource)
        if not name:
            return 200, {"kind": f"{KINDS[resource][2]}List", "items": self.store.all(namespace, resource)}
        if old is None:
            raise RefusedError(404, f"{called} not found")
        if call.method == "GET":
            return 200, old
        if call.method == "DELETE":
            return 200, self._delete(call, namespace, resource, old)
        if call.method == "PATCH":
            if call.form != "application/merge-patch+json":
                raise RefusedError(415, "the body of the request was in an unknown format")
            document = _merged(old, call.document)
        else:
            document = call.document
            if call.document["metadata"].get("name") != name:
                raise RefusedError(400, "the name of the object does not match the name on the URL")
        if document["metadata"].get("resourceVersion", version_of(old)) != version_of(old):
            raise RefusedError(409, f"Operation cannot be fulfilled on {called}: the object has been modified")
        return 200, self._store(namespace, resource, document)

    def _create(self, call: Call, namespace: str, resource: str) -> Object:
        name = call.document["metadata"]["name"]
        if namespace not in self.store.namespaces:
            raise RefusedError(404, f'namespaces "{namespace}" not found')
        if self.store.get(namespace, resource, name):
            raise RefusedError(409, f'{resource} "{name}" already exists')
        if "resourceVersion" in call.document["metadata"]:
            raise RefusedError(400, "resourceVersion should not be set on objects to be created")
        return self._store(namespace, resource, call.document)

    def _delete(self, call: Call, namespace: str, resource: str, old: Object) -> Object:
        wanted = call.document.get("preconditions", {}).get("resourceVersion", version_of(old))
        if wanted != version_of(old):
            raise RefusedError(409, "Precondition failed: resourceVersion")
        self.store.remove(namespace, resource, old["metadata"]["name"])
        return {"kind": "Status", "status": "Success"}

    def _store(self, namespace: str, resource: str, document: Object) -> Object:
        group, version, kind = KINDS[resource]
        if document.get("kind") != kind or document.get("apiVersion") != f"{group}/{version}".lstrip("/"):
            raise RefusedError(400, f"the object provided is unrecognized: {document.get('kind')}")
        if not _NAME.fullmatch(document["metadata"]["name"]):
            raise RefusedError(422, "metadata.name: Invalid value")
        if document["metadata"].get("namespace", namespace) != namespace:
            raise RefusedError(400, "the namespace of the object does not match the namespace on the request")
        return self.store.put(namespace, resource, _checked(resource, document))

    def _watch(self, call: Call, namespace: str, resource: str, name: str) -> str:
        """The first event after that version, as soon as there is one; nothing once the time is over."""
        since = int(call.query.get("resourceVersion", ["0"])[0] or 0)
        deadline = time.monotonic() + int(call.query["timeoutSeconds"][0])
        was = since > 0
        with self.store.changed:
            while time.monotonic() < deadline and not self._stopping.is_set():
                found = self.store.get(namespace, resource, name)
                if found is None and was:
                    return json.dumps({"type": "DELETED", "object": {}}) + "\n"
                if found is not None and int(version_of(found)) > since:
                    return json.dumps({"type": "MODIFIED" if was else "ADDED", "object": found}) + "\n"
                self.store.changed.wait(_WAIT)
        return ""


def version_of(document: Object) -> str:
    return str(document["metadata"]["resourceVersion"])


def _merged(old: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def _config_map(document: Object) -> Object:
    for key, value in document.get("data", {}).items():
        if not re.fullmatch(r"[-._a-zA-Z0-9]+", key) or not isinstance(value, str):
            raise RefusedError(422, f"data[{key}]: Invalid value")
    return document


def _secret(document: Object) -> Object:
    given = {key: b64encode(value.encode()).decode() for key, value in document.get("stringData", {}).items()}
    kept = {key: value for key, value in document.items() if key != "stringData"}
    return kept | {"data": document.get("data", {}) | given}


def _lease(document: Object) -> Object:
    spec = document["spec"]
    strange = set(spec) - {"holderIdentity", "leaseDurationSeconds", "acquireTime", "renewTime", "leaseTransitions"}
    duration = spec.get("leaseDurationSeconds")
    if strange or type(duration) is not int or duration <= 0 or not isinstance(spec.get("holderIdentity", ""), str):
        raise RefusedError(422, "spec: Invalid value")
    for key in ("acquireTime", "renewTime"):
        try:
            datetime.strptime(spec[key], "%Y-%m-%dT%H:%M:%S.%fZ")
        except (KeyError, ValueError) as problem:
            raise RefusedError(400, f"Lease in version v1 cannot be handled: spec.{key}: {problem}") from problem
    return document


_CHECKS: dict[str, Callable[[Object], Object]] = {"configmaps": _config_map, "secrets": _secret, "leases": _lease}


def _checked(resource: str, document: Object) -> Object:
    """As it is kept. Raises `RefusedError`."""
    return _CHECKS[resource](document) if resource in _CHECKS else document
