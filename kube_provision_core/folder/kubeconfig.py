"""Kubeconfigs: one cluster, one user, one context. The operator's are all three named after the cluster."""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import yaml
from cryptography import x509

from ..contract.machines import Endpoint
from .pki import Pki
from .x509 import KeyPair

API_PORT = 6443

OPERATOR = "kube-provision-operator"
"""The user that the cluster's audit log shows for whoever uses the operator's kubeconfig."""

OPERATOR_LIFETIME = timedelta(days=365)
"""As long as kubeadm's own admin.conf; every run that writes the kubeconfig starts it anew."""


@dataclass(frozen=True, slots=True)
class Server:
    """An API server, as a client of the cluster finds it."""

    at: Endpoint
    name: str = ""
    """What its certificate says, where that is not the host it is found at."""

    @property
    def url(self) -> str:
        host = f"[{self.at.host}]" if ":" in self.at.host else self.at.host
        return f"https://{host}:{self.at.port}"


@dataclass(frozen=True, slots=True)
class Access:
    """What stands in a kubeconfig, and under which names."""

    cluster: str
    user: str
    """The context's name, too."""
    server: Server
    authority: bytes
    credential: KeyPair = field(repr=False)

    @property
    def document(self) -> dict[str, Any]:
        elsewhere = {"tls-server-name": self.server.name} if self.server.name else {}
        cluster = {"server": self.server.url, **elsewhere, "certificate-authority-data": _base64(self.authority)}
        user = {
            "client-certificate-data": _base64(self.credential.certificate),
            "client-key-data": _base64(self.credential.key),
        }
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": self.cluster, "cluster": cluster}],
            "users": [{"name": self.user, "user": user}],
            "contexts": [{"name": self.user, "context": {"cluster": self.cluster, "user": self.user}}],
            "current-context": self.user,
        }

    @property
    def content(self) -> bytes:
        """A file of its own. Holds a private key."""
        return yaml.safe_dump(self.document, sort_keys=False, width=2**20).encode()


def render_kubeconfig(
    cluster_name: str, server_host: str, pki: Pki, now: datetime | None = None, *, reached_at: Endpoint | None = None
) -> bytes:
    """The operator's, for the API server on `server_host`, an address in that server's certificate.

    `reached_at`: where this host reaches it, if not at that address. Holds a private key that may administrate the
    cluster. `now` is for tests.
    """
    credential = pki.administrator(OPERATOR, OPERATOR_LIFETIME, now)
    return Access(cluster_name, cluster_name, server_of(server_host, reached_at), pki.ca, credential).content


def server_of(address: str, reached_at: Endpoint | None = None) -> Server:
    """The one of the master at `address`, which its certificate says."""
    at = reached_at or Endpoint(address, API_PORT)
    return Server(at, "" if at.host == address else address)


def certificate_of(kubeconfig: bytes) -> x509.Certificate:
    """Its user's. Raises `ValueError` for one that has none where `render_kubeconfig` puts it: its owner may edit it."""
    try:
        user = yaml.safe_load(kubeconfig)["users"][0]["user"]
        return x509.load_pem_x509_certificate(b64decode(user["client-certificate-data"]))
    except (yaml.YAMLError, LookupError, TypeError, ValueError) as error:
        raise ValueError("it has no certificate as kube-provision writes it") from error


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
