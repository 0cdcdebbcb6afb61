"""Machines of a simulated vCenter that take what they are given to do by their own code, and answer with their own keys.

What it comes to is said by who makes them: no step of it is run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from doubles.member import Member
from servers.living_versions import RefusedTaskError
from servers.simulator import STATUS_KEY, Simulator

from kube_provision_core import Stamp
from kube_provision_core.datasources.vmware import GuestInfo
from kube_provision_core.folder.pki import Pki
from kube_provision_node.probes import Probes
from kube_provision_node.publishing import Status
from kube_provision_node.tasks import Task, Tasks

STAMP_KEY = "kube-provision.stamp"

CarryOut = Callable[[Task], None]


@dataclass
class _Taking(Tasks):
    """Tasks whose steps mean something instead of being run."""

    carry_out: CarryOut = field(kw_only=True)
    told: Callable[[], None] = field(kw_only=True)

    def perform(self, task: Task) -> None:
        self.answer(task, Status("join", "running"))
        try:
            self.carry_out(task)
        except RefusedTaskError as problem:
            self.answer(task, Status("join", "failed", str(problem)))
            return
        self.answer(task, Status("finish", "done"))

    def answer(self, task: Task, status: Status) -> None:
        super().answer(task, status)
        self.told()


class LivingMember:
    """One machine, from its birth to its `end`."""

    def __init__(self, vcenter: Simulator, vm: Mapping[str, Any], pki: Pki, carry_out: Callable[[str, Task], None]) -> None:
        self._vcenter, self._name = vcenter, vm["name"]
        self._folder = tempfile.TemporaryDirectory(prefix="member-")
        stamp = Stamp.parse(vm["extra_config"][STAMP_KEY])
        assert stamp
        self._member = Member(Path(self._folder.name), pki, name=self._name, stamp=stamp)
        self._tasks = _Taking(
            self._member.places,
            self._member.key,
            Probes(),
            carry_out=lambda task: carry_out(self._name, task),
            told=self._tell,
        )

    def look(self, vm: Mapping[str, Any]) -> None:
        """Into its mailbox, and do what waits there."""
        waiting = GuestInfo.waiting(vm["extra_config"].get(GuestInfo.TASK))
        if waiting:
            self._member.mailbox.write_bytes(waiting)
            self._tasks.look()

    def _tell(self) -> None:
        self._vcenter.publish(self._name, {STATUS_KEY: self._member.published})

    def end(self) -> None:
        self._folder.cleanup()
