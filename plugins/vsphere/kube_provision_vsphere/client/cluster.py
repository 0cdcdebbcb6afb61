"""A cluster's DRS rules and groups of machines.

vCenter changes them as a whole, and others change them too: read, change, read again until it is as it should be.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import partial
from threading import Lock
from typing import Any

from kube_provision_core import TargetError

from .faults import VcenterError
from .read import Select, retrieve
from .session import Session
from .tasks import Tasks
from .vmomi import managed_id, vim

KIND = "ClusterComputeResource"

ATTEMPTS = 6
PAUSE = 0.5
"""Seconds, about, between two attempts."""

RACES = {"ConcurrentAccess", "InvalidArgument", "InvalidState", "TaskInProgress"}
"""What vCenter answers when the configuration has changed since it was read."""


class ClusterRules:
    """Of one cluster of hosts. Every method raises `TargetError`."""

    def __init__(self, session: Session, tasks: Tasks, cluster: str, one_at_a_time: Lock) -> None:
        """`one_at_a_time` keeps the threads of this run from racing each other."""
        self._session, self._tasks, self._cluster, self._one_at_a_time = session, tasks, cluster, one_at_a_time

    def keep_apart(self, rule: str, machines: Collection[str]) -> None:
        """Have a rule that exactly these machines run on different hosts. Fewer than two need none: it is removed."""
        self._ensure(f"DRS rule {rule}", lambda config: self._rule_changes(config, rule, machines))

    def join(self, groups: Mapping[str, Collection[str]]) -> None:
        """Add machines to groups that exist; whoever is in them stays."""
        self._ensure(f"DRS groups {', '.join(sorted(groups))}", lambda config: _group_changes(config, self._managed, groups))

    def _ensure(self, what: str, changes: Callable[[Any], Any]) -> None:
        """`changes` tells what is to be changed in a configuration: None for nothing."""
        with self._one_at_a_time:
            self._change(what, changes)

    def _change(self, what: str, changes: Callable[[Any], Any]) -> None:
        for attempt in range(ATTEMPTS):
            spec = changes(self._read(what))
            if spec is None:
                return
            if attempt:
                time.sleep(PAUSE * (0.5 + random.random()))  # noqa: S311 - so that two runs do not collide again
            try:
                self._tasks.run("cluster", what, partial(self._reconfigure, spec))
            except VcenterError as error:
                if error.kind not in RACES or attempt == ATTEMPTS - 1:
                    raise
        if changes(self._read(what)) is not None:
            raise TargetError(f"{what}: somebody else keeps changing the cluster's configuration; run again")

    def _read(self, what: str) -> Any:
        select = Select({KIND: ["configurationEx"]}, [(KIND, self._cluster)])
        found = retrieve(self._session, what, select)
        if not found or "configurationEx" not in found[0].values:
            raise TargetError(f"{what}: the cluster's configuration cannot be read")
        return found[0].values["configurationEx"]

    def _reconfigure(self, spec: Any) -> Any:
        cluster = self._session.managed(KIND, self._cluster)
        return cluster.ReconfigureComputeResource_Task(spec=spec, modify=True)

    def _managed(self, machine: str) -> Any:
        return self._session.managed("VirtualMachine", machine)

    def _rule_changes(self, config: Any, name: str, machines: Collection[str]) -> Any:
        existing = next((rule for rule in config.rule if rule.name == name), None)
        if len(machines) < 2:
            return _rule_spec("remove", removeKey=existing.key) if existing else None
        members = {managed_id(vm) for vm in getattr(existing, "vm", ())}
        if existing and members == set(machines) and existing.enabled:
            return None
        rule = vim.cluster.AntiAffinityRuleSpec(name=name, enabled=True, mandatory=False, userCreated=True)
        rule.vm = [self._managed(machine) for machine in sorted(machines)]
        if existing:
            rule.key = existing.key
        return _rule_spec("edit" if existing else "add", info=rule)


def _rule_spec(operation: str, **fields: Any) -> Any:
    return vim.cluster.ConfigSpecEx(rulesSpec=[vim.cluster.RuleSpec(operation=operation, **fields)])


def _group_changes(config: Any, managed: Any, groups: Mapping[str, Collection[str]]) -> Any:
    changes = list(_changed_groups(config, managed, groups))
    return vim.cluster.ConfigSpecEx(groupSpec=changes) if changes else None


def _changed_groups(config: Any, managed: Any, groups: Mapping[str, Collection[str]]) -> Iterator[Any]:
    existing = {group.name: group for group in config.group if isinstance(group, vim.cluster.VmGroup)}
    for name, machines in groups.items():
        if name not in existing:
            raise TargetError(f"vm_groups: the cluster has no DRS group of machines {name!r}")
        members = {managed_id(vm) for vm in existing[name].vm}
        if not set(machines) <= members:
            everybody = [managed(machine) for machine in sorted(members | set(machines))]
            yield vim.cluster.GroupSpec(operation="edit", info=vim.cluster.VmGroup(name=name, vm=everybody))
