"""Where images come from: by the host that they name, who is asked in its place, whom to trust and what to log in with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, StringConstraints, model_validator

from ..contract.urls import URL, without_credentials
from .authorities import Authorities
from .script import Strict
from .words import Login, Password

DOCKER_HUB = "docker.io"
_OWN_SERVERS = {DOCKER_HUB: "registry-1.docker.io"}
"""Where it is not the host that they name."""


def _api_root(url: str) -> str:
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ValueError("must be a host and a path, such as https://harbor.example/v2/hub-cache")
    return url.rstrip("/")


MirrorUrl = Annotated[
    str,
    StringConstraints(pattern=URL),
    AfterValidator(without_credentials("username and password are keys of their own under registries")),
    AfterValidator(_api_root),
]


class Registry(Strict):
    """What is different for images of one host."""

    mirrors: tuple[MirrorUrl, ...] = ()
    """Asked in the registry's place, the first one first."""
    ca: Authorities = ""
    """Authorities that these servers' certificates are checked against, besides those that machines trust anyway."""
    username: Login | None = None
    password: Password | None = None

    @model_validator(mode="after")
    def _checked_credentials(self) -> Self:
        if (self.username is None) != (self.password is None):
            raise ValueError("username and password belong together: give both or neither")
        if len(self.mirrors) > len(set(self.mirrors)):
            raise ValueError("mirrors: names one twice")
        return self


@dataclass(frozen=True)
class Server:
    """One that is asked for the images of a registry."""

    url: str
    """The registry's API is below it; without a path, or with one that does not say `v2`, below its `/v2`."""
    ca: str = ""
    username: str = ""
    password: SecretStr | None = None

    @property
    def host(self) -> str:
        """With its port, where it has one."""
        return urlsplit(self.url).netloc


def servers(registries: Mapping[str, Registry], docker_proxy: str | None = None) -> dict[str, tuple[Server, ...]]:
    """Who is asked for images, by the host that they name. What names a registry that is not here asks that one itself."""
    wanted = dict(registries)
    if docker_proxy:
        wanted[DOCKER_HUB] = Registry(mirrors=(docker_proxy,))
    return {name: tuple(_servers(name, registry, wanted)) for name, registry in wanted.items()}


def _servers(name: str, registry: Registry, registries: Mapping[str, Registry]) -> Iterator[Server]:
    for url in registry.mirrors or (own_url(name),):
        entry = _own_entry(urlsplit(url).netloc, registries) or registry
        yield Server(url, entry.ca, entry.username or "", entry.password)


def own_url(name: str) -> str:
    """Who keeps a registry's images itself."""
    return f"https://{_OWN_SERVERS.get(name, name)}"


def _own_entry(host: str, registries: Mapping[str, Registry]) -> Registry | None:
    """What is said of a host itself; not what is said of those that are asked in its place."""
    name = next((name for name, server in _OWN_SERVERS.items() if server == host), host)
    entry = registries.get(name)
    return entry if entry and not entry.mirrors else None


def faults(registries: Mapping[str, Registry], docker_proxy: str | None) -> Iterator[tuple[str, str]]:
    """What is wrong between entries: the name of one, and what. A password is for one server, and shown to no other."""
    found = servers(registries, docker_proxy)
    logins: dict[str, tuple[str, SecretStr | None]] = {}
    for name, server in ((name, server) for name, asked in found.items() for server in asked):
        login = (server.username, server.password)
        if server.password and server.url.startswith("http://"):
            yield name, f"{server.host} needs a password, and that travels by https:// only: nobody may listen"
        if logins.setdefault(server.host, login) != login:  # containerd before 2.1 knows one login for each host
            yield name, f"{server.host} is logged in to differently by two entries. {_OWN_ENTRY}"
    for name, registry in registries.items():
        hosts = [host for host in _hosts(registry) if not _own_entry(host, registries)]
        if registry.password and len(hosts) > 1:
            yield name, f"is the password for {' or for '.join(hosts)}? {_OWN_ENTRY}"


_OWN_ENTRY = "Give each host that needs one an entry of its own, such as `harbor.example: {username: …, password: …}`"


def _hosts(registry: Registry) -> Iterable[str]:
    return dict.fromkeys(urlsplit(url).netloc for url in registry.mirrors)
