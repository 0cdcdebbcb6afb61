"""What a living cluster's API shows of it that anybody may see: picked out piece by piece, so that no key which comes with a
new version, no environment, no argument and no annotation is among it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import yaml

from ..contract.errors import ControlPlaneError
from .answers import CONFIG_MAPS, NODES, Calls, expect, items

Object = Mapping[str, Any]

PODS, EVENTS = "/api/v1/pods", "/api/v1/events"

UNREADY = (500, 503)

_NODE = {
    "metadata": ("name", "labels", "creationTimestamp", "deletionTimestamp"),
    "spec": ("taints", "unschedulable", "podCIDRs"),
    "status": ("conditions", "addresses", "nodeInfo", "capacity", "allocatable"),
}
_POD = {
    "metadata": ("namespace", "name", "creationTimestamp", "deletionTimestamp"),
    "spec": ("nodeName", "hostNetwork", "priorityClassName"),
    "status": ("phase", "reason", "message", "podIP", "startTime", "conditions"),
}
_CONTAINER = ("name", "image", "imageID", "ready", "restartCount")
_STATE = {
    "waiting": ("reason", "message"),
    "running": ("startedAt",),
    "terminated": ("reason", "exitCode", "signal", "startedAt", "finishedAt"),
}
"""What a program has left as its last message is nobody else's."""
_EVENT = ("type", "reason", "message", "count", "firstTimestamp", "lastTimestamp", "eventTime", "source")
_OBJECT = ("kind", "namespace", "name")


class Inventory(Calls):
    @property
    def questions(self) -> Mapping[str, Callable[[], object]]:
        """All of them, by the names of files."""
        configs = {f"{name}.txt": partial(self.config_map, name) for name in ("kubeadm-config", "kubelet-config")}
        return {
            "version.json": self.version,
            "readyz.txt": self.readiness,
            **configs,
            "nodes.json": self.nodes,
            "pods.json": self.pods,
            "events.json": self.events,
        }

    def version(self) -> Object:
        return expect(self._client.call("GET", "/version"), "does not say its version").document

    def readiness(self) -> str:
        """Each check of the API server that answers, also where it is not ready."""
        return self._client.call("GET", "/readyz?verbose", refusals=UNREADY).body.decode(errors="replace")

    def config_map(self, name: str) -> str:
        """What kubeadm keeps there for all nodes, of environments the names alone."""
        answer = expect(self._client.call("GET", f"{CONFIG_MAPS}/{name}"), f"does not show {name}")
        texts = (answer.document.get("data") or {}).values()
        try:
            kept = [_without_environments(yaml.safe_load(str(text))) for text in texts]
        except yaml.YAMLError as error:
            raise ControlPlaneError(f"{name} is no YAML") from error
        return "---\n".join(yaml.safe_dump(it, sort_keys=False) for it in kept)

    def nodes(self) -> Sequence[Object]:
        return [_picked(it, _NODE) for it in items(self._client, NODES, "does not list its nodes")]

    def pods(self) -> Sequence[Object]:
        return [_pod(it) for it in items(self._client, PODS, "does not list its pods")]

    def events(self) -> Sequence[Object]:
        """The cluster keeps them for an hour. In the order in which they happened last."""
        found = [_event(it) for it in items(self._client, EVENTS, "does not list its events")]
        return sorted(found, key=lambda it: str(it.get("lastTimestamp") or it.get("eventTime") or ""))


def _pod(pod: Object) -> Object:
    status = pod.get("status") or {}
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    owners = [_among(it, ("kind", "name")) for it in pod.get("metadata", {}).get("ownerReferences") or ()]
    return {**_picked(pod, _POD), "owners": owners, "containers": [_container(it) for it in containers]}


def _container(status: Object) -> Object:
    states = {name: _picked(status[name], _STATE) for name in ("state", "lastState") if status.get(name)}
    return {**_among(status, _CONTAINER), **states}


def _event(event: Object) -> Object:
    return {"object": _among(event.get("involvedObject") or {}, _OBJECT), **_among(event, _EVENT)}


def _without_environments(value: object) -> object:
    if isinstance(value, list):
        return [_without_environments(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {key: _names(item) if key == "extraEnvs" else _without_environments(item) for key, item in value.items()}


def _names(variables: object) -> Sequence[Object]:
    return [_among(it, ("name",)) for it in variables if isinstance(it, dict)] if isinstance(variables, list) else []


def _picked(it: Object, keys: Mapping[str, Sequence[str]]) -> Object:
    return {part: _among(it[part], names) for part, names in keys.items() if it.get(part)}


def _among(it: Object, names: Sequence[str]) -> Object:
    return {name: it[name] for name in names if name in it}
