"""Secrets that are known word for word, hidden in whatever spelling they stand somewhere."""

from __future__ import annotations

import html
import json
import re
import shlex
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

from .hiding import HIDDEN

_SHORT = 4
"""Letters of a secret that is hidden only where it stands as a word: shorter ones are in every text by chance."""
_LEAST = 8
"""Letters of base64 that are looked for, for the same reason."""
_PEM = re.compile(r"-----BEGIN [A-Z ]+-----(?P<body>[A-Za-z0-9+/=\s]+)-----END [A-Z ]+-----")
_URL_SAFE = str.maketrans("+/", "-_")


class Known:
    """Hides them. Nothing is told of them by `repr`."""

    def __init__(self, secrets: Iterable[str]) -> None:
        whole = {part for secret in secrets if secret.strip() for part in _parts(secret)}
        self._plain = _longest_first(spelt for secret in whole for spelt in _spelt(secret))
        self._encoded = _longest_first(inner for secret in whole for inner in _in_base64(secret.encode()))

    def hide(self, text: str) -> str:
        for secret in self._plain:
            if secret in text:
                text = _replaced(text, secret)
        for inner in self._encoded:
            if inner in text:
                text = re.sub(rf"(?<![\w+/-])[\w+/-]*{re.escape(inner)}[\w+/=-]*", HIDDEN, text)
        return text


def _replaced(text: str, secret: str) -> str:
    if len(secret) >= _SHORT:
        return text.replace(secret, HIDDEN)
    return re.sub(rf"(?<!\w){re.escape(secret)}(?!\w)", HIDDEN, text)


def _longest_first(words: Iterable[str]) -> tuple[str, ...]:
    """What stands within another one is not hidden before that is, or its rest would stay."""
    return tuple(sorted(set(words), key=len, reverse=True))


def _parts(secret: str) -> Iterator[str]:
    """The secret itself; of one in PEM each line too, since a journal puts words of its own before each."""
    yield secret.strip()
    for pem in _PEM.finditer(secret):
        lines = pem["body"].split()
        yield from (line for line in lines if len(line) >= _LEAST)
        yield "".join(lines)


def _spelt(secret: str) -> Iterator[str]:
    """As programs of ours, and those that they start, write it: JSON (within JSON), URLs, shells, systemd, HTML, hex."""
    in_json = json.dumps(secret)[1:-1]
    yield from (secret, in_json, json.dumps(in_json)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1])
    yield from (quote(secret), quote(secret, ""), quote_plus(secret))
    yield from (shlex.quote(secret).strip("'"), secret.replace("'", "'\\''"), secret.replace("'", "''"))
    yield from (secret.replace("%", "%%"), secret.replace("$", "$$"), re.sub(r'([\\"`$])', r"\\\1", secret))
    yield from (html.escape(secret), repr(secret)[1:-1])
    yield from (secret.encode().hex(), secret.encode().hex().upper())


def _in_base64(secret: bytes) -> Iterator[str]:
    """What stays the same of it wherever it begins in what is encoded, and what it says where it is base64 itself."""
    yield from _inner(secret)
    try:
        decoded = b64decode(secret, validate=True)
    except ValueError:
        return
    if len(decoded) >= _LEAST:
        yield from _inner(decoded)


def _inner(secret: bytes) -> Iterator[str]:
    for before, first in enumerate((0, 2, 3)):
        encoded = b64encode(bytes(before) + secret).decode("ascii")
        inner = encoded[first : (before + len(secret)) * 8 // 6]
        if len(inner) >= _LEAST:
            yield from (inner, inner.translate(_URL_SAFE))
