"""What kubeadm will be given, checked by OpenSSL where OpenSSL can judge it."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
from collections.abc import Mapping
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from kube_provision_core.folder.pki import (
    AUTHORITIES,
    PKI_FILES,
    JoinSecrets,
    Pki,
    create_certificate_key,
    create_pki,
    create_token,
)
from kube_provision_core.folder.x509 import KeyPair, sign_server

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def other() -> Pki:
    return create_pki("other")


def certificate(pem: bytes) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pem)


def openssl(*arguments: str | Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, timeout=60)


def verify(authority: bytes, leaf: bytes, purpose: str, folder: Path) -> subprocess.CompletedProcess[bytes]:
    (folder / "ca.crt").write_bytes(authority)
    (folder / "leaf.crt").write_bytes(leaf)
    return openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", folder / "ca.crt", folder / "leaf.crt")


def test_a_pki_is_exactly_what_kubeadm_takes_from_outside(pki: Pki) -> None:
    assert set(pki.files) == {
        *("ca.crt", "ca.key", "sa.key", "sa.pub"),
        *("front-proxy-ca.crt", "front-proxy-ca.key", "etcd/ca.crt", "etcd/ca.key"),
    }


def test_a_pki_with_a_file_too_few_cannot_be_made(pki: Pki) -> None:
    with pytest.raises(ValueError, match=r"ca\.crt"):
        Pki({path: content for path, content in pki.files.items() if path != "ca.crt"})


@pytest.mark.parametrize(("path", "common_name"), AUTHORITIES.items())
def test_authorities_bear_kubeadms_names_and_the_clusters(pki: Pki, path: str, common_name: str) -> None:
    assert certificate(pki.files[f"{path}.crt"]).subject.rfc4514_string() == f"CN={common_name},O=prod"


@pytest.mark.parametrize("path", AUTHORITIES)
def test_openssl_takes_each_authority_for_one(pki: Pki, path: str, tmp_path: Path) -> None:
    authority = pki.files[f"{path}.crt"]
    assert verify(authority, authority, "any", tmp_path).returncode == 0
    extensions = openssl("x509", "-noout", "-ext", "basicConstraints,keyUsage", stdin=authority).stdout.decode()
    assert "X509v3 Basic Constraints: critical\n    CA:TRUE" in extensions
    assert "Certificate Sign" in extensions


@pytest.mark.parametrize("path", AUTHORITIES)
def test_each_authority_has_a_key_of_its_own_in_a_format_that_kubeadm_reads(pki: Pki, path: str) -> None:
    pem = pki.files[f"{path}.key"]
    key = load_pem_private_key(pem, None)
    assert pem.startswith(b"-----BEGIN EC PRIVATE KEY-----\n")
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    assert key.curve.name == "secp256r1"
    assert key.public_key() == certificate(pki.files[f"{path}.crt"]).public_key()


def test_the_authorities_keys_differ(pki: Pki) -> None:
    assert len({pki.files[f"{path}.key"] for path in AUTHORITIES}) == len(AUTHORITIES)


def test_authorities_begin_five_minutes_ago_and_last_ten_years() -> None:
    now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
    authority = certificate(create_pki("prod", now).ca)
    assert authority.not_valid_before_utc == now - timedelta(minutes=5)
    assert authority.not_valid_after_utc == now + timedelta(days=3650)


def test_the_service_account_key_is_rsa_and_its_public_half_belongs_to_it(pki: Pki) -> None:
    assert isinstance(load_pem_private_key(pki.files["sa.key"], None), rsa.RSAPrivateKey)
    assert pki.files["sa.key"].startswith(b"-----BEGIN RSA PRIVATE KEY-----\n")
    assert openssl("pkey", "-pubout", stdin=pki.files["sa.key"]).stdout == pki.files["sa.pub"]


def test_the_pin_is_the_digest_of_the_authoritys_public_key_as_openssl_computes_it(pki: Pki) -> None:
    public = openssl("x509", "-noout", "-pubkey", stdin=pki.ca).stdout
    der = openssl("pkey", "-pubin", "-outform", "DER", stdin=public).stdout
    assert pki.ca_pin == f"sha256:{hashlib.sha256(der).hexdigest()}"


def test_an_administrators_certificate_is_a_clients_and_names_the_group_that_init_binds(pki: Pki, tmp_path: Path) -> None:
    pair = pki.administrator("someone", HOUR)
    assert verify(pki.ca, pair.certificate, "sslclient", tmp_path).returncode == 0
    assert verify(pki.ca, pair.certificate, "sslserver", tmp_path).returncode != 0
    assert certificate(pair.certificate).subject.rfc4514_string() == "CN=someone,O=kubeadm:cluster-admins"


def test_an_etcd_clients_certificate_is_signed_by_etcds_authority_alone(pki: Pki, tmp_path: Path) -> None:
    pair = pki.etcd_client("someone", HOUR)
    assert verify(pki.etcd_ca, pair.certificate, "sslclient", tmp_path).returncode == 0
    assert verify(pki.ca, pair.certificate, "sslclient", tmp_path).returncode != 0


def test_a_certificate_lives_as_long_as_asked(pki: Pki) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    signed = certificate(pki.administrator("someone", HOUR, now).certificate)
    assert signed.not_valid_after_utc == now + HOUR


def test_a_certificate_never_outlives_its_authority(pki: Pki) -> None:
    signed = certificate(pki.administrator("someone", timedelta(days=9999)).certificate)
    assert signed.not_valid_after_utc == certificate(pki.ca).not_valid_after_utc


def test_a_servers_certificate_names_addresses_as_addresses(pki: Pki) -> None:
    pair = sign_server(pki.authority("ca"), "server", ["m-1", "10.0.0.1", "fd00::1"], HOUR)
    names = certificate(pair.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["m-1"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["10.0.0.1", "fd00::1"]


def test_tokens_are_as_kubeadm_wants_them_and_never_the_same() -> None:
    tokens = {create_token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(re.fullmatch(r"[a-z0-9]{6}\.[a-z0-9]{16}", token) for token in tokens)


def test_certificate_keys_are_as_kubeadm_wants_them_and_never_the_same() -> None:
    keys = {create_certificate_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch(r"[0-9a-f]{64}", key) for key in keys)


def test_a_sound_pki_has_no_damage(pki: Pki) -> None:
    assert pki.damaged() == ()


@pytest.mark.parametrize("path", PKI_FILES)
def test_rubbish_in_a_file_is_found(pki: Pki, path: str) -> None:
    assert Pki({**pki.files, path: b"rubbish"}).damaged() == (path,)


@pytest.mark.parametrize("path", PKI_FILES)
def test_a_file_of_another_cluster_is_found(pki: Pki, other: Pki, path: str) -> None:
    assert path in Pki({**pki.files, path: other.files[path]}).damaged()


def test_a_key_that_kubeadm_refuses_is_found(pki: Pki) -> None:
    key = ed25519.Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert Pki({**pki.files, "ca.key": key}).damaged() == ("ca.key",)


@pytest.mark.parametrize("number", ["n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp"])
def test_a_signing_key_with_a_damaged_number_is_found(pki: Pki, number: str) -> None:
    numbers = signing_numbers(pki)
    numbers[number] ^= 1 << numbers[number].bit_length() // 2
    assert Pki({**pki.files, "sa.key": rsa_pem(numbers)}).damaged() == ("sa.key",)


@pytest.mark.parametrize("one", ["p", "q"])
def test_a_signing_key_without_two_factors_is_none(pki: Pki, one: str) -> None:
    numbers = signing_numbers(pki)
    numbers |= {"p": numbers["n"], "q": numbers["n"], one: 1}
    assert Pki({**pki.files, "sa.key": rsa_pem(numbers)}).damaged() == ("sa.key",)


def test_numbers_that_openssl_reduces_are_none_of_a_key(pki: Pki) -> None:
    numbers = signing_numbers(pki)
    for larger in (
        {"iqmp": numbers["iqmp"] + numbers["p"]},
        {"d": numbers["d"] + numbers["n"] - numbers["p"] - numbers["q"] + 1},
    ):
        assert Pki({**pki.files, "sa.key": rsa_pem(numbers | larger)}).damaged() == ("sa.key",)


def signing_numbers(pki: Pki) -> dict[str, int]:
    """In the order of RFC 8017, A.1.2."""
    key = load_pem_private_key(pki.files["sa.key"], None)
    assert isinstance(key, rsa.RSAPrivateKey)
    private, public = key.private_numbers(), key.public_key().public_numbers()
    names = ("d", "p", "q", "dmp1", "dmq1", "iqmp")
    return {"n": public.n, "e": public.e} | {name: getattr(private, name) for name in names}


def rsa_pem(numbers: Mapping[str, int]) -> bytes:
    """RFC 8017's RSAPrivateKey, whatever it is good for."""
    content = b"".join(der(2, number.to_bytes(number.bit_length() // 8 + 1)) for number in (0, *numbers.values()))
    body = base64.encodebytes(der(0x30, content)).decode()
    return f"-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----\n".encode()


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    long = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([tag, *(long if size < 0x80 else (0x80 + len(long), *long))]) + content


def test_no_repr_shows_a_secret(pki: Pki) -> None:
    pair = pki.administrator("someone", HOUR)
    shown = f"{pki!r} {pair!r} {JoinSecrets(pki, 'abcdef.0123456789abcdef', 'ab' * 32)!r}"
    assert "PRIVATE" not in shown
    assert "abcdef" not in shown
    assert "abab" not in shown


def test_a_pki_cannot_be_changed(pki: Pki) -> None:
    with pytest.raises(TypeError):
        pki.files["ca.key"] = b""  # type: ignore[index]  # the point of the test
    with pytest.raises(FrozenInstanceError):
        pki.files = {}  # type: ignore[misc]  # the point of the test


def test_a_key_pair_is_a_value() -> None:
    assert KeyPair(b"a", b"b") == KeyPair(b"a", b"b")


def test_a_machines_key_is_the_same_every_time(pki: Pki) -> None:
    key = pki.machine_key("id", "w-1", "5f0c")
    assert re.fullmatch("[0-9a-f]{64}", key)
    assert Pki(pki.files).machine_key("id", "w-1", "5f0c") == key


def test_a_machines_key_is_another_one_on_each_machine(pki: Pki, other: Pki) -> None:
    whose = [
        ("id", "w-1", "5f0c"),
        ("id", "w-1", "5f0d"),
        ("id", "w-2", "5f0c"),
        ("id-2", "w-1", "5f0c"),
        ("id", "w-15f0c", ""),
    ]
    keys = {authority.machine_key(*it) for authority in (pki, other) for it in whose}
    assert len(keys) == 2 * len(whose)


@pytest.mark.parametrize("kind", ["elliptic", "rsa"])
def test_a_machines_key_does_not_depend_on_how_the_authoritys_is_written(pki: Pki, kind: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1()) if kind == "elliptic" else rsa.generate_private_key(65537, 2048)
    written = {
        form: key.private_bytes(Encoding.PEM, form, NoEncryption())
        for form in (PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL)
    }
    keys = {Pki({**pki.files, "ca.key": pem}).machine_key("id", "w-1", "5f0c") for pem in written.values()}
    assert len(set(written.values())) == 2
    assert len(keys) == 1
