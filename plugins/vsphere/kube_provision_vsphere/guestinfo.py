"""Boot data in the form in which cloud-init's VMware datasource reads it: `guestinfo` keys, compressed, encoded."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from kube_provision_core import Boot, Node

from .config import VsphereConfig

LIMIT = 64 * 1024
"""Bytes of one encoded value. More is cut off or refused when the machine powers on."""

ENCODING = "gzip+base64"
EMPTY_USER_DATA = "#cloud-config\n{}\n"

NETWORK_CARD = "e*"
"""ens192, eth0: the machine's card is not known by its hardware address before it exists."""


FAST, USUAL, BEST = 1, 6, 9
"""Levels of compression. The best takes four times as long as the usual one and saves one per cent of boot data."""


def encode(text: str) -> str:
    """Equal texts give equal values. Compressed harder only where that decides."""
    value = _compressed(text, USUAL)
    return value if len(value) <= LIMIT else _compressed(text, BEST)


def _compressed(text: str, level: int) -> str:
    return base64.b64encode(gzip.compress(text.encode(), level, mtime=0)).decode()


@lru_cache(maxsize=8)
def _surely_fits(text: str) -> bool:
    """Machines of one kind are checked with one text."""
    return len(_compressed(text, FAST)) <= LIMIT


def values(node: Node, boot: Boot, config: VsphereConfig) -> dict[str, str]:
    """The keys of a new machine."""
    document = json.dumps(metadata(node, boot, config))
    return {**_pair("metadata", encode(document)), **_pair("userdata", encode(boot.user_data))}


def scrubbed_values() -> dict[str, str]:
    """What replaces the user-data of a machine that has booted; the metadata, with its instance id, stays."""
    return _pair("userdata", encode(EMPTY_USER_DATA))


def _pair(name: str, value: str) -> dict[str, str]:
    return {f"guestinfo.{name}": value, f"guestinfo.{name}.encoding": ENCODING}


def metadata(node: Node, boot: Boot, config: VsphereConfig) -> Mapping[str, Any]:
    document: dict[str, Any] = {"instance-id": boot.instance_id, "local-hostname": boot.hostname}
    if config.static_ip or config.dns_servers:
        document["network"] = {"version": 2, "ethernets": {"primary": _card(node, config)}}
    return document


def _card(node: Node, config: VsphereConfig) -> dict[str, Any]:
    card: dict[str, Any] = {"match": {"name": NETWORK_CARD}}
    if config.static_ip is None:
        card |= {"dhcp4": True, "dhcp4-overrides": {"use-dns": False}}
    else:
        card |= {"dhcp4": False, "addresses": [str(static_address(node, config))]}
        if config.static_ip.gateway:
            card["routes"] = [{"to": "0.0.0.0/0", "via": str(config.static_ip.gateway)}]
    if config.dns_servers:
        card["nameservers"] = {"addresses": [str(server) for server in config.dns_servers]}
    return card


def static_address(node: Node, config: VsphereConfig) -> str | None:
    """The machine's fixed address with its prefix length; None without one, or where the list is too short."""
    addresses = config.static_ip.addresses if config.static_ip else []
    place = max(node.index, 1) - 1  # the discovery machine has index 0 and takes the first
    return str(addresses[place]) if place < len(addresses) else None


def oversize(node: Node, boot: Boot, config: VsphereConfig) -> Iterator[str]:
    """A line for each value over the limit."""
    if _surely_fits(boot.user_data):
        return  # the rest is small
    for key, value in values(node, boot, config).items():
        if len(value) > LIMIT:
            yield (
                f"{node.name}: boot data ({key}) is {len(value)} bytes when compressed, {len(value) - LIMIT} more than the "
                f"{LIMIT} that vSphere delivers; largest files: {_largest(boot)}. Let the node fetch them, or shorten them"
            )


def _largest(boot: Boot, count: int = 3) -> str:
    sizes = {
        file.path: len(gzip.compress(file.content.encode() if isinstance(file.content, str) else file.content))
        for file in boot.files
    }
    largest = sorted(sizes, key=lambda path: -sizes[path])[:count]
    return ", ".join(f"{path} ({sizes[path]})" for path in largest) or "none"
