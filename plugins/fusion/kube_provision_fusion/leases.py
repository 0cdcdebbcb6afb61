"""Leases of the DHCP servers behind VMware's networks."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_READ_LIMIT = 4 * 1024 * 1024

_ISC = re.compile(r"^lease\s+([0-9.]+)\s*\{(.*?)^\}", re.MULTILINE | re.DOTALL)
_ISC_CARD = re.compile(r"hardware ethernet\s+([0-9A-Fa-f:]+)\s*;")
_ISC_END = re.compile(r"ends\s+\d\s+(\d+)/(\d+)/(\d+)\s+(\d+):(\d+):(\d+)\s*;")
"""In UTC; the digit before the date is the day of the week."""

_APPLE = re.compile(r"\{(.*?)\}", re.DOTALL)
_APPLE_FIELD = re.compile(r"^\s*(\w+)=(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True)
class Lease:
    address: str
    card: str
    """Hardware address, lower case."""
    ends: tuple[int, ...]
    """Only to be compared with others of its file."""


def read(patterns: Iterable[str]) -> dict[str, str]:
    """Address by hardware address: the newest lease of each card, as long as nobody else was given that address later.

    A file that cannot be read tells nothing.
    """
    found: dict[str, str] = {}
    for path in dict.fromkeys(path for pattern in patterns for path in sorted(glob.glob(pattern))):  # noqa: PTH207 - absolute patterns
        found |= newest(parse(_text(Path(path))))
    return found


def newest(leases: Iterable[Lease]) -> dict[str, str]:
    """Of two equally old ones the later in the file counts: servers append."""
    ordered = sorted(leases, key=lambda lease: lease.ends)
    holders = {lease.address: lease.card for lease in ordered}
    return {lease.card: lease.address for lease in ordered if holders[lease.address] == lease.card}


def parse(text: str) -> list[Lease]:
    return [*_isc(text)] or [*_apple(text)]


def _isc(text: str) -> Iterator[Lease]:
    for address, body in _ISC.findall(text):
        card, ends = _ISC_CARD.search(body), _ISC_END.search(body)
        if card:
            yield Lease(address, _normal(card[1]), tuple(map(int, ends.groups())) if ends else ())


def _apple(text: str) -> Iterator[Lease]:
    """macOS's own server, which leaves out leading zeros and writes the kind of hardware before its address."""
    for body in _APPLE.findall(text):
        fields = dict(_APPLE_FIELD.findall(body))
        _, _, card = fields.get("hw_address", "").partition(",")
        if card and "ip_address" in fields:
            yield Lease(fields["ip_address"], _normal(card), (_number(fields.get("lease", "0")),))


def _normal(card: str) -> str:
    return ":".join(part.zfill(2) for part in card.lower().split(":"))


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return 0


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_READ_LIMIT).decode(errors="replace")
    except OSError:
        return ""
