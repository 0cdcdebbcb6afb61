"""The environment of programs on nodes that stand behind a proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from ..contract.boot import NODE_CONFIG_DIR, NODE_DIR, File
from ..contract.machines import Cluster
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig

ENVIRONMENT = f"{NODE_CONFIG_DIR}/proxy.env"
"""An `EnvironmentFile` of systemd's. Only root reads it, since a proxy's URL may hold a password."""

DIRECT = f"{NODE_CONFIG_DIR}/no-proxy.env"
"""The same for `no_proxy` alone: written on the node, which adds the networks that it is connected to."""
DIRECT_NETWORKS = f"{NODE_DIR}/direct-networks.sh"
"""Writes `DIRECT`."""


def is_proxied(config: CoreConfig) -> bool:
    return bool(config.http_proxy or config.https_proxy)


def environment_file(config: CoreConfig, cluster: Cluster) -> File:
    """In both spellings: curl reads only the lower one, others only the upper one."""
    values = {
        "http_proxy": _logged_in(config.http_proxy, config),
        "https_proxy": _logged_in(config.https_proxy, config),
        "no_proxy": ",".join(_direct(config, cluster)),
    }
    lines = [
        f'{spelling}="{_escape(value)}"' for name, value in values.items() if value for spelling in (name, name.upper())
    ]
    return File(ENVIRONMENT, "\n".join(lines) + "\n", mode=0o600, secret=True)


def drop_in(unit: str) -> File:
    """Gives a unit of somebody else's the proxy's environment."""
    content = render("etc/systemd/system/proxied.conf", proxy=ENVIRONMENT, direct=DIRECT)
    return File(f"/etc/systemd/system/{unit}.d/kube-provision-proxy.conf", content)


def _direct(config: CoreConfig, cluster: Cluster) -> list[str]:
    """What is reached without the proxy, as far as it is known here."""
    inside = ["localhost", "127.0.0.1", "::1", cluster.pod_subnet, cluster.service_subnet, ".svc", f".{cluster.domain}"]
    known = (*cluster.discovery_addresses, *cluster.peers)
    return list(dict.fromkeys((*inside, *known, *config.no_proxy)))


def _logged_in(url: str | None, config: CoreConfig) -> str | None:
    """The URL as programs want it, which know no other place for a password."""
    if not url or config.proxy_username is None or config.proxy_password is None:
        return url
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(config.proxy_username, '')}:{quote(config.proxy_password.get_secret_value(), '')}@{rest}"


def _escape(value: str) -> str:
    """For the inside of double quotes in an `EnvironmentFile`."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("`", "\\`").replace("$", "\\$")
