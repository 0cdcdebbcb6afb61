"""What makes a host a master: its own certificates, its kubeconfigs, its static pods."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import time
from collections.abc import Iterable
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path

from machines.standins.api import Api, kubeconfig, refer_to
from machines.standins.configuration import Document
from machines.standins.etcd import Etcd, EtcdError
from machines.standins.faults import StandInError
from machines.standins.places import (
    ADMIN,
    API_PORT,
    CONTROLLERS,
    ETCD_DATA,
    KUBELET,
    KUBELET_CERTIFICATE,
    KUBELET_CONFIG,
    KUBELET_DATA,
    KUBELET_FLAGS,
    KUBERNETES,
    MANIFESTS,
    PKI,
)

from kube_provision_core.folder.pki import ADMINISTRATORS, PKI_FILES, Pki
from kube_provision_core.folder.x509 import KeyPair, sign_client, sign_server

KUBELET_LIFETIME = timedelta(days=365)
"""Of what the controller manager signs, whatever kubeadm's own live."""
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


def write_certificates(pki: Pki, name: str, address: str, alternatives: Iterable[str], life: timedelta) -> None:
    """The leaves that kubeadm makes on every master."""
    ca, etcd, proxy = (pki.authority(path) for path in ("ca", "etcd/ca", "front-proxy-ca"))
    hosts = [name, "kubernetes", "kubernetes.default", address, *alternatives]
    peers = [name, "localhost", address, "127.0.0.1"]
    leaves = {
        "apiserver": sign_server(ca, "kube-apiserver", dict.fromkeys(hosts), life),
        "apiserver-kubelet-client": sign_client(ca, "kube-apiserver-kubelet-client", ADMINISTRATORS, life),
        "apiserver-etcd-client": sign_client(etcd, "kube-apiserver-etcd-client", None, life),
        "front-proxy-client": sign_client(proxy, "front-proxy-client", None, life),
        "etcd/healthcheck-client": sign_client(etcd, "kube-etcd-healthcheck-client", None, life),
        "etcd/server": sign_server(etcd, name, peers, life),
        "etcd/peer": sign_server(etcd, name, peers, life),
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


def own_server(address: str) -> str:
    """Where kubelet, scheduler and controllers of a master find the API, whatever else is out of order."""
    return f"https://{address}:{API_PORT}"


def write_kubeconfigs(pki: Pki, endpoint: str, address: str, life: timedelta) -> None:
    """The administrator's, and those of the controller manager and the scheduler."""
    _write_kubeconfig(ADMIN, pki, f"https://{endpoint}", "kubernetes-admin", ADMINISTRATORS, life)
    for name in CONTROLLERS:
        _write_kubeconfig(KUBERNETES / f"{name}.conf", pki, own_server(address), f"system:kube-{name}", None, life)


def write_super_administrator(pki: Pki, endpoint: str, life: timedelta) -> None:
    """Whom no rule of the cluster refuses anything: only on the master that initialised it."""
    path = KUBERNETES / "super-admin.conf"
    _write_kubeconfig(path, pki, f"https://{endpoint}", "kubernetes-super-admin", "system:masters", life)


def _write_kubeconfig(path: Path, pki: Pki, server: str, user: str, group: str | None, life: timedelta) -> None:
    credential = sign_client(pki.authority("ca"), user, group, life)
    write_private(path, kubeconfig(server, pki.ca.decode(), user, credential).encode())


def write_kubelet(pki: Pki, name: str, address: str) -> None:
    credential = sign_client(pki.authority("ca"), f"system:node:{name}", ALL_NODES, KUBELET_LIFETIME)
    write_kubelet_kubeconfig(own_server(address), pki.ca.decode(), name, credential)


def write_kubelet_kubeconfig(server: str, authority: str, name: str, credential: KeyPair) -> None:
    """It refers to the certificate, which is the kubelet's own to renew."""
    text = kubeconfig(server, authority, f"system:node:{name}", credential)
    write_private(KUBELET_CERTIFICATE, credential.certificate + credential.key)
    write_private(KUBELET, refer_to(KUBELET_CERTIFICATE, text).encode())


def start_kubelet(registration: Document, configuration: str) -> None:
    """With the cluster's configuration of all kubelets, and the arguments of its own."""
    arguments = {it["name"]: it["value"] for it in registration["kubeletExtraArgs"]}
    flags = [f"--{key}={value}" for key, value in sorted({"hostname-override": registration["name"], **arguments}.items())]
    KUBELET_DATA.mkdir(parents=True, exist_ok=True)
    KUBELET_CONFIG.write_text(configuration)
    KUBELET_FLAGS.write_text(f'KUBELET_KUBEADM_ARGS="{" ".join(flags)}"\n')
    run("systemctl", "restart", "kubelet.service")


def wait_until_ready(address: str, limit: float) -> None:
    """Until this master's own API server is ready."""
    deadline = time.monotonic() + limit
    while True:
        try:
            status, answer = Api(own_server(address)).call("GET", "/readyz")
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
    for pod in (*(f"kube-{name}" for name in CONTROLLERS), "kube-apiserver", "etcd"):
        subprocess.run(["systemctl", "stop", f"pod-{pod}.service"], capture_output=True, timeout=60, check=False)
    for path in (PKI, MANIFESTS, ETCD_DATA, KUBELET_DATA):
        shutil.rmtree(path, ignore_errors=True)
    for path in KUBERNETES.glob("*.conf"):
        path.unlink()


def run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise StandInError(f"{' '.join(command)}: {done.stderr.strip()}")
