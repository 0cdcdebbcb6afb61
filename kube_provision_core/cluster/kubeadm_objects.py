"""The Kubernetes objects through which kubeadm lets machines join: bootstrap tokens and the uploaded certificates.

Field names, group names and the encryption are kubeadm's own (its `bootstraptoken/v1` API and `copycerts` phase), since
`kubeadm join` is what reads them.
"""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ..folder.pki import Pki

Object = dict[str, Any]

NAMESPACE = "kube-system"

JOINING_NODES = "system:bootstrappers:kubeadm:default-node-token"
"""The group of machines that are about to join; kubeadm grants it what joining needs."""

CERTIFICATES_SECRET = "kubeadm-certs"  # noqa: S105 - the name of an object
CERTIFICATES_ROLE = "kubeadm:kubeadm-certs"
CERTIFICATES_LIFETIME = timedelta(hours=2)
"""kubeadm's own."""

NONCE_BYTES = 12


def bootstrap_token(token: str, lifetime: timedelta, now: datetime | None = None) -> Object:
    """A token with which a machine trusts the cluster (signing) and the cluster the machine (authentication)."""
    return _token_secret(
        token,
        lifetime,
        now,
        {
            "description": "Minted by kube-provision for the machines of one run",
            "usage-bootstrap-authentication": "true",
            "usage-bootstrap-signing": "true",
            "auth-extra-groups": JOINING_NODES,
        },
    )


def expiry_token(token: str, now: datetime | None = None) -> Object:
    """A token that is good for nothing but its end: the cluster deletes it in time, and with it whatever it owns."""
    description = "Removes the uploaded certificates when it expires"
    return _token_secret(token, CERTIFICATES_LIFETIME, now, {"description": description})


def certificates(pki: Pki, certificate_key: str, owner: Object) -> Object:
    """The authorities, each encrypted with `certificate_key` (64 hex digits), for masters that join.

    `owner` is the `expiry_token` as the server has stored it.
    """
    cipher = AESGCM(bytes.fromhex(certificate_key))
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": CERTIFICATES_SECRET,
            "namespace": NAMESPACE,
            "ownerReferences": [
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "type": "Opaque",
        "data": {path.replace("/", "-"): _base64(_encrypt(cipher, content)) for path, content in pki.files.items()},
    }


def certificates_role() -> Object:
    """Leave to read the uploaded certificates, and nothing else."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": CERTIFICATES_ROLE, "namespace": NAMESPACE},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "resourceNames": [CERTIFICATES_SECRET], "verbs": ["get"]}],
    }


def certificates_role_binding() -> Object:
    """Gives machines that are about to join the role above."""
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": CERTIFICATES_ROLE, "namespace": NAMESPACE},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": CERTIFICATES_ROLE},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": JOINING_NODES}],
    }


def _token_secret(token: str, lifetime: timedelta, now: datetime | None, more: Mapping[str, str]) -> Object:
    identity, _, secret = token.partition(".")
    expiration = f"{(now or datetime.now(UTC)) + lifetime:%Y-%m-%dT%H:%M:%SZ}"
    data = {"token-id": identity, "token-secret": secret, "expiration": expiration, **more}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"bootstrap-token-{identity}", "namespace": NAMESPACE},
        "type": "bootstrap.kubernetes.io/token",
        "data": {key: _base64(value.encode()) for key, value in data.items()},
    }


def _encrypt(cipher: AESGCM, content: bytes) -> bytes:
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, content, None)


def _base64(content: bytes) -> str:
    return b64encode(content).decode()
