"""etcd's snapshot, as it arrives through its own JSON gateway: a line of JSON for each piece, and a digest at the end."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..contract.errors import ControlPlaneError
from .https_client import HttpsClient

DIGEST = 32
"""Bytes of the SHA-256 of all that stands before it, with which etcd ends a snapshot."""

IDLE = 120.0
"""Seconds that a piece may be waited for. Before the first one etcd writes down what it has not yet, on a slow disk."""

_ANY_KEY = b64encode(b"kube-provision").decode()
"""A key that nobody has: what is asked for is the answer's header."""


class EtcdSnapshot:
    """One that is about to arrive; iterate over its pieces, once.

    They are etcd's own file. When they end, size and digest were right. Else raises ControlPlaneError, before.
    """

    def __init__(self, server: str, revision: int, version: str, lines: Iterator[bytes]) -> None:
        self._server = server
        self._pieces = map(self._piece, lines)
        self._first = next(self._pieces, (b"", 0))
        self.revision = revision
        """Each change up to it is in there, and maybe some after it."""
        self.version = version
        """Of the etcd, such as `3.6.8`."""
        self.size = len(self._first[0]) + self._first[1] + DIGEST
        """Bytes of all pieces, as etcd announces it."""

    def __iter__(self) -> Iterator[bytes]:
        digest, end, size = hashlib.sha256(), b"", 0
        for piece in self._blobs():
            size += len(piece)
            if size > self.size:
                raise self._trouble(f"sends more than the {self.size} bytes that it has announced")
            held = end + piece
            digest.update(held[:-DIGEST])
            end = held[-DIGEST:]
            yield piece
        if size < self.size:  # none at all, too
            raise self._trouble(f"ends its snapshot after {size} of {self.size} bytes")
        if end != digest.digest():
            raise self._trouble("sends a snapshot that its own digest does not fit")

    def _blobs(self) -> Iterator[bytes]:
        yield self._first[0]
        yield from (blob for blob, _ in self._pieces)

    def _piece(self, line: bytes) -> tuple[bytes, int]:
        """What it holds, and how much is left after it. JSON leaves out what is empty or zero."""
        try:
            document = json.loads(line)
            if "error" in document:
                raise self._trouble(f"sends no snapshot ({_reason(document['error'])})")
            result = document["result"]
            return b64decode(result.get("blob", ""), validate=True), int(result.get("remaining_bytes", 0))
        except (ValueError, TypeError, LookupError, AttributeError) as problem:
            raise self._trouble("answers with something that is no part of a snapshot") from problem

    def _trouble(self, what: str) -> ControlPlaneError:
        return ControlPlaneError(f"etcd on {self._server} {what}: back up again")


@contextmanager
def snapshot(client: HttpsClient) -> Iterator[EtcdSnapshot]:
    """That of the first member which answers and knows all that was acknowledged until now. Raises ControlPlaneError."""
    revision = _revision(client)
    server = client.preferred
    status = client.call_at(server, "POST", "/v3/maintenance/status", {})
    with client.lines_at(server, "/v3/maintenance/snapshot", {}, IDLE) as lines:
        yield EtcdSnapshot(status.server, revision, str(status.document.get("version", "")), lines)


def _revision(client: HttpsClient) -> int:
    """Of the member that answers, once it has caught up with a majority: that is what a linearizable read waits for."""
    answer = client.call("POST", "/v3/kv/range", {"key": _ANY_KEY, "count_only": True})
    header = answer.document.get("header")
    if answer.status != 200 or not isinstance(header, dict) or not str(header.get("revision", "")).isdigit():
        raise ControlPlaneError(f"etcd on {answer.server} does not say its revision ({answer.status}: {answer.reason})")
    return int(header["revision"])


def _reason(error: Any) -> str:
    text = error.get("message") if isinstance(error, dict) else error
    return " ".join(str(text).split())[:200]
