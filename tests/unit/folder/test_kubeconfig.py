from __future__ import annotations

from base64 import b64decode
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from cryptography import x509

from kube_provision_core.contract.machines import Endpoint
from kube_provision_core.folder.kubeconfig import certificate_of, render_kubeconfig
from kube_provision_core.folder.pki import Pki


def rendered(pki: Pki, host: str = "10.0.0.1", now: datetime | None = None) -> dict[str, Any]:
    document = yaml.safe_load(render_kubeconfig("prod", host, pki, now))
    assert isinstance(document, dict)
    return document


def test_cluster_user_and_context_bear_the_clusters_name(pki: Pki) -> None:
    document = rendered(pki)
    assert [document[section][0]["name"] for section in ("clusters", "users", "contexts")] == ["prod"] * 3
    assert document["contexts"][0]["context"] == {"cluster": "prod", "user": "prod"}
    assert document["current-context"] == "prod"


@pytest.mark.parametrize(("host", "server"), [("10.0.0.1", "https://10.0.0.1:6443"), ("fd00::1", "https://[fd00::1]:6443")])
def test_the_server_is_the_masters_own_address(pki: Pki, host: str, server: str) -> None:
    assert rendered(pki, host)["clusters"][0]["cluster"]["server"] == server


def test_a_server_that_is_reached_elsewhere_is_still_known_by_its_address(pki: Pki) -> None:
    document = yaml.safe_load(render_kubeconfig("prod", "10.0.2.11", pki, reached_at=Endpoint("127.0.0.1", 30443)))
    cluster = document["clusters"][0]["cluster"]
    assert (cluster["server"], cluster["tls-server-name"]) == ("https://127.0.0.1:30443", "10.0.2.11")


def test_it_trusts_the_clusters_authority_alone(pki: Pki) -> None:
    cluster = rendered(pki)["clusters"][0]["cluster"]
    assert set(cluster) == {"server", "certificate-authority-data"}
    assert b64decode(cluster["certificate-authority-data"]) == pki.ca


def test_the_operator_is_no_system_master_and_is_let_in_for_a_year(pki: Pki) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    user = rendered(pki, now=now)["users"][0]["user"]
    certificate = x509.load_pem_x509_certificate(b64decode(user["client-certificate-data"]))
    assert certificate.subject.rfc4514_string() == "CN=kube-provision-operator,O=kubeadm:cluster-admins"
    assert certificate.not_valid_after_utc == now + timedelta(days=365)


def test_long_values_stay_on_one_line(pki: Pki) -> None:
    lines = render_kubeconfig("prod", "10.0.0.1", pki).decode().splitlines()
    assert sum("-data: " in line for line in lines) == 3
    assert all(": " in line or line.endswith(":") for line in lines)


def test_its_certificate_is_read_as_it_was_written(pki: Pki) -> None:
    written = render_kubeconfig("prod", "10.0.0.1", pki, datetime(2027, 1, 1, tzinfo=UTC))
    assert certificate_of(written).not_valid_after_utc >= datetime(2027, 12, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff",
        b"{",
        b"[]",
        b"users: []",
        b"users: [{user: {exec: {command: tool}}}]",
        b"users: [{user: {client-certificate-data: 1}}]",
        b"users: [{user: {client-certificate-data: bm9uZQ==}}]",
    ],
)
def test_one_that_its_owner_has_edited_says_that_it_has_none(content: bytes) -> None:
    with pytest.raises(ValueError, match="no certificate as kube-provision writes it"):
        certificate_of(content)
