"""The Consul keys of the configuration."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from pydantic import SecretStr, ValidationInfo, field_validator, model_validator

from kube_provision_core import DriverConfig, Endpoint, LocalFile, option, raise_faults

from .certificates import certificates, check_pair, content_of
from .endpoint import Tls
from .layout import HTTPS_PORT
from .seed import Seed, new_seed
from .server_address import ConsulServers, ServerAddress, parse

_GOSSIP_KEY_BYTES = 32
_GOSSIP_KEY_LENGTHS = (16, 24, 32)
"""What Consul takes: AES-128, AES-192, AES-256."""
SERVERS = (1, 3, 5)
"""How many there may be."""
_SEED = re.compile("[0-9a-f]{64}")


def new_gossip_key() -> str:
    return base64.b64encode(secrets.token_bytes(_GOSSIP_KEY_BYTES)).decode()


class ConsulConfig(DriverConfig):
    """Keys for discovery by Consul."""

    consul_ip: ConsulServers | None = option(
        None,
        asked=True,
        example="10.200.200.1",
        min_length=1,
        help="An existing Consul: address or DNS name of a server, or a list of them (`10.0.0.4`, "
        "`consul.example.org:8500`, `https://consul.example.org:8501`); unset: a Consul server is provisioned first.",
    )
    consul_ca_file: LocalFile | None = option(
        None,
        shown="consul_ip",
        help="PEM file of the authorities that sign an existing Consul's servers: it is asked over HTTPS, and agents speak "
        "TLS with it.",
    )
    consul_client_cert_file: LocalFile | None = option(
        None,
        per_role=True,
        shown="consul_ca_file",
        help="PEM file of the certificate that an existing Consul demands of its clients and agents.",
    )
    consul_client_key_file: LocalFile | None = option(
        None,
        per_role=True,
        shown="consul_client_cert_file",
        help="PEM file of that certificate's private key, without a password.",
    )
    consul_tls_server_name: str | None = option(
        None,
        shown="consul_ca_file",
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$",
        help="Name in the certificates of an existing Consul's HTTPS, such as `server.dc1.consul`; unset: the one in "
        "`consul_ip`.",
    )
    consul_bind_interface: str | None = option(
        None,
        per_role=True,
        min_length=1,
        max_length=15,
        pattern=r"^[A-Za-z0-9._-]+$",
        help="Network interface whose address a node uses; unset: the one that the target names, else that of its route to "
        "Consul.",
    )
    consul_version: str | None = option(
        None,
        pattern=r"^[0-9]+\.[0-9]+(\.[0-9]+)?$",
        help="Version of the Consul package (`1.22` or `1.22.1`); unset: the repository's newest.",
    )
    consul_datacenter: str = option("dc1", pattern=r"^[a-z0-9_-]+$", help="Consul datacenter.")
    consul_token: SecretStr | None = option(
        None,
        per_role=True,
        shown="consul_ip",
        help="ACL token for an existing Consul; it may differ per role, so that workers may do less.",
    )
    consul_encrypt: SecretStr | None = option(
        None,
        shown="consul_ip",
        help="Gossip key, base64 of 16, 24 or 32 bytes; generated when the Consul server is provisioned.",
    )

    consul_servers: int = option(
        1,
        shown=False,
        help="How many Consul servers are provisioned: 1, 3 or 5. Of three one may be lost, of five two, and all goes on; "
        "their number may grow, and not shrink.",
    )
    consul_on_masters: bool = option(
        False,
        shown=False,
        help="The servers run on the masters, of which there are 1, 3 or 5 with static addresses, and no machine is made "
        "for them; for clusters that are made with it.",
    )
    consul_seed: SecretStr | None = option(
        None,
        shown=False,
        help="32 bytes in hexadecimal, of which all secrets of a provisioned Consul are made; generated for a new cluster.",
    )
    consul_closing: bool = option(
        False,
        shown=False,
        help="A provisioned Consul that is open is being closed: machines get tokens and certificates, and servers still "
        "take who has none. Never for one that is closed: a server that is made with it is half open.",
    )

    @field_validator("consul_servers")
    @classmethod
    def _has_majorities(cls, count: int) -> int:
        if count not in SERVERS:
            raise ValueError(f"{count} servers are not provisioned: take 1, 3 or 5, since more than half of them must live")
        return count

    @field_validator("consul_ca_file")
    @classmethod
    def _holds_certificates(cls, file: Path | None) -> Path | None:
        if file is not None:
            certificates(file)
        return file

    @field_validator("consul_client_key_file")
    @classmethod
    def _is_the_certificates(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        certificate: Path | None = info.data.get("consul_client_cert_file")
        if key is not None and certificate is not None:
            check_pair(certificate, key)
        return key

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
    def _fits_together(self) -> Self:
        raise_faults(((key,), text) for key, text in self._faults())
        return self

    def _faults(self) -> Iterator[tuple[str, str]]:
        """By the key that is set, so that each is told at its line."""
        schemes = {address.scheme for address in self._addresses}
        if {"https", "http"} <= schemes or ("http" in schemes and "" in schemes and self.consul_ca_file):
            yield "consul_ip", "some servers are to be asked over HTTPS and others are not: say the same of all"
        if "https" in schemes and not self.consul_ca_file:
            yield "consul_ip", "says https://, and nothing says who signs Consul's certificates: set consul_ca_file"
        if (self.consul_client_cert_file is None) != (self.consul_client_key_file is None):
            given = "consul_client_cert_file" if self.consul_client_cert_file else "consul_client_key_file"
            yield given, "consul_client_cert_file and consul_client_key_file belong together: set both or none"
        if self.consul_client_cert_file and not self.consul_ca_file:
            yield "consul_client_cert_file", "is shown over TLS alone: set consul_ca_file"
        if self.consul_ca_file and not self.consul_ip:
            yield "consul_ca_file", "is that of an existing Consul: name it with consul_ip"
        if self.consul_token and not self.consul_ip:
            yield "consul_token", "is for an existing Consul: name it with consul_ip"
        if self.consul_seed and self.consul_ip:
            yield "consul_seed", "closes a Consul that is provisioned, and consul_ip names an existing one: leave one out"
        if self.consul_closing and self.consul_ip:
            yield "consul_closing", "is for a Consul that is provisioned, and consul_ip names an existing one: leave one out"
        if self.consul_closing and self.consul_on_masters:
            yield "consul_closing", "is for an open Consul, and one on masters never was: leave one out"
        if self.consul_servers > 1 and self.consul_ip:
            yield "consul_servers", "is of a Consul that is provisioned, and consul_ip names an existing one: leave one out"
        if self.consul_on_masters and self.consul_ip:
            yield (
                "consul_on_masters",
                "is of a Consul that is provisioned, and consul_ip names an existing one: leave one out",
            )
        if self.consul_tls_server_name and self.scheme != "https":
            yield "consul_tls_server_name", "is for HTTPS alone: set consul_ca_file"

    @property
    def servers_said(self) -> int | None:
        """How many servers are asked for; None where nothing says so."""
        return self.consul_servers if "consul_servers" in self.model_fields_set else None

    @property
    def hosts(self) -> tuple[str, ...]:
        """Addresses and names of an existing Consul's servers; empty: one is provisioned."""
        return tuple(address.host for address in self._addresses)

    @property
    def scheme(self) -> str:
        """What is known to be trusted is not asked without: with a CA it is `https` but where `http://` is said."""
        said = {address.scheme for address in self._addresses} - {""}
        return said.pop() if said else "https" if self.consul_ca_file else "http"

    def servers(self, http_port: int) -> tuple[Endpoint, ...]:
        """An existing Consul's. `http_port`: that of plain HTTP where none is said."""
        usual = http_port if self.scheme == "http" else HTTPS_PORT
        return tuple(Endpoint(address.host, address.port or usual) for address in self._addresses)

    @property
    def tls(self) -> Tls | None:
        """By which this host asks an existing Consul; None: over plain HTTP."""
        if self.scheme == "http" or not self.consul_ca_file:
            return None
        return Tls(
            content_of(self.consul_ca_file, certificates),
            self.consul_client_cert_file,
            self.consul_client_key_file,
            self.consul_tls_server_name or "",
        )

    @property
    def _addresses(self) -> Sequence[ServerAddress]:
        return [parse(text) for text in self.consul_ip or ()]

    @property
    def seed(self) -> Seed | None:
        """None where Consul is somebody else's, or was provisioned by an earlier version, and is open."""
        return Seed(self.consul_seed.get_secret_value()) if self.consul_seed else None

    def founding(self) -> Mapping[str, Callable[[], str]]:
        """What closes the server that is provisioned. Machines that are there already would know nothing of it."""
        return {"consul_seed": new_seed} if self.consul_ip is None and self.consul_seed is None else {}

    def generated(self) -> Mapping[str, Callable[[], str]]:
        """A gossip key for the server that is provisioned; an existing one's users know theirs. A seed for one that is being
        closed."""
        makers = {"consul_encrypt": new_gossip_key, **({"consul_seed": new_seed} if self.consul_closing else {})}
        return {key: make for key, make in makers.items() if self.consul_ip is None and getattr(self, key) is None}
