"""The objects that `kubeadm join` reads, field by field."""

from __future__ import annotations

import json
from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kube_provision_core.cluster import kubeadm_objects
from kube_provision_core.folder.pki import Pki, create_certificate_key

NOW = datetime(2026, 11, 22, 12, 0, 0, 999999, tzinfo=UTC)
TOKEN = "abcdef.0123456789abcdef"
OWNER = {"metadata": {"name": "bootstrap-token-abcdef", "uid": "u-1"}}
KEY = "0123456789abcdef" * 4


def data(secret: dict[str, Any]) -> dict[str, str]:
    return {key: b64decode(value, validate=True).decode() for key, value in secret["data"].items()}


def decrypted(secret: dict[str, Any], key: str) -> dict[str, bytes]:
    """As kubeadm does it: the nonce is the first twelve bytes."""
    cipher = AESGCM(bytes.fromhex(key))
    contents = {name: b64decode(value) for name, value in secret["data"].items()}
    return {name: cipher.decrypt(content[:12], content[12:], None) for name, content in contents.items()}


def test_a_bootstrap_token_has_kubeadms_fields() -> None:
    secret = kubeadm_objects.bootstrap_token(TOKEN, timedelta(minutes=30), NOW)
    assert secret["metadata"] == {"name": "bootstrap-token-abcdef", "namespace": "kube-system"}
    assert secret["type"] == "bootstrap.kubernetes.io/token"
    assert data(secret) == {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "expiration": "2026-11-22T12:30:00Z",
        "usage-bootstrap-authentication": "true",
        "usage-bootstrap-signing": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm:default-node-token",
        "description": "Minted by kube-provision for the machines of one run",
    }


def test_the_token_that_ends_an_upload_lets_nobody_in() -> None:
    secret = kubeadm_objects.expiry_token(TOKEN, NOW)
    assert set(data(secret)) == {"token-id", "token-secret", "expiration", "description"}
    assert data(secret)["expiration"] == "2026-11-22T14:00:00Z"


def test_an_upload_decrypts_to_the_pki_under_kubeadms_names(pki: Pki) -> None:
    key = create_certificate_key()
    uploaded = decrypted(kubeadm_objects.certificates(pki, key, OWNER), key)
    assert uploaded == {
        "ca.crt": pki.files["ca.crt"],
        "ca.key": pki.files["ca.key"],
        "sa.key": pki.files["sa.key"],
        "sa.pub": pki.files["sa.pub"],
        "front-proxy-ca.crt": pki.files["front-proxy-ca.crt"],
        "front-proxy-ca.key": pki.files["front-proxy-ca.key"],
        "etcd-ca.crt": pki.files["etcd/ca.crt"],
        "etcd-ca.key": pki.files["etcd/ca.key"],
    }


def test_an_upload_is_closed_to_another_key(pki: Pki) -> None:
    with pytest.raises(InvalidTag):
        decrypted(kubeadm_objects.certificates(pki, KEY, OWNER), create_certificate_key())


def test_no_nonce_is_used_twice(pki: Pki) -> None:
    uploads = [kubeadm_objects.certificates(pki, KEY, OWNER)["data"] for _ in range(2)]
    nonces = [b64decode(value)[:12] for upload in uploads for value in upload.values()]
    assert len(set(nonces)) == len(nonces)


def test_an_upload_shows_no_key(pki: Pki) -> None:
    assert "PRIVATE" not in json.dumps(kubeadm_objects.certificates(pki, KEY, OWNER))


def test_an_upload_goes_when_its_token_goes(pki: Pki) -> None:
    metadata = kubeadm_objects.certificates(pki, KEY, OWNER)["metadata"]
    assert metadata["name"] == "kubeadm-certs"
    assert metadata["ownerReferences"] == [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "name": "bootstrap-token-abcdef",
            "uid": "u-1",
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def test_joining_machines_may_read_the_upload_and_nothing_else() -> None:
    assert kubeadm_objects.certificates_role()["rules"] == [
        {"apiGroups": [""], "resources": ["secrets"], "resourceNames": ["kubeadm-certs"], "verbs": ["get"]}
    ]
    binding = kubeadm_objects.certificates_role_binding()
    assert binding["roleRef"]["name"] == kubeadm_objects.certificates_role()["metadata"]["name"]
    assert [subject["name"] for subject in binding["subjects"]] == ["system:bootstrappers:kubeadm:default-node-token"]


@pytest.mark.parametrize("key", ["", "ab", "zz" * 32, "ab" * 33])
def test_a_certificate_key_that_is_none_is_refused(pki: Pki, key: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is the library's
        kubeadm_objects.certificates(pki, key, OWNER)
