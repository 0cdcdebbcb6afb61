"""`kubeadm join`, of a worker and of a master."""

from __future__ import annotations

import time
from base64 import b64decode, b64encode
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from machines.standins import certificates, manifests, master, preflight
from machines.standins.api import CONFIG_MAPS, NODES, REQUESTS, SECRETS, Api, connect
from machines.standins.configuration import Document, node_addresses, read, seconds
from machines.standins.etcd import Etcd, EtcdError, Member, peer_url
from machines.standins.faults import StandInError, phase
from machines.standins.initialise import mark_control_plane
from machines.standins.kubelet import CONTROL_PLANE
from machines.standins.places import MANIFESTS, PKI
from machines.standins.trust import discover

from kube_provision_core.cluster.kubeadm_objects import NONCE_BYTES
from kube_provision_core.folder.pki import PKI_FILES
from kube_provision_core.folder.x509 import KeyPair

HERE = "join"
ETCD_LIMIT = 60.0
UNBOOTSTRAPPED = "failed while waiting for TLS bootstrap: context deadline exceeded"


def join(path: Path) -> None:
    """Raises `StandInError`."""
    (document,) = read(path, "JoinConfiguration")
    name = document["nodeRegistration"]["name"]
    phase(HERE, "preflight")
    preflight.check(master="controlPlane" in document)
    found = document["discovery"]["bootstrapToken"]
    limit = seconds(document["timeouts"]["discovery"])
    server, authority = discover(found["apiServerEndpoint"], found["token"], found["caCertHashes"], limit)
    api = Api(server, authority, token=found["token"])
    cluster = _cluster(api)
    preflight.check_kubelet(cluster["kubernetesVersion"])
    if "controlPlane" in document:
        _join_master(api, document, cluster, name)
    else:
        _join_worker(api, document, name, seconds(document["timeouts"]["tlsBootstrap"]))


def _cluster(api: Api) -> Document:
    data = api.expect("GET", f"{CONFIG_MAPS}/kubeadm-config")["data"]
    cluster: Document = yaml.safe_load(data["ClusterConfiguration"])
    return cluster


def _kubelet_configuration(api: Api) -> str:
    return str(api.expect("GET", f"{CONFIG_MAPS}/kubelet-config")["data"]["kubelet"])


def _join_worker(api: Api, document: Document, name: str, limit: float) -> None:
    phase(HERE, "kubelet-start")
    _refuse_namesake(api, name)
    PKI.mkdir(parents=True, exist_ok=True)
    (PKI / "ca.crt").write_text(api.authority)
    master.start_kubelet(document["nodeRegistration"], _kubelet_configuration(api))
    phase(HERE, "kubelet-check")
    _bootstrap(api, name, limit)


def _join_master(api: Api, document: Document, cluster: Document, name: str) -> None:
    """Its API server is begun before it has an etcd: it gives up, and is begun again."""
    address, *_ = node_addresses(document["nodeRegistration"])
    limit = seconds(document["timeouts"]["controlPlaneComponentHealthCheck"])
    phase(HERE, "download-certs")
    _download_certificates(api, document["controlPlane"]["certificateKey"])
    phase(HERE, "certs")
    pki = master.load_pki()
    life = certificates.lifetime(cluster)
    master.write_certificates(pki, name, address, cluster["apiServer"]["certSANs"], life)
    phase(HERE, "kubeconfig")
    master.write_kubeconfigs(pki, cluster["controlPlaneEndpoint"], address, life)
    administrator = connect()
    phase(HERE, "control-plane")
    for pod in manifests.control_plane(cluster, address):
        manifests.write(pod, MANIFESTS)
    phase(HERE, "check-etcd")
    others = _control_plane(administrator, name)
    members = _check_members(others)
    phase(HERE, "kubelet-start")
    _refuse_namesake(api, name)
    master.start_kubelet(document["nodeRegistration"], _kubelet_configuration(api))
    _join_etcd(cluster, name, address, others, members)
    phase(HERE, "kubelet-check")
    own = replace(api, server=master.own_server(address))
    _bootstrap(own, name, seconds(document["timeouts"]["tlsBootstrap"]))
    phase(HERE, "mark-control-plane")
    mark_control_plane(administrator, name, limit)
    master.wait_until_ready(address, limit)


def _refuse_namesake(api: Api, name: str) -> None:
    """A living node of that name: its machine is not gone, or not for long enough."""
    status, node = api.call("GET", f"{NODES}/{name}")
    conditions = node["status"]["conditions"] if status == 200 else ()
    if any((it["type"], it["status"]) == ("Ready", "True") for it in conditions):
        raise StandInError(
            f'error execution phase kubelet-start: a Node with name "{name}" and status "Ready" already exists in the '
            "cluster. You must delete the existing Node or change the name of this new joining Node"
        )


def _bootstrap(api: Api, name: str, limit: float) -> None:
    """The kubelet's own part: a certificate from the server that its kubeconfig then names."""
    deadline = time.monotonic() + limit
    while True:
        try:
            credential = _request_certificate(api, name)
        except (OSError, HTTPException, StandInError) as error:
            if time.monotonic() > deadline:
                raise StandInError(f"error execution phase kubelet-wait-bootstrap: {UNBOOTSTRAPPED}") from error
            time.sleep(0.5)
        else:
            break
    master.write_kubelet_kubeconfig(api.server, api.authority, name, credential)


def _request_certificate(api: Api, name: str) -> KeyPair:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [(NameOID.ORGANIZATION_NAME, "system:nodes"), (NameOID.COMMON_NAME, f"system:node:{name}")]
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    spec = {"request": b64encode(request.public_bytes(Encoding.PEM)).decode()}
    answer = api.expect("POST", REQUESTS, {"metadata": {"generateName": "csr-"}, "spec": spec}, patience=0)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    return KeyPair(b64decode(answer["status"]["certificate"]), pem)


def _download_certificates(api: Api, certificate_key: str) -> None:
    data = api.expect("GET", f"{SECRETS}/kubeadm-certs")["data"]
    cipher = AESGCM(bytes.fromhex(certificate_key))
    for name in PKI_FILES:
        sealed = b64decode(data[name.replace("/", "-")])
        try:
            content = cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], None)
        except InvalidTag as error:
            problem = "error downloading certs: error decrypting secret data with provided key"
            raise StandInError(f"error execution phase control-plane-prepare/download-certs: {problem}") from error
        master.write_private(PKI / name, content)


def _control_plane(api: Api, me: str) -> list[str]:
    nodes = api.expect("GET", NODES)["items"]
    return [
        next(entry["address"] for entry in node["status"]["addresses"] if entry["type"] == "InternalIP")
        for node in nodes
        if CONTROL_PLANE in node["metadata"]["labels"] and node["metadata"]["name"] != me
    ]


def _check_members(others: list[str]) -> list[Member]:
    """Every listed member must answer: a dead one blocks joins."""
    members = _first(others).members()
    for member in members:
        if member.name and not member.learner:
            try:
                Etcd(member.address).check()
            except EtcdError as error:
                raise StandInError(f"error execution phase check-etcd: etcd cluster is not healthy: {error}") from error
    return members


def _first(others: list[str]) -> Etcd:
    for address in others:
        etcd = Etcd(address)
        try:
            etcd.check()
        except EtcdError:
            continue
        return etcd
    raise StandInError(f"error execution phase check-etcd: no etcd answers at {', '.join(others) or 'any address'}")


def _join_etcd(cluster: Document, name: str, address: str, others: list[str], members: list[Member]) -> None:
    """As a learner, promoted as soon as it has caught up."""
    etcd = _first(others)
    if address not in {member.address for member in members}:
        _retry("adding a learner", lambda: etcd.add_learner(address))
    members = etcd.members()
    phase(HERE, "etcd")
    (mine,) = (member for member in members if member.address == address)
    started = [member for member in members if member.name or member == mine]
    known = [f"{member.name or name}={peer_url(member.address)}" for member in started]
    manifests.write(manifests.etcd(cluster, name, address, known, "existing"), MANIFESTS)
    _retry("promoting the learner", lambda: etcd.promote(mine.id))
    master.wait_for_etcd(ETCD_LIMIT)


def _retry(what: str, action: object) -> None:
    assert callable(action)
    deadline = time.monotonic() + ETCD_LIMIT
    while True:
        try:
            action()
        except EtcdError as error:
            if time.monotonic() > deadline:
                raise StandInError(f"error execution phase etcd-join: {what}: {error}") from error
            time.sleep(0.5)
        else:
            return
