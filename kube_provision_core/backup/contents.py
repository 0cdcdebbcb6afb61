"""What a backup holds, in this order, as members of a tar stream:

backup.json     what it is a backup of
config/…        the documents of the configuration, as they were written; what the command line said in config/extra/
folder/…        the cluster's folder, without the operator's kubeconfig
snapshot.db     etcd's own snapshot, with the digest that etcd puts at its end
end.json        how much that was: a stream without it is not whole
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import AddressValueError, IPv4Address
from typing import Any

from ..contract.errors import BackupError

FORMAT = 1

ABOUT, SNAPSHOT, END = "backup.json", "snapshot.db", "end.json"
CONFIG, FOLDER = "config/", "folder/"
"""Where files of the two begin."""
EXTRA = "extra/"
"""Where those documents begin, below `CONFIG`, that beat role sections of others and the environment, as `-e @FILE` does."""

LARGEST_FILE = 16 * 1024 * 1024
LARGEST_SUM = 64 * 1024 * 1024
MOST_FILES = 1000
"""Of what is no snapshot, which is held in memory."""

MOST_ADDRESSES = 16
"""Of masters: a cluster has nine of them at most, and some more while one takes another's place."""

_UNFIT = (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError)
"""What JSON of anybody's may make of whoever reads it."""


@dataclass(frozen=True)
class About:
    """What a backup is of."""

    cluster: str
    cluster_id: str
    kubernetes: str
    """The cluster's version, such as `1.37.1`."""
    etcd: str
    """Of the member that the snapshot is from, such as `3.6.8`."""
    created: datetime
    machines: Mapping[str, str]
    """Role of each machine, by its name."""
    documents: tuple[str, ...] = ()
    """Of the configuration, by their paths below `config/`; a later one beats an earlier one. See `EXTRA`."""
    addresses: tuple[str, ...] = ()
    """Where masters were when it was made, as `fit` lets through; none in a backup of before they were kept."""

    def refuse_newer(self, *, kubernetes: str = "", etcd: str = "") -> None:
        """Raise `BackupError` where it is of a newer minor than these versions: neither goes back. Empty: any will do."""
        for what, ours, than in (("Kubernetes", self.kubernetes, kubernetes), ("etcd", self.etcd, etcd)):
            if than and _minor(ours) > _minor(than):
                raise BackupError(
                    f"the backup is of {what} {ours}, and {than} is older, which does not read what that has written: "
                    f"use {what} {ours}"
                )


@dataclass(frozen=True)
class End:
    """Of what stood before it."""

    size: int
    """Bytes of the snapshot."""
    sha256: str
    """Of the snapshot, in hex."""
    revision: int
    """Of etcd: each change up to it is in the snapshot, and maybe some after it."""


def written(value: About | End) -> bytes:
    document = asdict(value)
    if isinstance(value, About):
        document = {"format": FORMAT, **document, "created": f"{value.created.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"}
    return json.dumps(document, indent=2).encode() + b"\n"


def read_about(content: bytes) -> About:
    document = _document(content)
    if not isinstance(document.get("format"), int) or document["format"] > FORMAT:
        raise BackupError("the backup was written by a later version of kube-provision: use that one")
    try:
        return About(
            cluster=str(document["cluster"]),
            cluster_id=str(document["cluster_id"]),
            kubernetes=str(document["kubernetes"]),
            etcd=str(document["etcd"]),
            created=datetime.strptime(document["created"], "%Y-%m-%dT%H:%M:%S%z"),
            machines={str(name): str(role) for name, role in document["machines"].items()},
            documents=tuple(map(str, document["documents"])),
            addresses=_addresses(document.get("addresses", [])),
        )
    except _UNFIT as problem:
        raise strange() from problem


def fit(told: Iterable[object]) -> tuple[str, ...]:
    """Of what is told of masters what may be asked later: single IPv4 addresses, each once, not more than `MOST_ADDRESSES`.

    Names are left out: whoever has written the backup would choose whom we ask for them.
    """
    return tuple(dict.fromkeys(text for text in told if isinstance(text, str) and _is_of_one_host(text)))[:MOST_ADDRESSES]


def _is_of_one_host(text: str) -> bool:
    try:
        address = IPv4Address(text)
    except AddressValueError:
        return False
    return not (address.is_unspecified or address.is_multicast or address.is_reserved)


def _addresses(told: list[object]) -> tuple[str, ...]:
    found = fit(told)
    if list(found) != told:
        raise ValueError(told)
    return found


def read_end(content: bytes) -> End:
    document = _document(content)
    try:
        return End(int(document["size"]), str(document["sha256"]), int(document["revision"]))
    except _UNFIT as problem:
        raise strange() from problem


def strange() -> BackupError:
    return BackupError("what it holds is no backup as kube-provision writes it, although it can be opened")


def _document(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except _UNFIT as problem:
        raise strange() from problem
    if not isinstance(document, dict):
        raise strange()
    return document


def _minor(version: str) -> tuple[int, ...]:
    """Such as (3, 6); nothing of a version that nobody knows, which is never the newer one."""
    parts = version.split(".")[:2]
    return tuple(map(int, parts)) if len(parts) == 2 and all(part.isdigit() for part in parts) else ()
