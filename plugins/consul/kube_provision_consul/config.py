"""The Consul keys of the configuration."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from typing import Self

from pydantic import SecretStr, field_validator, model_validator

from kube_provision_core import DriverConfig, OnNodeNetwork, option

from .seed import Seed, new_seed

_GOSSIP_KEY_BYTES = 32
_GOSSIP_KEY_LENGTHS = (16, 24, 32)
"""What Consul takes: AES-128, AES-192, AES-256."""
_SEED = re.compile("[0-9a-f]{64}")


def new_gossip_key() -> str:
    return base64.b64encode(secrets.token_bytes(_GOSSIP_KEY_BYTES)).decode()


class ConsulConfig(DriverConfig):
    """Keys for discovery by Consul."""

    consul_ip: OnNodeNetwork[IPv4Address] | None = option(
        None, help="Address of an existing Consul server; unset: a Consul server is provisioned first."
    )
    consul_bind_interface: str | None = option(
        None,
        per_role=True,
        min_length=1,
        max_length=15,
        pattern=r"^[A-Za-z0-9._-]+$",
        help="Network interface whose address a node uses; unset: that of its route to Consul.",
    )
    consul_version: str | None = option(
        None,
        pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$",
        help="Version of the Consul package (`1.22` or `1.22.1`); unset: the repository's newest.",
    )
    consul_datacenter: str = option("dc1", pattern=r"^[a-z0-9_-]+$", help="Consul datacenter.")
    consul_token: SecretStr | None = option(
        None, per_role=True, help="ACL token for an existing Consul; it may differ per role, so that workers may do less."
    )
    consul_encrypt: SecretStr | None = option(
        None, help="Gossip key, base64 of 16, 24 or 32 bytes; generated when the Consul server is provisioned."
    )

    consul_seed: SecretStr | None = option(
        None,
        help="32 bytes in hexadecimal, of which all secrets of a provisioned Consul are made; generated for a new cluster.",
    )

    @field_validator("consul_ip")
    @classmethod
    def _is_one_machines(cls, value: IPv4Address | None) -> IPv4Address | None:
        if value is not None and (value.is_unspecified or value.is_multicast or value.is_reserved):
            raise ValueError("no machine can have this address: the one at which all nodes reach Consul is needed")
        return value

    @field_validator("consul_encrypt")
    @classmethod
    def _is_gossip_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            length = len(base64.b64decode(value.get_secret_value(), validate=True))
        except (binascii.Error, ValueError):
            length = 0
        if length not in _GOSSIP_KEY_LENGTHS:
            raise ValueError("no gossip key: base64 of 16, 24 or 32 bytes is needed, as `consul keygen` prints it")
        return value

    @field_validator("consul_seed")
    @classmethod
    def _is_seed(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _SEED.fullmatch(value.get_secret_value()):
            raise ValueError("no seed: 64 hexadecimal digits are needed, as `openssl rand -hex 32` prints them")
        return value

    @model_validator(mode="after")
    def _is_our_own_to_close(self) -> Self:
        if self.consul_ip is not None and self.consul_seed is not None:
            raise ValueError(
                "consul_seed closes a Consul that is provisioned, and consul_ip names an existing one: leave one out"
            )
        return self

    @property
    def seed(self) -> Seed | None:
        """None where Consul is somebody else's, or was provisioned by an earlier version, and is open."""
        return Seed(self.consul_seed.get_secret_value()) if self.consul_seed else None

    def founding(self) -> Mapping[str, Callable[[], str]]:
        """What closes the server that is provisioned. Machines that are there already would know nothing of it."""
        return {"consul_seed": new_seed} if self.consul_ip is None and self.consul_seed is None else {}

    def generated(self) -> Mapping[str, Callable[[], str]]:
        """A gossip key for the server that is provisioned; an existing one's users know theirs."""
        if self.consul_ip is None and self.consul_encrypt is None:
            return {"consul_encrypt": new_gossip_key}
        return {}
