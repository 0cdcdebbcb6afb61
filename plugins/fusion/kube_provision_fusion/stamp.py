"""The stamp in a machine's .vmx that marks it as ours, and what a node publishes about itself."""

from __future__ import annotations

import json
from dataclasses import dataclass

from kube_provision_core import Baked, NodeStatus, Stamp

STAMP = "kube-provision.stamp"
BAKED = "kube-provision.baked"
"""In a template's .vmx: what is in it."""

STATUS = "kube-provision.status"
"""Guests call it `guestinfo.kube-provision.status`."""


def dump(name: str, stamp: Stamp) -> str:
    """With the machine's name: a copy that somebody makes of it under another name is not ours."""
    return json.dumps({"name": name, **stamp.document}, sort_keys=True)


def load(name: str, text: str) -> Stamp | None:
    """None for what is not the stamp of the machine of that name: such a machine is foreign."""
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return Stamp.of(fields) if isinstance(fields, dict) and fields.get("name") == name else None


def note(stamp: Stamp) -> str:
    """For people who look at the machine in VMware."""
    return f"kube-provision: {stamp.role} of cluster {stamp.cluster}"


@dataclass(frozen=True)
class Published:
    """What a node's publisher wrote: its address beside its status, so that one call tells both."""

    status: NodeStatus | None = None
    address: str = ""
    baked: Baked | None = None
    """Of a machine that has baked itself."""


def load_published(text: str) -> Published:
    """Empty for nothing, and for anything that the publisher would not write."""
    status = NodeStatus.parse(text)
    if status is None:
        return Published()
    return Published(status, str(json.loads(text).get("address") or ""), Baked.published(text))
