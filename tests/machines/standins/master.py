"""What makes a host a master: its own certificates, its kubeconfigs, its static pods."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import yaml
from machines.standins.api import Api, kubeconfig
from machines.standins.etcd import Etcd, EtcdError, peer_url
from machines.standins.faults import StandInError
from machines.standins.places import (
    ADMIN,
    API_PORT,
    ETCD_DATA,
    ETCD_PORT,
    IDENTITY,
    KUBELET,
    KUBELET_DATA,
    KUBERNETES,
    MANIFESTS,
    PKI,
)

from kube_provision_core.certificates import KeyPair, sign_client, sign_server
from kube_provision_core.pki import ADMINISTRATORS, PKI_FILES, Pki

LIFETIME = timedelta(days=365)
ALL_NODES = "system:nodes"


def load_pki() -> Pki:
    """Raises `StandInError` for authorities that are incomplete: kubeadm would make new ones without a word."""
    missing = [name for name in PKI_FILES if not (PKI / name).exists()]
    if missing:
        raise StandInError(f"error execution phase certs: a new {missing[0]} would be made here")
    pki = Pki({name: (PKI / name).read_bytes() for name in PKI_FILES})
    if pki.damaged():
        raise StandInError(f"error execution phase certs: {', '.join(pki.damaged())} do not fit")
    return pki


def write_certificates(pki: Pki, name: str, address: str, alternatives: Iterable[str]) -> None:
    """The leaves that kubeadm makes on every master."""
    ca, etcd = pki.authority("ca"), pki.authority("etcd/ca")
    hosts = [name, "kubernetes", "kubernetes.default", address, *alternatives]
    peers = [name, "localhost", address, "127.0.0.1"]
    leaves = {
        "apiserver": sign_server(ca, "kube-apiserver", dict.fromkeys(hosts), LIFETIME),
        "apiserver-etcd-client": sign_client(etcd, "kube-apiserver-etcd-client", None, LIFETIME),
        "etcd/server": sign_server(etcd, name, peers, LIFETIME),
        "etcd/peer": sign_server(etcd, name, peers, LIFETIME),
    }
    for path, pair in leaves.items():
        write_pair(PKI / path, pair)


def write_pair(stem: Path, pair: KeyPair) -> None:
    stem.parent.mkdir(parents=True, exist_ok=True)
    stem.with_suffix(".crt").write_bytes(pair.certificate)
    write_private(stem.with_suffix(".key"), pair.key)


def write_private(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)


def write_kubeconfigs(pki: Pki, endpoint: str, name: str) -> None:
    ca, server = pki.authority("ca"), f"https://{endpoint}"
    users = {
        ADMIN: ("kubernetes-admin", sign_client(ca, "kubernetes-admin", ADMINISTRATORS, LIFETIME)),
        KUBELET: (f"system:node:{name}", sign_client(ca, f"system:node:{name}", ALL_NODES, LIFETIME)),
    }
    for path, (user, credential) in users.items():
        write_private(path, kubeconfig(server, pki.ca.decode(), user, credential).encode())


def start_kubelet(name: str, address: str) -> None:
    KUBELET_DATA.mkdir(parents=True, exist_ok=True)
    IDENTITY.write_text(yaml.safe_dump({"name": name, "address": address}))
    run("systemctl", "restart", "kubelet.service")


def write_etcd(name: str, address: str, members: Sequence[str], state: str) -> None:
    """`members` are `name=url` of all members, this one too; `state` is `new` or `existing`."""
    client, peer = f"https://{address}:{ETCD_PORT}", peer_url(address)
    options = {
        "name": name,
        "data-dir": ETCD_DATA,
        "listen-client-urls": f"https://127.0.0.1:{ETCD_PORT},{client}",
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": ",".join(members),
        "initial-cluster-state": state,
        "client-cert-auth": "true",
        "peer-client-cert-auth": "true",
        "cert-file": PKI / "etcd/server.crt",
        "key-file": PKI / "etcd/server.key",
        "trusted-ca-file": PKI / "etcd/ca.crt",
        "peer-cert-file": PKI / "etcd/peer.crt",
        "peer-key-file": PKI / "etcd/peer.key",
        "peer-trusted-ca-file": PKI / "etcd/ca.crt",
        "unsafe-no-fsync": "true",  # disks of tests are not what is tested
    }
    write_manifest("etcd", ["etcd", *(f"--{key}={value}" for key, value in options.items())])


def write_api_server(address: str) -> None:
    library = str(Path(__file__).parents[2])
    command = ["python3", "-m", "machines.standins.apiserver", "--advertise-address", address]
    write_manifest("kube-apiserver", command, {"PYTHONPATH": library})


def write_manifest(name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
    variables = [{"name": key, "value": value} for key, value in (environment or {}).items()]
    container: dict[str, Any] = {"name": name, "image": f"registry.k8s.io/{name}", "command": command, "env": variables}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {"containers": [container]}}
    MANIFESTS.mkdir(parents=True, exist_ok=True)
    (MANIFESTS / f"{name}.yaml").write_text(yaml.safe_dump(manifest))


def wait_until_ready(address: str, limit: float) -> None:
    """Until this master's own API server is ready."""
    deadline = time.monotonic() + limit
    while True:
        try:
            status, answer = Api(f"https://{address}:{API_PORT}").call("GET", "/readyz")
            if status == 200:
                return
            problem = f"{status} {answer}"
        except (OSError, HTTPException, ssl.SSLError) as error:
            problem = str(error)
        if time.monotonic() > deadline:
            raise StandInError(f"error execution phase wait-control-plane: {problem}")
        time.sleep(0.3)


def wait_for_etcd(limit: float) -> None:
    deadline = time.monotonic() + limit
    while True:
        try:
            Etcd().check()
        except EtcdError as error:
            if time.monotonic() > deadline:
                raise StandInError(f"error execution phase etcd: {error}") from error
            time.sleep(0.3)
        else:
            return


def wipe() -> None:
    """What `kubeadm reset` leaves: nothing."""
    run("systemctl", "stop", "kubelet.service")
    for pod in ("kube-apiserver", "etcd"):
        subprocess.run(["systemctl", "stop", f"pod-{pod}.service"], capture_output=True, timeout=60, check=False)
    for path in (PKI, MANIFESTS, ETCD_DATA, KUBELET_DATA):
        shutil.rmtree(path, ignore_errors=True)
    for path in KUBERNETES.glob("*.conf"):
        path.unlink()


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise StandInError(f"error: {' '.join(command)}: {done.stderr.strip()}")
