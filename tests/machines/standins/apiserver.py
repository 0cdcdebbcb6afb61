"""The API server of one master: kept in the cluster's etcd, and as good as its quorum.

    python3 -m machines.standins.apiserver --advertise-address 10.77.0.11

It knows administrators, nodes and machines that are about to join, and refuses each what upstream's rules refuse them.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from machines.standins import authentication, encryption
from machines.standins.api import CLUSTER_INFO, CONFIG_MAPS, NODES, PODS, REQUESTS, SECRETS
from machines.standins.etcd import Etcd, EtcdError, Keys
from machines.standins.faults import StandInError
from machines.standins.places import API_PORT, PKI
from machines.standins.release import own
from machines.standins.trust import signature
from machines.standins.upkeep import as_told, collect
from servers.cluster_objects import ClusterObjects
from servers.control_plane import ADMINISTRATORS, Call, ControlPlaneServer
from servers.refusals import RefusedError

from kube_provision_core.folder.pki import PKI_FILES, Pki
from kube_provision_core.folder.x509 import KeyPair, load_key

BOOTSTRAPPERS = "system:bootstrappers"
ALL_NODES = "system:nodes"
CONFIGURATION = (f"{CONFIG_MAPS}/kubeadm-config", f"{CONFIG_MAPS}/kubelet-config")
"""What every node may read."""
DEPRECATED = {"/apis/policy/v1beta1/poddisruptionbudgets": "1.37"}
"""What whoever asks for it should ask for no more, and the minor that lacks it."""
TAKEN = (
    *("--audit-log-", "--oidc-", "--event-ttl=", "--enable-admission-plugins="),
    *("--profiling=", "--tls-", "--anonymous-auth=", "--service-account-extend-token-expiration="),
)
"""How arguments begin that it takes and does nothing about."""
READY_KEPT = 0.3
STARTING = 1.5
"""Seconds for which a server that begins knows nobody's rights yet, and forbids all of what it is asked."""
CONFLICT = 409
REPLACEMENTS = 50
"""Times that a master tries to replace an object which others write at the same moment."""
PATIENCE = 5.0
"""Seconds without etcd after which a server that begins gives up. Upstream's is 20; its kubelet starts it again, too."""


class EtcdObjects(ClusterObjects):
    """The objects of a cluster, which all its masters share: of two that write one object at once, one is refused."""

    def __init__(self, etcd: Etcd, secrets: encryption.Plain) -> None:
        super().__init__()
        self._objects = self._collections = _Collections(etcd, secrets)

    def replace(self, collection: str, name: str, document: dict[str, Any]) -> dict[str, Any]:
        """Who names no version means whatever there is."""
        tries = 1 if "resourceVersion" in document["metadata"] else REPLACEMENTS
        for _ in range(tries - 1):
            try:
                return super().replace(collection, name, document)
            except RefusedError as refusal:
                if refusal.status != CONFLICT:
                    raise
        return super().replace(collection, name, document)

    def _exchange(self, collection: str, name: str, old: dict[str, Any] | None, stored: dict[str, Any]) -> bool:
        return bool(self._collections[collection].exchange(name, old, stored))


class _Collections(defaultdict[str, Any]):
    def __init__(self, etcd: Etcd, secrets: encryption.Plain) -> None:
        super().__init__()
        self._etcd, self._secrets = etcd, secrets

    def __missing__(self, collection: str) -> Keys:
        prefix = f"/registry{collection}/"
        if collection.endswith("/secrets"):
            return EncryptedKeys(self._etcd, prefix, self._secrets)
        return Keys(self._etcd, prefix)


class EncryptedKeys(Keys):
    """Their values pass a transformer on their way."""

    def __init__(self, etcd: Etcd, prefix: str, transformer: encryption.Plain) -> None:
        super().__init__(etcd, prefix)
        self._transformer = transformer

    def read(self, text: str) -> Any:
        return super().read(self._transformer.opened(text))

    def written(self, document: Any) -> str:
        return self._transformer.sealed(super().written(document))


class ApiServer(ControlPlaneServer):
    """See the module."""

    def __init__(self, address: str, secrets: encryption.Plain, anonymous: Collection[str] | None = None) -> None:
        """`anonymous`: all that is answered without a name, where it is told; None: whatever rules let through."""
        self._etcd, self._anonymous = Etcd(), anonymous
        self._pki = Pki({name: (PKI / name).read_bytes() for name in PKI_FILES})
        credential = KeyPair((PKI / "apiserver.crt").read_bytes(), (PKI / "apiserver.key").read_bytes())
        super().__init__(self._pki, "0.0.0.0", API_PORT, EtcdObjects(self._etcd, secrets), credential=credential)
        self.version = str(own())
        self._looked, self._saw = 0.0, False
        self._look = threading.Lock()
        self._knows_rights = time.monotonic() + STARTING

    def is_ready(self) -> bool:
        """A master without a quorum is none, and one that is just starting neither."""
        if time.monotonic() < self._knows_rights:
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
        if time.monotonic() < self._knows_rights:
            raise RefusedError(403, f'User "{call.user}" cannot do this')
        if self._anonymous is not None and not call.token and not call.groups and call.path not in self._anonymous:
            raise RefusedError(401, "Unauthorized")
        if (call.method, call.path) == ("GET", CLUSTER_INFO):
            return 200, self._cluster_info()
        if ADMINISTRATORS & call.groups or (ALL_NODES in call.groups and self._is_its_own(call)):
            return self._act(call)
        if BOOTSTRAPPERS in self._groups_of(call.token):
            return self._answer_joining(call)
        if call.token:
            raise RefusedError(401, "Unauthorized")
        raise RefusedError(403, f'User "{call.user}" cannot do this')

    def _act(self, call: Call) -> tuple[int, Any]:
        if call.path in DEPRECATED:
            self._count(call.path)
            return 200, {"kind": "List", "apiVersion": "v1", "items": []}
        status, document = self.act(call)
        collect(call, self.objects)
        return status, as_told(call, document, self.objects)

    def _count(self, path: str) -> None:
        """That somebody asked for what a later minor has no more."""
        group, version, resource = path.split("/")[2:]
        labels = {"group": group, "removed_release": DEPRECATED[path], "resource": resource, "subresource": ""}
        labels["version"] = version
        told = ",".join(f'{name}="{value}"' for name, value in labels.items())
        self.metrics = f"apiserver_requested_deprecated_apis{{{told}}} 1\n"

    def _is_its_own(self, call: Call) -> bool:
        """Whether it is a kubelet's own business: its node, its pods, and how kubelets are configured."""
        name = call.user.removeprefix("system:node:")
        if call.method == "POST":
            whose = {NODES: call.document["metadata"]["name"], PODS: call.document.get("spec", {}).get("nodeName")}
            return whose.get(call.path) == name
        if call.path.startswith(f"{PODS}/"):
            return self._runs(name, call.path.rpartition("/")[2])
        if call.method == "GET" and call.path in CONFIGURATION:
            return True
        return call.path == f"{NODES}/{name}" and call.method in ("GET", "PUT")

    def _runs(self, node: str, pod: str) -> bool:
        """One that is not there is its own to ask for."""
        found = self.objects.all(PODS).get(pod)
        return found is None or bool(found["spec"]["nodeName"] == node)

    def _answer_joining(self, call: Call) -> tuple[int, Any]:
        if (call.method, call.path) == ("POST", REQUESTS):
            return 201, self._sign(call.document)
        readable = (f"{SECRETS}/kubeadm-certs", *CONFIGURATION, NODES)
        if call.method == "GET" and (call.path in readable or call.path.startswith(f"{NODES}/")):
            return self._act(call)
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


def _wait_for_etcd() -> None:
    """Exits where there is none: as a server does that begins before its master's etcd is a member."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            Etcd().check()
        except EtcdError as error:
            if time.monotonic() > deadline:
                sys.exit(f"etcd does not answer: {error}")
            time.sleep(0.3)
        else:
            return


def _unreadable(told: argparse.Namespace) -> Iterator[str]:
    for path in vars(told).values():
        if isinstance(path, Path) and not path.is_file():
            yield f"open {path}: no such file or directory"


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--advertise-address", required=True)
    arguments.add_argument("--encryption-provider-config", type=Path)
    arguments.add_argument("--audit-policy-file", type=Path)
    arguments.add_argument("--admission-control-config-file", type=Path)
    arguments.add_argument("--oidc-ca-file", type=Path)
    arguments.add_argument("--authentication-config", type=Path)
    told, others = arguments.parse_known_args()
    for problem in _unreadable(told):
        sys.exit(f"Error: {problem}")
    if unknown := [it for it in others if not it.startswith(TAKEN)]:
        sys.exit(f"Error: unknown flag: {unknown[0].partition('=')[0]}")
    try:
        secrets = encryption.load(told.encryption_provider_config) if told.encryption_provider_config else encryption.Plain()
        anonymous = authentication.anonymous(told.authentication_config) if told.authentication_config else None
    except StandInError as error:
        sys.exit(f"Error: {error}")
    _wait_for_etcd()
    server = ApiServer(told.advertise_address, secrets, anonymous)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    with server:
        over.wait()


if __name__ == "__main__":
    main()
