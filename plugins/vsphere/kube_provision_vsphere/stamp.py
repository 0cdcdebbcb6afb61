"""The stamp that marks a virtual machine as ours, and the other keys of its `extraConfig` that we own.

`extraConfig` and not the notes: backup programs and people write over notes. Each key can be read on its own, by its
property path, in the same call for all machines.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from kube_provision_core import Role, Stamp

STAMP = "kube-provision.stamp"
STATUS = "guestinfo.kube-provision.status"
SCRUBBED = "kube-provision.scrubbed"
BAKING = "kube-provision.baking"
"""On a machine that is to become a template: the spec of what it was told to hold."""
BAKED = "kube-provision.baked"
"""On a template that was baked: what is in it. Clones inherit it, and nobody reads it there."""


def dump(stamp: Stamp) -> str:
    return json.dumps(asdict(stamp), sort_keys=True)


def load(text: str | None) -> Stamp | None:
    """None for what is not a stamp of ours: such a machine is foreign."""
    try:
        fields = json.loads(text or "")
        return Stamp(**{**fields, "role": Role(fields["role"])})
    except (ValueError, TypeError, KeyError):
        return None


def note(stamp: Stamp) -> str:
    """For people who look at the machine in vCenter."""
    return f"kube-provision: {stamp.role} of cluster {stamp.cluster}"
