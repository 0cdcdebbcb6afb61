"""What a role's machines are made of, as a document: its hash, what of it a stamp tells, and what has changed since.

A hash tells that something is different and not what. So a stamp also tells the part that may be read by anybody; put back
into today's document it leads to the old hash where nothing else has changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..contract.machines import Stamp

Document = Mapping[str, Any]
"""By kinds: `core`, `target` and `os`."""

MACHINE_KEYS = ("cpu", "mem", "boot_disk_size", "data_volume", "data_volume_mount")
"""The core's keys that describe the machine itself."""

NODE_KEYS = ("kubelet", "taints", "cloud_provider", "swap")
"""The core's keys that a machine of the cluster is made a node with. Defaults do not count, so that a version with more of
them makes no machine look changed."""

_CORE_KEYS = (*MACHINE_KEYS, "data_volumes", *NODE_KEYS)

_DRIVERS = ("target", "os")

UNTOLD = ("staticPodURLHeader",)
"""Of a kubelet's settings those that may hold a secret."""


@dataclass(frozen=True, slots=True)
class Change:
    """Of one key, between what a machine was made of and what the configuration says."""

    key: str
    """As in the configuration: `cpu`, `kubelet.maxPods`. Empty: of something that stamps do not tell."""
    old: Any = None
    """None: it was not said."""
    new: Any = None

    @property
    def text(self) -> str:
        """`kubelet.maxPods: 110 → 200`."""
        return f"{self.key}: {_said(self.old)} → {_said(self.new)}" if self.key else SOMETHING


SOMETHING = "something that its stamp does not tell"
OTHER = Change("")


def digest(document: Document) -> str:
    """12 hex digits."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:12]


def told(document: Document) -> dict[str, Any]:
    """What may stand in a stamp: nothing of patches, nor of what kubeadm's join is told: arguments may say anything."""
    core = {key: _open(value) for key, value in document["core"].items() if key in _CORE_KEYS}
    return {"core": core, **{kind: dict(document[kind]) for kind in _DRIVERS}}


def changes(stamp: Stamp, document: Document) -> tuple[Change, ...]:
    """What has changed since the stamp was written; `OTHER` comes last. None of them: nothing has."""
    if stamp.spec == digest(document):
        return ()
    if not stamp.made_of:
        return (OTHER,)
    old, new = (dict(_flat(_merged(made_of))) for made_of in (stamp.made_of, told(document)))
    old, new = ({**made_of, "swap": made_of.get("swap", False)} for made_of in (old, new))  # as it is where nobody says it
    named = [Change(key, old.get(key), new.get(key)) for key in (*new, *(old.keys() - new.keys()))]
    named = sorted((it for it in named if json.dumps(it.old) != json.dumps(it.new)), key=lambda it: it.key)
    more = digest(_put_back(document, stamp.made_of)) != stamp.spec
    return (*named, OTHER) if more else tuple(named)


def _put_back(document: Document, made_of: Document) -> Document:
    """Today's document, with what the stamp tells of before."""
    now = document["core"]
    core = {key: value for key, value in now.items() if key not in _CORE_KEYS} | _part(made_of, "core")
    hidden = {key: value for key, value in now.get("kubelet", {}).items() if key in UNTOLD}
    if hidden:
        core["kubelet"] = _part(core, "kubelet") | hidden
    return {"core": core, **{kind: _part(made_of, kind) for kind in _DRIVERS}}


def _part(made_of: Document, kind: str) -> dict[str, Any]:
    found = made_of.get(kind)
    return dict(found) if isinstance(found, Mapping) else {}


def _merged(made_of: Document) -> dict[str, Any]:
    """Keys of all kinds as they stand beside each other in a configuration."""
    return {key: value for kind in ("core", *_DRIVERS) for key, value in _part(made_of, kind).items()}


def _open(value: Any) -> Any:
    return {key: it for key, it in value.items() if key not in UNTOLD} if isinstance(value, Mapping) else value


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and (value or not place):
        for key, item in value.items():
            yield from _flat(item, f"{place}.{key}" if place else str(key))
    else:
        yield place, value


def _said(value: Any) -> str:
    return "unset" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
