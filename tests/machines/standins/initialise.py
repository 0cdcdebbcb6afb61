"""`kubeadm init --upload-certs`."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from machines.standins import master, preflight
from machines.standins.api import CONFIG_MAPS, NODES, SECRETS, Api, connect
from machines.standins.configuration import Document, node_address, read, seconds
from machines.standins.etcd import peer_url
from machines.standins.faults import StandInError, phase
from machines.standins.kubelet import CONTROL_PLANE
from machines.standins.places import KUBELET

from kube_provision_core.control_plane import kubeadm_objects
from kube_provision_core.pki import create_token

HERE = "init"


def initialise(path: Path) -> None:
    """Raises `StandInError`."""
    init, cluster = read(path, "InitConfiguration", "ClusterConfiguration")
    name, address = init["nodeRegistration"]["name"], node_address(init["nodeRegistration"])
    if init["localAPIEndpoint"]["advertiseAddress"] != address:
        raise StandInError("error: advertiseAddress is not the node's address")
    limit = seconds(init["timeouts"]["controlPlaneComponentHealthCheck"])
    phase(HERE, "preflight")
    preflight.check(HERE, master=True)
    phase(HERE, "certs")
    pki = master.load_pki()
    master.write_certificates(pki, name, address, cluster["apiServer"]["certSANs"])
    phase(HERE, "kubeconfig")
    master.write_kubeconfigs(pki, cluster["controlPlaneEndpoint"], name)
    phase(HERE, "kubelet-start")
    master.start_kubelet(name, address)
    phase(HERE, "etcd")
    master.write_etcd(name, address, [f"{name}={peer_url(address)}"], "new")
    master.wait_for_etcd(limit)
    phase(HERE, "control-plane")
    master.write_api_server(address)
    master.wait_until_ready(address, limit)
    api = connect()
    api.expect("GET", "/readyz", patience=limit)  # by way of the endpoint, as everything that follows
    phase(HERE, "upload-config")
    data = {"ClusterConfiguration": yaml.safe_dump(cluster)}
    api.put(CONFIG_MAPS, {"kind": "ConfigMap", "metadata": {"name": "kubeadm-config"}, "data": data})
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


def mark_control_plane(api: Api, name: str, limit: float) -> None:
    """Wait for the kubelet to have registered the node, and label it."""
    deadline = time.monotonic() + limit
    while True:
        status, node = api.call("GET", f"{NODES}/{name}")
        if status == 200:
            break
        if time.monotonic() > deadline:
            raise StandInError(f'error execution phase mark-control-plane: nodes "{name}" not found: see {KUBELET}')
        time.sleep(0.5)
    node["metadata"]["labels"][CONTROL_PLANE] = ""
    api.expect("PUT", f"{NODES}/{name}", node)


def _upload(api: Api, pki: Any, certificate_key: str) -> None:
    owner = api.expect("POST", SECRETS, kubeadm_objects.expiry_token(create_token()))
    api.put(SECRETS, kubeadm_objects.certificates(pki, certificate_key, owner))


def _groups(groups: Sequence[str]) -> Document:
    return {"auth-extra-groups": b64encode(",".join(groups).encode()).decode()}
