"""How this host reaches a Consul: one value for whatever asks it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path

from kube_provision_core import ConfigError, DiscoveryError, Endpoint


class BadInputError(ConfigError, DiscoveryError):
    """What keeps Consul from being asked is written in the configuration, and stays until that is changed."""


class DeniedError(DiscoveryError):
    """Consul answers that it will not, until its administrator gives a token more rights."""

    retryable = False


@dataclass(frozen=True)
class Tls:
    """HTTPS: whom one trusts, and who one is."""

    authority: str
    """Certificates, PEM: of those that sign Consul's servers. Nobody else is trusted."""
    certificate_file: Path | None = None
    """A client certificate, PEM, with what else its chain needs; None where Consul demands none."""
    key_file: Path | None = field(default=None, repr=False)
    server_name: str = ""
    """The name that servers' certificates have (`server.dc1.consul`), where it is not the one they are reached by."""

    def context(self) -> ssl.SSLContext:
        """Raises `DiscoveryError` for files that are of no use by now."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_verify_locations(cadata=self.authority)
            if self.certificate_file:
                context.load_cert_chain(self.certificate_file, self.key_file, password=_nobody_is_asked)
        except (OSError, ValueError) as error:  # an `ssl.SSLError` is an OSError
            raise DiscoveryError(f"TLS to Consul cannot be set up: {error}") from error
        return context


@dataclass(frozen=True)
class ConsulEndpoint:
    """Consul's HTTP interface, with all that it takes to be let in."""

    servers: tuple[Endpoint, ...]
    """Equal ones: the first that answers is asked."""
    datacenter: str
    token: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    """None: plain HTTP."""

    @property
    def scheme(self) -> str:
        return "https" if self.tls else "http"

    def only(self, server: Endpoint) -> ConsulEndpoint:
        return replace(self, servers=(server,))

    def first(self, server: Endpoint | None) -> ConsulEndpoint:
        """The same, and this one of its servers is asked before the others."""
        return replace(self, servers=tuple(sorted(self.servers, key=lambda it: it != server)))

    def __str__(self) -> str:
        """For people."""
        return "Consul at " + ", ".join(f"{server.host}:{server.port}" for server in self.servers)


def _nobody_is_asked() -> str:
    """OpenSSL would ask the terminal."""
    raise ValueError("the key is protected by a password")
