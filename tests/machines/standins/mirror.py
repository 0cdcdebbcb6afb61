"""What the API server shows of a kubelet's static pods: mirror pods, and whether they are ready."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Mapping
from http.client import HTTPException, HTTPSConnection
from typing import Any

import yaml
from machines.standins.api import PODS, Api
from machines.standins.etcd import Etcd, EtcdError

HASH = "kubernetes.io/config.hash"
PAGES = {
    "kube-apiserver": (6443, "/readyz"),
    "kube-controller-manager": (10257, "/healthz"),
    "kube-scheduler": (10259, "/healthz"),
}


class Shown:
    """What was told last, so that it is told again only where it has changed."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def update(self, api: Api, node: str, running: Mapping[str, str]) -> bool:
        """`running`: manifests by name. Whether all of them are ready.

        Raises `StandInError`, `OSError` or `HTTPException`.
        """
        wanted = {f"{name}-{node}": _pod(manifest, node) for name, manifest in running.items()}
        for name in self._told.keys() - wanted.keys():
            api.call("DELETE", f"{PODS}/{name}")
            del self._told[name]
        for name, pod in wanted.items():
            if self._told.get(name) != (text := json.dumps(pod, sort_keys=True)):
                api.put(PODS, pod)
                self._told[name] = text
        return all(pod["status"]["conditions"][0]["status"] == "True" for pod in wanted.values())


def digest(manifest: str) -> str:
    """What tells two manifests apart."""
    return hashlib.sha256(manifest.encode()).hexdigest()[:12]


def _pod(manifest: str, node: str) -> dict[str, Any]:
    pod: dict[str, Any] = yaml.safe_load(manifest)
    name, metadata = pod["metadata"]["name"], pod["metadata"]
    known = {HASH: digest(manifest), "kubernetes.io/config.mirror": digest(manifest), "kubernetes.io/config.source": "file"}
    ready = {"type": "Ready", "status": "True" if _is_ready(name) else "False"}
    return pod | {
        "metadata": metadata | {"name": f"{name}-{node}", "annotations": metadata.get("annotations", {}) | known},
        "spec": pod["spec"] | {"nodeName": node},
        "status": {"phase": "Running", "conditions": [ready]},
    }


def _is_ready(name: str) -> bool:
    """As its probe sees it."""
    if name == "etcd":
        try:
            Etcd().check()
        except (EtcdError, OSError):
            return False
        return True
    port, page = PAGES[name]
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = HTTPSConnection("127.0.0.1", port, timeout=2, context=context)
    try:
        connection.request("GET", page)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
