"""What a machine answers to a task: believed where it bears the machine's code, and else never heard."""

from __future__ import annotations

import base64
import hmac
import json
import zlib
from dataclasses import dataclass, field
from typing import Any

from ...contract.status import NodeStatus
from .sealing import decrypted, derive

LARGEST = 1 << 20
"""Bytes of a result, unpacked: a machine packs fewer."""


@dataclass(frozen=True, slots=True)
class Answer:
    id: str
    verb: str
    status: NodeStatus
    """How far it is, in the words of a boot."""
    result: bytes | None = field(default=None, repr=False)
    """What its steps have left for whoever gave it; None where they have left nothing, or that cannot be read."""
    cut: int = 0
    """Bytes of it that there was no room for: those before its beginning."""


def read_answer(status: NodeStatus | None, key: str) -> Answer | None:
    """The answer in what a machine has published; None where there is none, and where somebody else has written it."""
    try:
        said = json.loads(status.task if status else "")
        mac = said.pop("mac")
        text = json.dumps(said, sort_keys=True, separators=(",", ":"))
        authentic = hmac.compare_digest(
            hmac.new(bytes.fromhex(derive(key, "answer")), text.encode(), "sha256").hexdigest(), mac
        )
        parsed = NodeStatus.parse(text)
        return Answer(said["id"], said["verb"], parsed, *_result(said, key)) if authentic and parsed else None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _result(said: dict[str, Any], key: str) -> tuple[bytes | None, int]:
    """Opened once the code is known to be the machine's. A machine may have been taken over: it is read with care."""
    try:
        sealed = base64.b64decode(said["result"], validate=True)
        cut, _, result = _inflated(decrypted(sealed, derive(key, "result"))).partition(b"\n")
        return result, int(cut)
    except (ValueError, TypeError, KeyError, zlib.error):
        return None, 0


def _inflated(packed: bytes) -> bytes:
    inflating = zlib.decompressobj()
    opened = inflating.decompress(packed, LARGEST)
    if not inflating.eof:
        raise ValueError(f"it is cut short, or has more than {LARGEST} bytes")
    return opened
