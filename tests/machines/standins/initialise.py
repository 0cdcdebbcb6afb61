"""`kubeadm init --upload-certs`."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Collection, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from machines.standins import addons, certificates, manifests, master, preflight
from machines.standins.api import CONFIG_MAPS, NODES, SECRETS, Api, connect
from machines.standins.configuration import Document, node_addresses, read, seconds
from machines.standins.etcd import peer_url
from machines.standins.faults import StandInError, phase
from machines.standins.kubelet import CONTROL_PLANE
from machines.standins.places import KUBELET, MANIFESTS

from kube_provision_core.cluster import kubeadm_objects
from kube_provision_core.folder.pki import create_token

HERE = "init"


def initialise(path: Path, ignored: Collection[str] = ()) -> None:
    """`ignored`: checks that may fail. Raises `StandInError`."""
    init, cluster, kubelet = read(path, "InitConfiguration", "ClusterConfiguration", "KubeletConfiguration")
    name, (address, *_) = init["nodeRegistration"]["name"], node_addresses(init["nodeRegistration"])
    if init["localAPIEndpoint"]["advertiseAddress"] != address:
        raise StandInError("advertiseAddress is not the node's address")
    limit = seconds(init["timeouts"]["controlPlaneComponentHealthCheck"])
    phase(HERE, "preflight")
    preflight.check(cluster["kubernetesVersion"], master=True, networking=cluster["networking"], ignored=ignored)
    phase(HERE, "certs")
    pki, life = master.load_pki(), certificates.lifetime(cluster)
    master.write_certificates(pki, name, address, cluster["apiServer"]["certSANs"], life)
    phase(HERE, "kubeconfig")
    master.write_kubeconfigs(pki, cluster["controlPlaneEndpoint"], address, life)
    master.write_super_administrator(pki, cluster["controlPlaneEndpoint"], life)
    master.write_kubelet(pki, name, address)
    phase(HERE, "etcd")
    manifests.write(manifests.etcd(cluster, name, address, [f"{name}={peer_url(address)}"], "new"), MANIFESTS)
    phase(HERE, "control-plane")
    for pod in manifests.control_plane(cluster, address):
        manifests.write(pod, MANIFESTS)
    phase(HERE, "kubelet-start")
    master.start_kubelet(init["nodeRegistration"], yaml.safe_dump(kubelet))
    phase(HERE, "wait-control-plane")
    master.wait_until_ready(address, limit)
    api = connect()
    api.expect("GET", "/readyz", patience=limit)  # by way of the endpoint, as everything that follows
    phase(HERE, "upload-config")
    upload_configuration(api, cluster, yaml.safe_dump(kubelet))
    phase(HERE, "upload-certs")
    _upload(api, pki, init["certificateKey"])
    phase(HERE, "mark-control-plane")
    mark_control_plane(api, name, limit)
    phase(HERE, "bootstrap-token")
    for token in init["bootstrapTokens"]:
        lifetime = timedelta(seconds=seconds(token["ttl"]))
        secret = kubeadm_objects.bootstrap_token(token["token"], lifetime)
        secret["data"] |= _groups(token["groups"])
        api.put(SECRETS, secret)
    phase(HERE, "addon")
    addons.ensure(api, cluster)


def upload_configuration(api: Api, cluster: Document, kubelet: str) -> None:
    """What further nodes are made by."""
    api.put(CONFIG_MAPS, _config_map("kubeadm-config", "ClusterConfiguration", yaml.safe_dump(cluster)))
    api.put(CONFIG_MAPS, _config_map("kubelet-config", "kubelet", kubelet))


def mark_control_plane(api: Api, name: str, limit: float) -> None:
    """Wait for the kubelet to have registered the node, and label it, whatever the kubelet writes meanwhile."""
    deadline = time.monotonic() + limit
    status = 0
    while status != 200:
        if time.monotonic() > deadline:
            raise StandInError(f'error execution phase mark-control-plane: nodes "{name}" not found: see {KUBELET}')
        status, node = api.call("GET", f"{NODES}/{name}")
        if status == 200:
            node["metadata"]["labels"][CONTROL_PLANE] = ""
            status, _ = api.call("PUT", f"{NODES}/{name}", node)
        time.sleep(0.5)


def _config_map(name: str, key: str, content: str) -> Document:
    return {"kind": "ConfigMap", "metadata": {"name": name, "namespace": "kube-system"}, "data": {key: content}}


def _upload(api: Api, pki: Any, certificate_key: str) -> None:
    owner = api.expect("POST", SECRETS, kubeadm_objects.expiry_token(create_token()))
    api.put(SECRETS, kubeadm_objects.certificates(pki, certificate_key, owner))


def _groups(groups: Sequence[str]) -> Document:
    return {"auth-extra-groups": b64encode(",".join(groups).encode()).decode()}
