"""The operator's kubeconfig: one cluster, one user, one context, all named after the cluster."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta

import yaml

from .model import Endpoint
from .pki import Pki

API_PORT = 6443

OPERATOR = "kube-provision-operator"
"""The user that the cluster's audit log shows for whoever uses the kubeconfig."""

OPERATOR_LIFETIME = timedelta(days=365)
"""As long as kubeadm's own admin.conf; every run that writes the kubeconfig starts it anew."""


def render_kubeconfig(
    cluster_name: str, server_host: str, pki: Pki, now: datetime | None = None, *, reached_at: Endpoint | None = None
) -> bytes:
    """A self-contained kubeconfig for the API server on `server_host`, an address in that server's certificate.

    `reached_at`: where this host reaches it, if not at that address. Holds a private key that may administrate the
    cluster. `now` is for tests.
    """
    at = reached_at or Endpoint(server_host, API_PORT)
    elsewhere = {} if at.host == server_host else {"tls-server-name": server_host}
    credential = pki.administrator(OPERATOR, OPERATOR_LIFETIME, now)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster_name,
                "cluster": {"server": _url(at), **elsewhere, "certificate-authority-data": _base64(pki.ca)},
            }
        ],
        "users": [
            {
                "name": cluster_name,
                "user": {
                    "client-certificate-data": _base64(credential.certificate),
                    "client-key-data": _base64(credential.key),
                },
            }
        ],
        "contexts": [{"name": cluster_name, "context": {"cluster": cluster_name, "user": cluster_name}}],
        "current-context": cluster_name,
    }
    return yaml.safe_dump(document, sort_keys=False, width=2**20).encode()


def _url(at: Endpoint) -> str:
    return f"https://[{at.host}]:{at.port}" if ":" in at.host else f"https://{at.host}:{at.port}"


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
