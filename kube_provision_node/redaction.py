"""Keeping secrets out of what a node says about itself: what a program has printed may quote them.

Two nets, since either has holes: what looks like a secret, and what stands as a secret in this node's own private files.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

HIDDEN = "(secret)"

_NAME = r"[\w-]*(?:passw(?:or)?d|secret|token|api_?key|private_?key|certificate_?key|encrypt)"
_ASSIGNED = re.compile(rf"(?i)(?<![\w-])({_NAME}[\"']?(?:\s*=\s*|\s*:\s*|\s+=>\s+)[\"']?)([^\s\"',;&]{{8,}})")
_HEADER = re.compile(r"(?i)((?:authorization|x-consul-token):\s*(?:bearer |basic )?)\S+")
_CREDENTIALS = re.compile(r"(://[^/\s:@]*:)[^/\s@]+(?=@)")
_SHAPES = (
    re.compile(r"\b[a-z0-9]{6}\.[a-z0-9]{16}\b"),  # a bootstrap token
    re.compile(r"(?<!sha256:)\b[0-9a-f]{64}\b"),  # a certificate key; the digest of an image is none
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]+"),  # a JSON web token
)
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")
_LINE_OF_KEY = 40
"""Letters of base64 in a row that are taken for a part of a private key or a certificate."""
_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

_LARGEST_FILE = 64 * 1024


class Redaction:
    """Hides secrets in text."""

    def __init__(self, folder: Path, texts: Iterable[str] = ()) -> None:
        """`folder`: where this node's own private files are, which only root and a service may read. `texts`: others."""
        self._known = frozenset(word for text in (*_private_files(folder), *texts) for word in _secrets_in(text))

    def __call__(self, text: str) -> str:
        for word in self._known:
            text = text.replace(word, HIDDEN)
        for pattern in (_ASSIGNED, _HEADER, _CREDENTIALS):
            text = pattern.sub(lambda found: found.group(1) + HIDDEN, text)
        for shape in _SHAPES:
            text = shape.sub(HIDDEN, text)
        return _BASE64.sub(lambda found: HIDDEN if _is_key(found) else found.group(), text)


def _private_files(folder: Path) -> Iterator[str]:
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):  # it has just been deleted
            details = path.stat()
            if path.is_file() and not details.st_mode & 0o004 and details.st_size <= _LARGEST_FILE:
                yield path.read_text(errors="replace")


def _secrets_in(text: str) -> Iterator[str]:
    yield from (found.group(2) for found in _ASSIGNED.finditer(text))
    yield from (found.group() for found in _UUID.finditer(text))
    yield from (found.group() for found in _BASE64.finditer(text) if _is_mixed(found.group()))


def _is_key(found: re.Match[str]) -> bool:
    return len(found.group()) >= _LINE_OF_KEY and _is_mixed(found.group())


def _is_mixed(word: str) -> bool:
    """Encoded bytes, and no path and no hexadecimal digest."""
    return all(re.search(letters, word) for letters in ("[A-Z]", "[a-z]", "[0-9]"))
