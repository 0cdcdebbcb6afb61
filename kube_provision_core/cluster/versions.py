"""Which versions of Kubernetes the parts of a living cluster have, as the cluster itself shows them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .answers import CONFIG_MAPS, Calls, expect, find, items
from .kubeadm_objects import NAMESPACE
from .settings import Setting, unread
from .skew import numbers

if TYPE_CHECKING:
    from .https_client import Answer

PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
APPS = f"/apis/apps/v1/namespaces/{NAMESPACE}"

CONTROL_PLANE = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
"""What a master runs that bears the version of Kubernetes; etcd has versions of its own."""

_REQUESTED = re.compile(r"^apiserver_requested_deprecated_apis\{([^}]*)\} +1\b", re.MULTILINE)
"""As an API server counts them since it began: https://kubernetes.io/docs/reference/using-api/deprecation-policy/"""
_LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass(frozen=True, slots=True)
class StaticPod:
    """One component of one master."""

    name: str
    """Of `CONTROL_PLANE`."""
    version: str
    ready: bool


def behind(pods: Iterable[StaticPod], version: str) -> str:
    """Which component of a master is not at a version yet, or not ready; empty where all are."""
    found = {pod.name: pod for pod in pods}
    for name in CONTROL_PLANE:
        if name not in found:
            return f"{name} is not there"
        if found[name].version != version:
            return f"{name} is at {found[name].version}"
        if not found[name].ready:
            return f"{name} is not ready"
    return ""


class VersionCalls(Calls):
    def control_planes(self) -> dict[str, list[StaticPod]]:
        """By the names of their masters."""
        masters: dict[str, list[StaticPod]] = {}
        for pod in items(self._client, PODS, "does not list its control planes", labelSelector="tier=control-plane"):
            master, name = pod["spec"].get("nodeName", ""), pod["metadata"].get("labels", {}).get("component", "")
            if name in CONTROL_PLANE:
                masters.setdefault(master, []).append(StaticPod(name, _version(pod), _is_ready(pod)))
        return masters

    def behind(self, master: str, version: str) -> str:
        """Which component of a master is not at a version yet, or not ready; empty where all are."""
        return behind(self.control_planes().get(master, ()), version)

    def removed_apis(self, version: str) -> tuple[str, ...]:
        """What clients have asked for, of any master since it began, and what this version or one before does not serve."""
        answers = self._client.call_each("GET", "/metrics")
        found = {api for answer in answers for api in _removed(answer, numbers(version)[:2])}
        return tuple(sorted(found))

    def unread_settings(self) -> tuple[Setting, ...]:
        """What the cluster's programs are told that nobody but themselves can read; see `settings`."""
        return tuple(unread(self._kept("kubeadm-config", "ClusterConfiguration"), self._kept("kubelet-config", "kubelet")))

    def _kept(self, name: str, key: str) -> str:
        """What kubeadm keeps in the cluster; empty where it does not."""
        return str(find(self._client, f"{CONFIG_MAPS}/{name}", f"does not show {name}").get("data", {}).get(key, ""))

    def addons_behind(self, version: str) -> str:
        """Which of CoreDNS and kube-proxy is not what a version brings, or not everywhere yet; empty where all is.

        A cluster may have others in their place.
        """
        proxy = self._addon("daemonsets/kube-proxy")
        if proxy and _version(proxy["spec"]["template"]) != version:
            return f"kube-proxy is at {_version(proxy['spec']['template'])}"
        rolling = [it["metadata"]["name"] for it in (proxy, self._addon("deployments/coredns")) if it and _is_rolling(it)]
        return f"{' and '.join(rolling)} {'is' if len(rolling) == 1 else 'are'} being rolled out" if rolling else ""

    def _addon(self, name: str) -> dict[str, Any]:
        return find(self._client, f"{APPS}/{name}", f"does not show {name}")


def _version(pod: Mapping[str, Any]) -> str:
    """That of its image, by its tag."""
    image = str(pod["spec"]["containers"][0]["image"]).partition("@")[0]
    return image.rpartition(":")[2].removeprefix("v")


def _is_ready(pod: Mapping[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(entry["type"] == "Ready" and entry["status"] == "True" for entry in conditions)


def _is_rolling(addon: Mapping[str, Any]) -> bool:
    """Of a DaemonSet or a Deployment: whether not all of its pods are new ones that are ready."""
    status = addon.get("status", {})
    if status.get("observedGeneration", 0) < addon["metadata"].get("generation", 0):
        return True
    wanted = status.get("desiredNumberScheduled", addon["spec"].get("replicas", 1))
    updated = status.get("updatedNumberScheduled", status.get("updatedReplicas", 0))
    available = status.get("numberAvailable", status.get("availableReplicas", 0))
    return bool(min(updated, available) < wanted)


def _removed(answer: Answer, minor: tuple[int, ...]) -> Iterator[str]:
    """`v1beta3 flowschemas.flowcontrol.apiserver.k8s.io (removed in 1.32)`."""
    if answer.status != 200:
        expect(answer, "does not show its metrics")
    for labels in _REQUESTED.findall(answer.body.decode(errors="replace")):
        it = dict(_LABEL.findall(labels))
        release = it.get("removed_release", "")
        if release and numbers(release) <= minor:
            name = f"{it.get('resource', '')}.{it['group']}" if it.get("group") else it.get("resource", "")
            yield f"{it.get('version', '')} {name} (removed in {release})"
