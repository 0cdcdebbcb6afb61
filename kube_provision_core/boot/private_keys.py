"""Finds private keys in text, also where they hide in base64 (as in a kubeconfig's `client-key-data`)."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache

_PEM = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY")
_WORDS = b"PRIVATE KEY-----"
"""How the first line of every PEM private key ends, whatever its kind."""


def _encodings(word: bytes) -> Iterator[bytes]:
    """What base64 can make of a word, by its place within groups of three bytes; only whole, certain characters."""
    for offset in range(3):
        encoded = base64.b64encode(b"\0" * offset + word).rstrip(b"=")
        uncertain = -(-offset * 8 // 6)
        certain_end = (offset + len(word)) * 8 // 6
        yield encoded[uncertain:certain_end]


_ENCODED = tuple(_encodings(_WORDS))
_TWICE_ENCODED = tuple(twice for once in _ENCODED for twice in _encodings(once))
_HIDDEN = (*_ENCODED, *_TWICE_ENCODED)


@lru_cache(maxsize=1024)
def holds_private_key(content: str | bytes) -> bool:
    """Whether `content` holds a PEM private key: plainly, or in base64, wrapped or not, once or twice over."""
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    unwrapped = b"".join(data.split())
    return bool(_PEM.search(data)) or any(word in unwrapped for word in _HIDDEN)


def value_holds_private_key(value: object) -> bool:
    """The same for a whole tree of cloud-config values."""
    if isinstance(value, Mapping):
        return any(value_holds_private_key(item) for pair in value.items() for item in pair)
    if isinstance(value, list | tuple):
        return any(value_holds_private_key(item) for item in value)
    return isinstance(value, str | bytes) and holds_private_key(value)
