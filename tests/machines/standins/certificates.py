"""`kubeadm certs`: the certificates of a master that kubeadm knows of, when they end, and new ones in their place.

As strict as kubeadm 1.36, and as loose: what is missing is told and left out, and so is whatever has an authority without a
key, and both count as success; one that cannot be read ends it in the middle. The kubelet's certificate is none of them.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPException
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID
from machines.standins.api import CONFIG_MAPS, connect
from machines.standins.configuration import seconds
from machines.standins.faults import StandInError, carry_out, wish
from machines.standins.places import KUBERNETES, PKI

from kube_provision_core.folder.x509 import KeyPair, sign_client, sign_server

LIFETIME = timedelta(days=365)
FAREWELL = (
    "\nDone renewing certificates. You must restart the kube-apiserver, kube-controller-manager, kube-scheduler and etcd, "
    "so that they can use the new certificates."
)


@dataclass(frozen=True)
class Leaf:
    """One certificate, in a file beside its key or in a kubeconfig."""

    name: str
    authority: str
    """Its name in kubeadm's output, and its path where it differs in nothing else."""
    text: str

    @property
    def path(self) -> Path:
        if self.name.endswith(".conf"):
            return KUBERNETES / self.name
        return PKI / f"{self.name.replace('etcd-', 'etcd/', 1) if self.name.startswith('etcd-') else self.name}.crt"

    @property
    def stem(self) -> str:
        """The authority's path below the folder of certificates."""
        return "etcd/ca" if self.authority == "etcd-ca" else self.authority

    @property
    def can_be_renewed(self) -> bool:
        return (PKI / f"{self.stem}.key").exists()

    def load(self) -> x509.Certificate:
        """Raises `StandInError`."""
        text = self.path.read_bytes()
        if self.path.suffix == ".conf":
            document = yaml.safe_load(text)
            if not document:
                raise StandInError(f"invalid kubeConfig file {self.path}: missing context ")
            text = b64decode(document["users"][0]["user"]["client-certificate-data"])
        try:
            return x509.load_pem_x509_certificate(text)
        except ValueError as error:
            problem = "data does not contain any valid RSA or ECDSA certificates"
            raise StandInError(
                f"failed to load existing certificate {self.name}: error reading {self.path}: {problem}"
            ) from error

    def write(self, pair: KeyPair) -> None:
        """In place, the key first: whoever is killed in between leaves half of it."""
        if self.path.suffix == ".conf":
            document = yaml.safe_load(self.path.read_text())
            document["users"][0]["user"] = {
                "client-certificate-data": b64encode(pair.certificate).decode(),
                "client-key-data": b64encode(pair.key).decode(),
            }
            self.path.write_text(yaml.safe_dump(document))
            return
        self.path.with_suffix(".key").write_bytes(pair.key)
        self.path.write_bytes(b"")
        carry_out(wish("certs", self.name), self.name)
        self.path.write_bytes(pair.certificate)


LEAVES = (
    Leaf("admin.conf", "ca", "certificate embedded in the kubeconfig file for the admin to use and for kubeadm itself"),
    Leaf("apiserver", "ca", "certificate for serving the Kubernetes API"),
    Leaf("apiserver-etcd-client", "etcd-ca", "certificate the apiserver uses to access etcd"),
    Leaf("apiserver-kubelet-client", "ca", "certificate for the API server to connect to kubelet"),
    Leaf("controller-manager.conf", "ca", "certificate embedded in the kubeconfig file for the controller manager to use"),
    Leaf("etcd-healthcheck-client", "etcd-ca", "certificate for liveness probes to healthcheck etcd"),
    Leaf("etcd-peer", "etcd-ca", "certificate for etcd nodes to communicate with each other"),
    Leaf("etcd-server", "etcd-ca", "certificate for serving etcd"),
    Leaf("front-proxy-client", "front-proxy-ca", "certificate for the front proxy client"),
    Leaf("scheduler.conf", "ca", "certificate embedded in the kubeconfig file for the scheduler manager to use"),
    Leaf("super-admin.conf", "ca", "certificate embedded in the kubeconfig file for the super-admin"),
)
AUTHORITIES = ("ca", "etcd-ca", "front-proxy-ca")


def lifetime(cluster: Mapping[str, Any]) -> timedelta:
    """What a ClusterConfiguration says that certificates live."""
    period = cluster.get("certificateValidityPeriod")
    return timedelta(seconds=seconds(period)) if period else LIFETIME


def renew(name: str) -> None:
    """That one, or `all`. Raises `StandInError`."""
    life = _configured("renew")
    for leaf in LEAVES:
        if name in ("all", leaf.name):
            _renew(leaf, life)
    if name == "all":
        print(FAREWELL)


def _renew(leaf: Leaf, life: timedelta) -> None:
    if not leaf.path.exists():
        print(f"MISSING! {leaf.text}")
        return
    if not leaf.can_be_renewed:
        print(f"Detected external {leaf.authority}, {leaf.text} can't be renewed")
        return
    renew_leaf(leaf, life)
    print(f"{leaf.text} renewed", flush=True)


def renew_leaf(leaf: Leaf, life: timedelta) -> None:
    """One whose authority has its key. Raises `StandInError` for one that cannot be read."""
    leaf.write(_signed_again(leaf, leaf.load(), life))


def _signed_again(leaf: Leaf, old: x509.Certificate, life: timedelta) -> KeyPair:
    """For whom the old one was."""
    authority = KeyPair(*((PKI / f"{leaf.stem}{suffix}").read_bytes() for suffix in (".crt", ".key")))
    user, group = (_attribute(old, kind) for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME))
    try:
        names = old.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return sign_client(authority, user or "", group, life)
    return sign_server(authority, user or "", [str(name.value) for name in names], life)


def _attribute(certificate: x509.Certificate, kind: x509.ObjectIdentifier) -> str | None:
    found = certificate.subject.get_attributes_for_oid(kind)
    return str(found[0].value) if found else None


def tell_expiration() -> None:
    """`check-expiration -o json`. Raises `StandInError`."""
    _configured("check-expiration", quiet=True)
    document = {
        "kind": "CertificateExpirationInfo",
        "apiVersion": "output.kubeadm.k8s.io/v1alpha3",
        "certificates": [_told(leaf.name, leaf, leaf.authority) for leaf in LEAVES],
        "certificateAuthorities": [_told(name, Leaf("", name, ""), "") for name in AUTHORITIES],
    }
    print(json.dumps(document, indent=4))


def _told(name: str, leaf: Leaf, authority: str) -> dict[str, Any]:
    path = leaf.path if authority else PKI / f"{leaf.stem}.crt"
    if not path.exists():
        return {"name": name, "expirationDate": None, "residualTime": 0, "externallyManaged": False, "missing": True}
    certificate = leaf.load() if authority else x509.load_pem_x509_certificate(path.read_bytes())
    end = certificate.not_valid_after_utc
    return {
        "name": name,
        "expirationDate": f"{end:%Y-%m-%dT%H:%M:%SZ}",
        "residualTime": int((end - datetime.now(UTC)).total_seconds()),
        "externallyManaged": not leaf.can_be_renewed,
        **({"caName": authority} if authority else {}),
        "missing": False,
    }


def _configured(doing: str, *, quiet: bool = False) -> timedelta:
    """The cluster's own length of life where the cluster can be asked; else kubeadm's, without more than a word."""
    say = (lambda _: None) if quiet else print
    say(f'[{doing}] Reading configuration from the "kubeadm-config" ConfigMap in namespace "kube-system"...')
    try:
        stored = connect().expect("GET", f"{CONFIG_MAPS}/kubeadm-config", patience=0)
        return lifetime(yaml.safe_load(stored["data"]["ClusterConfiguration"]))
    except (OSError, HTTPException, StandInError, TypeError):
        say(f"[{doing}] Error reading configuration from the Cluster. Falling back to default configuration\n")
        return LIFETIME
