"""Where containerd finds images: one file for each registry, read by all that pulls: the kubelet, kubeadm and `ctr`.

Before 2.1 containerd sends the header of a `hosts.toml` to the registry alone, and not to the server that some registries
have for tokens: there its own configuration has to hold the login as well, and serves what is pulled for Kubernetes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from ..config.registries import Server, own_url, servers
from ..contract.boot import NODE_CONFIG_DIR, File
from .templating import render_secret

if TYPE_CHECKING:
    from ..config.core import CoreConfig

FOLDER = "/etc/containerd/certs.d"
"""Where containerd looks for what it should know of a registry."""

LOGINS = f"{NODE_CONFIG_DIR}/registry-logins.toml"
"""The part of containerd's configuration that holds logins; it is there where there are any."""


@dataclass(frozen=True)
class _Asked:
    """A server, as a `hosts.toml` has it."""

    url: str
    override_path: bool
    """The URL's path is the API's root already: containerd would put `/v2` behind it."""
    ca: str
    """Path of its authorities on the node."""
    login: str


def files(config: CoreConfig) -> tuple[File, ...]:
    """Nothing where nothing is configured. Only root reads what holds a password."""
    found = servers(config.registries, config.docker_proxy)
    per_registry = (file for name, asked in found.items() for file in _registry_files(name, asked))
    return (*per_registry, *_login_files(config))


def has_logins(config: CoreConfig) -> bool:
    """Whether `LOGINS` is there. An entry's password may be nobody's: of mirrors that all have entries of their own."""
    return bool(_logins(config))


def _registry_files(name: str, found: Sequence[Server]) -> Iterator[File]:
    folder = f"{FOLDER}/{name}"
    authorities = {f"{folder}/ca-{number}.pem": server.ca for number, server in enumerate(found, 1) if server.ca}
    paths = {ca: path for path, ca in authorities.items()}
    asked = [_asked(server, paths.get(server.ca, "")) for server in found]
    content = render_secret("etc/containerd/certs.d/hosts.toml", registry=name, own=own_url(name), asked=asked)
    yield _file(f"{folder}/hosts.toml", content, secret=any(it.login for it in asked))
    for ca, path in paths.items():
        yield File(path, ca)


def _asked(server: Server, ca: str) -> _Asked:
    return _Asked(server.url, "v2" in urlsplit(server.url).path.split("/"), ca, _login(server))


def _logins(config: CoreConfig) -> dict[str, str]:
    """By the server's host."""
    found = servers(config.registries, config.docker_proxy).values()
    return {server.host: _login(server) for asked in found for server in asked if server.password}


def _login_files(config: CoreConfig) -> Iterator[File]:
    if logins := _logins(config):
        yield _file(LOGINS, render_secret("etc/containerd/logins.toml", logins=logins), secret=True)


def _login(server: Server) -> str:
    if server.password is None:
        return ""
    return base64.b64encode(f"{server.username}:{server.password.get_secret_value()}".encode()).decode("ascii")


def _file(path: str, content: str, *, secret: bool) -> File:
    return File(path, content, 0o600 if secret else 0o644, secret=secret)
