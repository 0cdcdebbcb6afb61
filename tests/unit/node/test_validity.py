"""From when until when a certificate is valid, read without a library."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from kube_provision_core.folder.kubeconfig import render_kubeconfig
from kube_provision_core.folder.pki import create_pki
from kube_provision_node.validity import read_validity

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize("days", [1, 365, 9000, 20000], ids=str)
def test_it_is_what_a_library_reads(tmp_path: Path, days: int) -> None:
    """From 2050 on a certificate writes its years with four digits."""
    pki = create_pki("prod", NOW)
    path = tmp_path / "it.crt"
    content = pki.administrator("x", timedelta(days=days), NOW).certificate
    path.write_bytes(content)
    expected = x509.load_pem_x509_certificate(content)
    found = read_validity(path)
    assert datetime.fromtimestamp(found.begin, UTC) == expected.not_valid_before_utc
    assert datetime.fromtimestamp(found.end, UTC) == expected.not_valid_after_utc


def test_a_kubeconfig_has_one_within(tmp_path: Path) -> None:
    path = tmp_path / "admin.conf"
    path.write_bytes(render_kubeconfig("prod", "10.0.0.1", create_pki("prod", NOW), NOW))
    assert datetime.fromtimestamp(read_validity(path).end, UTC) == NOW + timedelta(days=365)


def test_of_several_the_first_counts(tmp_path: Path) -> None:
    pki = create_pki("prod", NOW)
    path = tmp_path / "kubelet-client-current.pem"
    own = pki.administrator("x", timedelta(days=1), NOW)
    path.write_bytes(own.certificate + own.key + pki.ca)
    assert datetime.fromtimestamp(read_validity(path).end, UTC) == NOW + timedelta(days=1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        "client-certificate-data: AAAA\n",
        "client-certificate-data: A\n",
    ],
)
def test_what_is_none_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "apiserver.crt"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"apiserver\.crt holds no certificate that can be read"):
        read_validity(path)
