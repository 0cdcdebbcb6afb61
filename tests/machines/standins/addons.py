"""CoreDNS and kube-proxy, as kubeadm brings them: what is wanted of them, in the cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from machines.standins.api import DAEMON_SETS, DEPLOYMENTS, Api
from machines.standins.manifests import REPOSITORY
from machines.standins.release import Release


def ensure(api: Api, cluster: Mapping[str, Any]) -> None:
    """Of the version that the ClusterConfiguration names. Raises `StandInError`."""
    images = Release(cluster["kubernetesVersion"]).images(cluster.get("imageRepository", REPOSITORY))
    api.put(DEPLOYMENTS, _workload("Deployment", "coredns", "kube-dns", images["coredns/coredns"], {"replicas": 2}))
    print("[addons] Applied essential addon: CoreDNS", flush=True)
    if (cluster.get("proxy") or {}).get("disabled"):
        return
    api.put(DAEMON_SETS, _workload("DaemonSet", "kube-proxy", "kube-proxy", images["kube-proxy"], {}))
    print("[addons] Applied essential addon: kube-proxy", flush=True)


def _workload(kind: str, name: str, label: str, image: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    labels = {"k8s-app": label}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": name, "image": image}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
        "spec": {**spec, "selector": {"matchLabels": labels}, "template": template},
    }
