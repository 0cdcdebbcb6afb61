"""The pods on a node, and what the cluster lets go: cordon, evict, budgets, volumes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from .answers import NODES, NOT_FOUND, TOO_MANY_REQUESTS, Calls, expect, find, items, patch
from .cordon import CORDONED, Purpose, is_ours, purpose
from .https_client import Answer
from .places import Place, place, selector
from .pods import Budget, Pod

PODS = "/api/v1/pods"
BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
ATTACHMENTS = "/apis/storage.k8s.io/v1/volumeattachments"

_FINISHED = ("Succeeded", "Failed")
_MIRROR = "kubernetes.io/config.mirror"


class Workloads(Calls):
    def cordon(self, node: str, why: Purpose) -> None:
        """Have no more pods begin there; what somebody else has cordoned stays so. A node that nobody knows is fine."""
        document = self._node(node)
        free = bool(document) and not document.get("spec", {}).get("unschedulable")
        if free or (is_ours(document) and purpose(document) is not why):
            change = {"metadata": {"annotations": {CORDONED: why.value}}, "spec": {"unschedulable": True}}
            patch(self._client, _node(node), change, f"does not cordon node {node}")

    def uncordon(self, node: str) -> bool:
        """Let pods begin there again. False where somebody else has cordoned it, and it stays so. Idempotent."""
        document = self._node(node)
        if is_ours(document):
            change = {"metadata": {"annotations": {CORDONED: None}}, "spec": {"unschedulable": None}}
            patch(self._client, _node(node), change, f"does not uncordon node {node}")
            return True
        return not document.get("spec", {}).get("unschedulable")

    def hears_from(self, node: str) -> bool:
        """Whether the node's kubelet has told of itself of late, as far as the cluster knows."""
        document = expect(self._client.call("GET", _node(node)), f"does not show node {node}").document
        conditions = document.get("status", {}).get("conditions") or ()
        return not any(entry["type"] == "Ready" and entry["status"] == "Unknown" for entry in conditions)

    def on(self, node: str) -> tuple[Pod, ...]:
        """Every pod that is bound to the node."""
        found = items(self._client, PODS, f"does not list the pods of {node}", fieldSelector=f"spec.nodeName={node}")
        return tuple(map(_pod, found))

    def labelled(self, namespace: str, selector: str) -> tuple[Pod, ...]:
        path = f"/api/v1/namespaces/{namespace}/pods"
        return tuple(map(_pod, items(self._client, path, f"does not list the pods of {namespace}", labelSelector=selector)))

    def replicas(self, namespace: str, selector: str) -> int:
        """How many pods the Deployments with these labels are to have, there or not."""
        path = f"/apis/apps/v1/namespaces/{namespace}/deployments"
        found = items(self._client, path, f"does not list the deployments of {namespace}", labelSelector=selector)
        return sum(item["spec"].get("replicas", 1) for item in found)

    def evict(self, pod: Pod, *, try_only: bool) -> str:
        """Ask for its eviction. Empty where it ends, or is gone; else why not now, in the cluster's own words.

        `try_only`: nothing is evicted.
        """
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": pod.namespace, "name": pod.name},
            **({"deleteOptions": {"dryRun": ["All"]}} if try_only else {}),
        }
        path = f"/api/v1/namespaces/{pod.namespace}/pods/{pod.name}/eviction"
        answer = self._client.call("POST", path, body, refusals=(TOO_MANY_REQUESTS, _SEVERAL_BUDGETS))
        if answer.status in (TOO_MANY_REQUESTS, _SEVERAL_BUDGETS):
            return _why_refused(answer)
        if answer.status != NOT_FOUND:
            expect(answer, f"does not evict pod {pod}")
        return ""

    def budgets(self) -> tuple[Budget, ...]:
        """Each PodDisruptionBudget that guards any pods."""
        return tuple(
            Budget(
                item["metadata"]["namespace"],
                item["metadata"]["name"],
                item["status"]["expectedPods"] - item["status"].get("desiredHealthy", 0),
                None if item["spec"].get("selector") is None else selector(item["spec"]["selector"]),
            )
            for item in items(self._client, BUDGETS, "does not list its disruption budgets")
            if item.get("status", {}).get("expectedPods", 0) > 0
        )

    def places(self) -> tuple[Place, ...]:
        """Every node, as what may take pods of others."""
        return tuple(place(item) for item in items(self._client, NODES, "does not list its nodes"))

    def attached(self, node: str) -> tuple[str, ...]:
        """Names of the persistent volumes that are attached to the node."""
        found = [item["spec"] for item in items(self._client, ATTACHMENTS, "does not list its attached volumes")]
        return tuple(
            spec["source"].get("persistentVolumeName") or "an inline volume" for spec in found if spec["nodeName"] == node
        )

    def _node(self, name: str) -> dict[str, Any]:
        """Empty where the cluster knows none of that name."""
        return find(self._client, _node(name), f"does not show node {name}")


def _node(name: str) -> str:
    return f"{NODES}/{quote(name, safe='')}"


_SEVERAL_BUDGETS = 500
"""What the API answers where a pod has more than one budget."""


def _why_refused(answer: Answer) -> str:
    causes = (answer.document.get("details") or {}).get("causes") or ()
    return "; ".join(cause["message"] for cause in causes if cause.get("message")) or answer.reason


def _pod(document: Mapping[str, Any]) -> Pod:
    metadata, spec, status = document["metadata"], document.get("spec", {}), document.get("status", {})
    owners = [owner["kind"] for owner in metadata.get("ownerReferences") or () if owner.get("controller")]
    return Pod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        node=spec.get("nodeName", ""),
        labels=metadata.get("labels") or {},
        controller=next(iter(owners), ""),
        mirror=_MIRROR in (metadata.get("annotations") or {}),
        keeps_data=any("emptyDir" in volume for volume in spec.get("volumes") or ()),
        ready=any(entry["type"] == "Ready" and entry["status"] == "True" for entry in status.get("conditions") or ()),
        ending=bool(metadata.get("deletionTimestamp")),
        finished=status.get("phase") in _FINISHED,
        tolerations=tuple(spec.get("tolerations") or ()),
        wanted_labels=spec.get("nodeSelector") or {},
    )
