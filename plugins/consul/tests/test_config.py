"""The Consul keys of the configuration."""

from __future__ import annotations

import base64
import os

import pytest
from pydantic import ValidationError

from kube_provision_consul.config import ConsulConfig


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
        ("consul_ip", "consul.example.org"),
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


def test_secrets_are_hidden() -> None:
    token, key = "a-token-of-mine", base64.b64encode(bytes(range(32))).decode()
    assert token not in (text := repr(ConsulConfig(consul_token=token, consul_encrypt=key)))
    assert key not in text


def test_a_seed_is_made_for_a_new_cluster_alone() -> None:
    """Machines of one that is there would know nothing of it."""
    makers = ConsulConfig().founding()
    assert set(makers) == {"consul_seed"}
    made = makers["consul_seed"]()
    assert ConsulConfig(consul_seed=made).founding() == {}
    assert makers["consul_seed"]() != made
    assert "consul_seed" not in ConsulConfig().generated()


def test_an_existing_consul_gets_no_seed() -> None:
    assert ConsulConfig(consul_ip="10.0.0.1").founding() == {}
    with pytest.raises(ValidationError, match="leave one out"):
        ConsulConfig(consul_ip="10.0.0.1", consul_seed="0" * 64)


@pytest.mark.parametrize("text", ["", "0" * 63, "G" * 64, "A" * 64])
def test_what_is_no_seed_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="64 hexadecimal digits"):
        ConsulConfig(consul_seed=text)
