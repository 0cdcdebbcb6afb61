"""The stamp that marks a virtual machine as ours, and the other keys of its `extraConfig` that we own.

`extraConfig` and not the notes: backup programs and people write over notes. Each key can be read on its own, by its
property path, in the same call for all machines.
"""

from __future__ import annotations

import re

from kube_provision_core import Stamp

STAMP = "kube-provision.stamp"
STATUS = "guestinfo.kube-provision.status"
SCRUBBED = "kube-provision.scrubbed"
TASK = "kube-provision.task"
"""Which task waits, in a key that no guest can write: the task itself is long, and is not read at every look."""
DISKS = "kube-provision.disks"
"""Places of the disks that the machine was made with: those that go with it."""
INSTANCE = "kube-provision.instance"
"""Which machine the stamp was written for, by the identity that vCenter never gives twice: a copy inherits the key, and has
an identity of its own. Machines of earlier versions have none, and neither have their copies."""
ADDRESS = "kube-provision.address"
"""The static address that the machine was made with."""
CARD = "kube-provision.card"
"""Of a machine with several cards, the hardware address of the one in the nodes' network."""
DOMAIN = "kube-provision.failure-domain"
"""Name of the failure domain that the machine was made in."""
BAKING = "kube-provision.baking"
"""On a machine that is to become a template: the spec of what it was told to hold."""
BAKED = "kube-provision.baked"
"""On a template that was baked: what is in it. Clones inherit it, and nobody reads it there."""


def task(text: str | None) -> str:
    """A digest as we note it; empty for anything else."""
    return text if text and re.fullmatch("[0-9a-f]{16}", text) else ""


def note(stamp: Stamp) -> str:
    """For people who look at the machine in vCenter."""
    return f"kube-provision: {stamp.role} of cluster {stamp.cluster}"
