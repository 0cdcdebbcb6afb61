"""Boot data in the form in which cloud-init reads it on VMware: `guestinfo` keys, compressed, encoded."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any, ClassVar

from .model import Boot

_FAST, _BEST = 1, 9
"""Levels of compression. The best takes nine times as long, and saves a fifth."""


@dataclass(frozen=True, slots=True)
class GuestInfo:
    """A machine's boot data as targets of VMware's deliver it: keys of its configuration.

    `values()` are the keys of a new machine, `GuestInfo.scrubbed()` those that replace its user-data once it has booted (the
    metadata, with its instance id, stays, else the next boot would be a first boot). `problems(name, product)` are lines for
    `preflight`: VMware delivers 64 KiB per key. Equal boot data gives equal values.
    """

    boot: Boot
    """What is delivered."""
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Besides instance id and host name, which are the boot's: `network`."""

    LIMIT: ClassVar[int] = 64 * 1024
    """Bytes of one encoded value. More is cut off when a guest asks for it, or refused when it powers on."""
    USER_DATA: ClassVar[str] = "guestinfo.userdata"
    """The key that scrubbing replaces."""

    def values(self) -> dict[str, str]:
        metadata = {"instance-id": self.boot.instance_id, "local-hostname": self.boot.hostname, **self.metadata}
        return {**_pair("guestinfo.metadata", json.dumps(metadata)), **_pair(self.USER_DATA, self.boot.user_data)}

    @classmethod
    def scrubbed(cls) -> dict[str, str]:
        return _pair(cls.USER_DATA, "#cloud-config\n{}\n")

    def problems(self, name: str, product: str) -> Iterator[str]:
        if _surely_fits(self.boot.user_data):
            return  # the rest is small
        for key, value in self.values().items():
            if len(value) > self.LIMIT:
                yield (
                    f"{name}: boot data ({key}) is {len(value)} bytes when compressed, {len(value) - self.LIMIT} more than "
                    f"the {self.LIMIT} that {product} delivers; largest files: {_largest(self.boot)}. Let the node fetch "
                    "them, or shorten them"
                )


def _pair(name: str, text: str) -> dict[str, str]:
    return {name: _encoded(text), f"{name}.encoding": "gzip+base64"}


def _encoded(text: str) -> str:
    """Compressed harder only where that decides."""
    value = _compressed(text, _FAST)
    return value if len(value) <= GuestInfo.LIMIT else _compressed(text, _BEST)


def _compressed(text: str, level: int) -> str:
    return base64.b64encode(gzip.compress(text.encode(), level, mtime=0)).decode()


@lru_cache(maxsize=8)
def _surely_fits(text: str) -> bool:
    """Machines of one kind are checked with one text."""
    return len(_compressed(text, _FAST)) <= GuestInfo.LIMIT


def _largest(boot: Boot, count: int = 3) -> str:
    sizes = {
        file.path: len(gzip.compress(file.content.encode() if isinstance(file.content, str) else file.content))
        for file in boot.files
    }
    largest = sorted(sizes, key=lambda path: -sizes[path])[:count]
    return ", ".join(f"{path} ({sizes[path]})" for path in largest) or "none"
