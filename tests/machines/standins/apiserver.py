"""The API server of one master: kept in the cluster's etcd, and as good as its quorum.

    python3 -m machines.standins.apiserver --advertise-address 10.77.0.11

It knows administrators, nodes and machines that are about to join, and refuses each what upstream's rules refuse them.
"""

from __future__ import annotations

import argparse
import signal
import threading
import time
from base64 import b64decode, b64encode
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from machines.standins.api import CLUSTER_INFO, CONFIG_MAPS, NODES, REQUESTS, SECRETS
from machines.standins.etcd import Etcd, EtcdError, Keys
from machines.standins.places import API_PORT, PKI, UNREADY
from machines.standins.trust import signature
from servers.cluster_objects import ClusterObjects, RefusedError
from servers.control_plane import ADMINISTRATORS, Call, ControlPlaneServer

from kube_provision_core.certificates import KeyPair, load_key
from kube_provision_core.pki import PKI_FILES, Pki

BOOTSTRAPPERS = "system:bootstrappers"
ALL_NODES = "system:nodes"
NODE_GRACE = 12.0
"""Seconds without a word from a kubelet after which its node counts as not ready. Upstream waits 50."""
READY_KEPT = 0.3


class EtcdObjects(ClusterObjects):
    """The objects of a cluster, which all its masters share."""

    def __init__(self, etcd: Etcd) -> None:
        super().__init__()
        self._objects = _Collections(etcd)


class _Collections(defaultdict[str, Any]):
    def __init__(self, etcd: Etcd) -> None:
        super().__init__()
        self._etcd = etcd

    def __missing__(self, collection: str) -> Keys:
        return Keys(self._etcd, f"/registry{collection}/")


class ApiServer(ControlPlaneServer):
    """See the module."""

    def __init__(self, address: str) -> None:
        self._etcd = Etcd()
        self._pki = Pki({name: (PKI / name).read_bytes() for name in PKI_FILES})
        credential = KeyPair((PKI / "apiserver.crt").read_bytes(), (PKI / "apiserver.key").read_bytes())
        super().__init__(self._pki, "0.0.0.0", API_PORT, EtcdObjects(self._etcd), credential=credential)
        self._looked, self._saw = 0.0, False
        self._look = threading.Lock()

    def is_ready(self) -> bool:
        """A master without a quorum is none."""
        if UNREADY.exists():
            return False
        with self._look:
            if time.monotonic() > self._looked + READY_KEPT:
                try:
                    self._etcd.check()
                    self._saw = True
                except EtcdError:
                    self._saw = False
                self._looked = time.monotonic()
            return self._saw

    def answer(self, call: Call) -> tuple[int, Any]:
        self.requests.clear()  # nobody reads them here
        try:
            return self._answer(call)
        except EtcdError as error:
            raise RefusedError(500, str(error)) from error

    def _answer(self, call: Call) -> tuple[int, Any]:
        if (call.method, call.path) == ("GET", CLUSTER_INFO):
            return 200, self._cluster_info()
        if ADMINISTRATORS & call.groups:
            status, document = self.act(call)
            return status, _with_readiness(call, document)
        if ALL_NODES in call.groups and self._is_own_node(call):
            return self.act(call)
        if BOOTSTRAPPERS in self._groups_of(call.token):
            return self._answer_joining(call)
        raise RefusedError(403, f'User "{call.user}" cannot do this')

    def _is_own_node(self, call: Call) -> bool:
        name = call.user.removeprefix("system:node:")
        if (call.method, call.path) == ("POST", NODES):
            return bool(call.document["metadata"]["name"] == name)
        return call.path == f"{NODES}/{name}" and call.method in ("GET", "PUT")

    def _answer_joining(self, call: Call) -> tuple[int, Any]:
        if (call.method, call.path) == ("POST", REQUESTS):
            return 201, self._sign(call.document)
        readable = (f"{SECRETS}/kubeadm-certs", f"{CONFIG_MAPS}/kubeadm-config", NODES)
        if call.method == "GET" and call.path in readable:
            return self.act(call)
        raise RefusedError(403, "machines that are about to join cannot do this")

    def _tokens(self) -> dict[str, dict[str, str]]:
        """Bootstrap tokens that have not expired, by their public part."""
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        found = {}
        for secret in self.objects.all(SECRETS).values():
            if secret["type"] == "bootstrap.kubernetes.io/token":
                data = {key: b64decode(value).decode() for key, value in secret["data"].items()}
                if data["expiration"] > now:
                    found[data["token-id"]] = data
        return found

    def _groups_of(self, token: str) -> set[str]:
        identity, _, secret = token.partition(".")
        data = self._tokens().get(identity)
        if not data or data["token-secret"] != secret or data.get("usage-bootstrap-authentication") != "true":
            return set()
        return {BOOTSTRAPPERS, *data.get("auth-extra-groups", "").split(",")}

    def _cluster_info(self) -> dict[str, Any]:
        """Signed for every token that may sign, as the bootstrap signer keeps it."""
        cluster = {"server": self._endpoint(), "certificate-authority-data": b64encode(self._pki.ca).decode()}
        text = yaml.safe_dump({"apiVersion": "v1", "kind": "Config", "clusters": [{"name": "", "cluster": cluster}]})
        signatures = {
            f"jws-kubeconfig-{identity}": signature(text, f"{identity}.{data['token-secret']}")
            for identity, data in self._tokens().items()
            if data.get("usage-bootstrap-signing") == "true"
        }
        return {"kind": "ConfigMap", "metadata": {"name": "cluster-info"}, "data": {"kubeconfig": text, **signatures}}

    def _endpoint(self) -> str:
        configuration = yaml.safe_load(self.objects.get(CONFIG_MAPS, "kubeadm-config")["data"]["ClusterConfiguration"])
        return f"https://{configuration['controlPlaneEndpoint']}"

    def _sign(self, document: dict[str, Any]) -> dict[str, Any]:
        """Approved at once, as the controller manager does for a node's own client certificate."""
        request = x509.load_pem_x509_csr(b64decode(document["spec"]["request"]))
        (group,) = request.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
        (user,) = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        if group.value != ALL_NODES or not str(user.value).startswith("system:node:"):
            raise RefusedError(403, "only a node's own certificate is signed")
        authority = x509.load_pem_x509_certificate(self._pki.ca)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(request.subject)
            .issuer_name(authority.subject)
            .public_key(request.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(datetime.now(UTC) - timedelta(minutes=5))
            .not_valid_after(datetime.now(UTC) + timedelta(days=1))
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(load_key(self._pki.files["ca.key"]), hashes.SHA256())
        )
        return document | {"status": {"certificate": b64encode(certificate.public_bytes(Encoding.PEM)).decode()}}


def _with_readiness(call: Call, document: Any) -> Any:
    """The node controller's part: a kubelet that is silent for too long is not ready."""
    if call.method != "GET" or not call.path.startswith(NODES):
        return document
    for node in document.get("items", [document]):
        for condition in node["status"]["conditions"]:
            silent = time.time() - float(condition.get("lastHeartbeatTime", 0))
            if condition["type"] == "Ready" and silent > NODE_GRACE:
                condition["status"] = "Unknown"
    return document


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--advertise-address", required=True)
    server = ApiServer(arguments.parse_args().advertise_address)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with server:
        over.wait()


if __name__ == "__main__":
    main()
