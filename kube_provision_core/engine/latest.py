"""What a run knows of machines and templates while it acts: what it observed first, and what it has done and seen since."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace

from ..boot.tasks import Answer, Sealed
from ..cluster.observe import Observation, locate
from ..contract.machines import Cluster, Discovery, Role, Vm
from ..contract.templates import Template
from .executor import Event, State


class Latest:
    """Thread-safe: actions run side by side, and the watcher beside them."""

    def __init__(self, seen: Observation) -> None:
        self.before = seen
        """What was observed before the run acted."""
        self._cluster, self._vms = seen.cluster, dict(seen.ours)
        self._discovery = seen.discovery
        self._given: dict[str, Sealed] = {}
        self._answers: dict[tuple[str, str], Answer] = {}
        self._templates: dict[str, Template] = {}
        self._ended: set[str] = set()
        """Keys of actions, whatever came of them."""
        self._lock = threading.Lock()

    @property
    def observation(self) -> Observation:
        with self._lock:
            vms = (*self._vms.values(), *self.before.foreign)
            return replace(self.before, cluster=self._cluster, vms=vms, discovery=self._discovery)

    @property
    def cluster(self) -> Cluster:
        with self._lock:
            return self._cluster

    def vm(self, name: str) -> Vm:
        with self._lock:
            return self._vms[name]

    def note(self, vms: Iterable[Vm]) -> None:
        """These machines are so now. Where the cluster is, is worked out anew only where one of them tells it otherwise."""
        with self._lock:
            now = {vm.name: vm for vm in vms}
            moved = any(_place(vm) != _place(self._vms.get(name)) for name, vm in now.items())
            self._vms.update(now)
            if moved:
                self._cluster = locate(self._cluster, tuple(self._vms.values()))

    def forget(self, name: str) -> None:
        """This machine is gone, and with the last discovery machine, or the last master that is one, all that it knew."""
        with self._lock:
            vm = self._vms.pop(name, None)
            serving = Role.MASTER if self._cluster.discovery_on_masters else Role.DISCOVERY
            if vm and vm.stamp and vm.stamp.role is serving:
                self._cluster = replace(self._cluster, discovery_address=None)
                self._discovery = self._discovery if self._has(serving) else None
            self._cluster = locate(self._cluster, tuple(self._vms.values()))

    def _has(self, role: Role) -> bool:
        return any(vm.stamp and vm.stamp.role is role for vm in self._vms.values())

    def note_forgotten(self) -> None:
        """Discovery knows nothing of the cluster any more."""
        with self._lock:
            self._discovery = Discovery(initialised=False) if self._discovery else None

    def note_scrubbed(self, name: str) -> None:
        with self._lock:
            self._vms[name] = replace(self._vms[name], scrubbed=True)

    def given(self, name: str) -> Sealed:
        """What this machine was given to do, by this run."""
        with self._lock:
            return self._given[name]

    def note_given(self, name: str, sealed: Sealed) -> None:
        with self._lock:
            self._given[name] = sealed

    @property
    def answers(self) -> Mapping[tuple[str, str], Answer]:
        """What machines have answered last of what this run gave them, by their names and the task's verb."""
        with self._lock:
            return dict(self._answers)

    def note_answer(self, name: str, answer: Answer) -> None:
        with self._lock:
            self._answers[name, answer.verb] = answer

    def has_ended(self, key: str) -> bool:
        """Whether this action is done, has failed, or is not awaited any more."""
        with self._lock:
            return key in self._ended

    def note_event(self, event: Event) -> None:
        if event.state is not State.RUNNING:
            with self._lock:
                self._ended.add(event.action.key)

    def template(self, template: Template) -> Template:
        """As it was seen last."""
        with self._lock:
            return self._templates.get(template.name, template)

    def note_templates(self, templates: Iterable[Template]) -> None:
        with self._lock:
            self._templates.update({template.name: template for template in templates})


def _place(vm: Vm | None) -> object:
    """What a machine tells of where it is: nothing before it has an address."""
    return (vm.stamp, vm.address, vm.reach) if vm and vm.address else None
