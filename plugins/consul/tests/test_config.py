"""The Consul keys of the configuration."""

from __future__ import annotations

import base64
import os
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID
from pydantic import ValidationError
from servers.certificates import ServerCertificate, issue_certificate

from kube_provision_consul.config import ConsulConfig
from kube_provision_consul.driver import Consul
from kube_provision_core import Endpoint, Role
from kube_provision_core.testing import cluster_of

from .conftest import MakeConsul


def test_a_gossip_key_is_made_where_the_server_is_provisioned() -> None:
    makers = ConsulConfig().generated()
    assert list(makers) == ["consul_encrypt"]
    assert len(base64.b64decode(makers["consul_encrypt"]())) == 32
    assert makers["consul_encrypt"]() != makers["consul_encrypt"]()


def test_a_gossip_key_that_was_made_is_valid() -> None:
    made = ConsulConfig().generated()["consul_encrypt"]()
    assert ConsulConfig(consul_encrypt=made).generated() == {}


def test_an_existing_server_has_the_key_that_its_users_say() -> None:
    assert ConsulConfig(consul_ip="10.0.0.1").generated() == {}


@pytest.mark.parametrize("length", [16, 24, 32])
def test_every_length_that_consul_takes_is_taken(length: int) -> None:
    ConsulConfig(consul_encrypt=base64.b64encode(os.urandom(length)).decode())


@pytest.mark.parametrize("value", ["", "not base64!", base64.b64encode(bytes(20)).decode(), "a" * 33])
def test_what_is_no_gossip_key_is_refused_and_not_repeated(value: str) -> None:
    with pytest.raises(ValidationError, match="no gossip key") as refusal:
        ConsulConfig(consul_encrypt=value)
    assert not value or value not in str(refusal.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("consul_ip", "0.0.0.0"),
        ("consul_ip", "255.255.255.255"),
        ("consul_ip", "224.0.0.1"),
        ("consul_bind_interface", "an-interface-too-long"),
        ("consul_bind_interface", "ens 33"),
        ("consul_datacenter", "DC 1"),
        ("consul_version", "latest"),
    ],
)
def test_other_nonsense_is_refused(key: str, value: str) -> None:
    with pytest.raises(ValidationError):
        ConsulConfig(**{key: value})


# --- an existing Consul --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "servers"),
    [
        ("10.0.0.4", ["10.0.0.4:8500"]),
        ("10.0.0.4,consul.example.org:81", ["10.0.0.4:8500", "consul.example.org:81"]),
        (["10.0.0.4", "10.0.0.5"], ["10.0.0.4:8500", "10.0.0.5:8500"]),
        ("http://consul:80/", ["consul:80"]),
    ],
)
def test_one_server_or_several_are_asked_at_consuls_own_port_where_none_is_said(written: Any, servers: list[str]) -> None:
    config = ConsulConfig(consul_ip=written)
    assert (config.scheme, config.tls) == ("http", None)
    assert [f"{it.host}:{it.port}" for it in config.servers(8500)] == servers


@pytest.mark.parametrize(
    ("written", "scheme", "port"),
    [
        ("consul.example.org", "https", 8501),
        ("https://consul.example.org", "https", 8501),
        ("https://consul.example.org:443", "https", 443),
        ("http://consul.example.org", "http", 8500),
    ],
)
def test_with_a_ca_consul_is_asked_over_https_unless_plain_http_is_said(
    certificate: ServerCertificate, written: str, scheme: str, port: int
) -> None:
    config = ConsulConfig(consul_ip=written, consul_ca_file=certificate.ca_file)
    assert (config.scheme, config.servers(8500)) == (scheme, (Endpoint("consul.example.org", port),))
    assert (config.tls is None) == (scheme == "http")


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("https://10.0.0.4", "says https://.* set consul_ca_file"),
        ("https://10.0.0.4,http://10.0.0.5", "say the same of all"),
        ("https://:a-token-of-mine@10.0.0.4", "a token stands in consul_token"),
        ("a-token-of-mine@10.0.0.4", "a token stands in consul_token"),
        ("http://10.0.0.4?token=a-token-of-mine", "a token stands in consul_token"),
        ("10.0.0.4?token=a-token-of-mine", "a token stands in consul_token"),
        ("http://10.0.0.4/v1", "names no Consul server"),
        ("h?x", "names no Consul server"),
        ("https://consul.example.org#8501", "names no Consul server"),
        ("ftp://10.0.0.4", "names no Consul server"),
        ("10.0.0.4:99999", "port that is no number"),
        ("[fd00::1]:8500", "an IPv4 address or a DNS name is wanted"),
        ("consul_1", "no DNS name"),
        ("10.0.0.4,", "has no host"),
        ([], "at least 1 item"),
    ],
)
def test_what_names_no_consul_is_refused_and_no_token_is_repeated(written: Any, fault: str) -> None:
    with pytest.raises(ValidationError, match=fault) as refusal:
        ConsulConfig(consul_ip=written)
    assert "a-token-of-mine" not in str(refusal.value)


def test_a_server_in_the_network_of_pods_is_refused() -> None:
    context = {"taken networks": {"pod_subnet": [IPv4Network("10.244.0.0/16")]}}
    with pytest.raises(ValidationError, match="lies in pod_subnet"):
        ConsulConfig.model_validate({"consul_ip": ["10.0.0.4", "http://10.244.0.9:8500"]}, context=context)


@pytest.mark.parametrize(
    ("keys", "fault"),
    [
        ({"consul_ca_file": "ca_file"}, "name it with consul_ip"),
        ({"consul_token": "a-token"}, "is for an existing Consul: name it with consul_ip"),
        ({"consul_ip": "10.0.0.4", "consul_ca_file": "key"}, "no PEM file of certificates"),
        ({"consul_ip": "10.0.0.4", "consul_ca_file": "ca_file", "consul_client_key_file": "key"}, "set both or none"),
        (
            {"consul_ip": "10.0.0.4", "consul_client_cert_file": "certificate", "consul_client_key_file": "key"},
            "consul_ca_file",
        ),
        (
            {"consul_ip": "10.0.0.4", "consul_client_cert_file": "ca_file", "consul_client_key_file": "key"},
            "is not that cert",
        ),
        ({"consul_ip": "http://c", "consul_ca_file": "ca_file", "consul_tls_server_name": "name"}, "for HTTPS alone"),
    ],
)
def test_files_that_do_not_fit_are_refused(certificate: ServerCertificate, keys: dict[str, str], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        ConsulConfig(**{key: getattr(certificate, value, value) for key, value in keys.items()})


def test_all_that_does_not_fit_together_is_told_at_once_by_the_keys_that_are_set() -> None:
    with pytest.raises(ValidationError) as refusal:
        ConsulConfig(consul_ip="https://10.0.0.4", consul_tls_server_name="name", consul_seed="0" * 64)
    assert [(fault["loc"], fault["msg"].partition(" ")[0]) for fault in refusal.value.errors()] == [
        (("consul_ip",), "says"),
        (("consul_seed",), "closes"),
    ]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_as_many_machines_are_made_as_servers_are_asked_for(make_consul: MakeConsul, count: int) -> None:
    assert make_consul(consul_servers=count).machines == count


@pytest.mark.parametrize("count", [-1, 0, 2, 4, 7])
def test_a_number_of_servers_without_a_majority_is_refused(count: int) -> None:
    with pytest.raises(ValidationError, match=f"{count} servers are not provisioned: take 1, 3 or 5"):
        ConsulConfig(consul_servers=count)


def test_servers_are_not_counted_beside_an_existing_consul() -> None:
    with pytest.raises(ValidationError, match="is of a Consul that is provisioned, and consul_ip names an existing one"):
        ConsulConfig(consul_servers=3, consul_ip="10.0.0.4")


@pytest.mark.parametrize("key", ["consul_ca_file", "consul_client_cert_file"])
def test_a_certificate_that_has_ended_is_refused(certificate: ServerCertificate, tmp_path: Path, key: str) -> None:
    signed, now = load_pem_private_key(certificate.key.read_bytes(), None), datetime.now(UTC)
    assert isinstance(signed, EllipticCurvePrivateKey)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "old")])
    old = x509.CertificateBuilder(name, name, signed.public_key(), x509.random_serial_number())
    old = old.not_valid_before(now - timedelta(days=9)).not_valid_after(now - timedelta(days=1))
    (tmp_path / "old.crt").write_bytes(old.sign(signed, SHA256()).public_bytes(Encoding.PEM))
    keys = {
        "consul_ca_file": certificate.ca_file,
        "consul_client_cert_file": certificate.certificate,
        "consul_client_key_file": certificate.key,
        key: tmp_path / "old.crt",
    }
    with pytest.raises(ValidationError, match=r"old\.crt holds a certificate that ended on .*: CN=old"):
        ConsulConfig(consul_ip="10.0.0.4", **keys)


def test_a_key_with_a_password_is_refused_and_nobody_is_asked_for_it(certificate: ServerCertificate, tmp_path: Path) -> None:
    key = load_pem_private_key(certificate.key.read_bytes(), None)
    shut = tmp_path / "shut.key"
    shut.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")))
    with pytest.raises(ValidationError, match="protected by a password"):
        ConsulConfig(
            consul_ip="c",
            consul_ca_file=certificate.ca_file,
            consul_client_cert_file=certificate.certificate,
            consul_client_key_file=shut,
        )


@pytest.fixture
def certificate(tmp_path: Path) -> ServerCertificate:
    return issue_certificate(tmp_path)


def test_secrets_are_hidden() -> None:
    token, key = "a-token-of-mine", base64.b64encode(bytes(range(32))).decode()
    assert token not in (text := repr(ConsulConfig(consul_ip="10.0.0.4", consul_token=token, consul_encrypt=key)))
    assert key not in text


def test_servers_on_masters_are_of_a_consul_that_is_provisioned() -> None:
    assert "consul_seed" in ConsulConfig(consul_on_masters=True).founding()
    with pytest.raises(ValidationError, match="consul_ip names an existing one: leave one out"):
        ConsulConfig(consul_ip="10.0.0.1", consul_on_masters=True)


def test_a_seed_is_made_for_a_new_cluster_alone() -> None:
    """Machines of one that is there would know nothing of it."""
    makers = ConsulConfig().founding()
    assert set(makers) == {"consul_seed"}
    made = makers["consul_seed"]()
    assert ConsulConfig(consul_seed=made).founding() == {}
    assert makers["consul_seed"]() != made
    assert "consul_seed" not in ConsulConfig().generated()


def test_a_seed_is_made_for_a_cluster_that_is_there_once_its_consul_is_to_be_closed() -> None:
    made = ConsulConfig(consul_closing=True).generated()["consul_seed"]()
    assert set(ConsulConfig(consul_closing=True, consul_seed=made).generated()) == {"consul_encrypt"}


def test_an_existing_consul_gets_no_seed() -> None:
    assert ConsulConfig(consul_ip="10.0.0.1").founding() == {}
    with pytest.raises(ValidationError, match="is for a Consul that is provisioned, and consul_ip names an existing one"):
        ConsulConfig(consul_ip="10.0.0.1", consul_closing=True)
    with pytest.raises(ValidationError, match="is for an open Consul, and one on masters never was"):
        ConsulConfig(consul_on_masters=True, consul_closing=True)
    with pytest.raises(ValidationError, match="leave one out"):
        ConsulConfig(consul_ip="10.0.0.1", consul_seed="0" * 64)


@pytest.mark.parametrize("text", ["", "0" * 63, "G" * 64, "A" * 64])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        ConsulConfig(consul_seed=text)


@pytest.mark.parametrize(
    ("keys", "is_open"), [({}, True), ({"consul_seed": "0" * 64}, False), ({"consul_ip": "10.0.0.1"}, False)]
)
def test_status_tells_of_a_consul_that_an_earlier_version_has_made(keys: dict[str, str], *, is_open: bool) -> None:
    driver = Consul(dict.fromkeys(Role, ConsulConfig.model_validate(keys)))
    assert ("is open" in driver.discovery_notice(cluster_of())) is is_open
    assert driver.port == (8501 if "consul_seed" in keys else 8500)


def test_status_tells_what_to_do_where_the_server_is_still_the_open_one() -> None:
    config = ConsulConfig.model_validate({"consul_seed": "0" * 64, "consul_closing": True})
    assert "Remove its machine and run again" in Consul(dict.fromkeys(Role, config)).discovery_notice(cluster_of())
