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
    """Of clusters of hosts, by their ids. Every method raises `TargetError`."""

    def __init__(self, session: Session, tasks: Tasks) -> None:
        self._session, self._tasks = session, tasks
        self._one_at_a_time = Lock()
        """Keeps the threads of this run from racing each other."""

    def keep_apart(self, cluster: str, rule: str, machines: Collection[str]) -> None:
        """Have a rule that exactly these machines run on different hosts. Fewer than two need none: it is removed."""
        with self._one_at_a_time:
            self._ensure(cluster, f"DRS rule {rule}", lambda config: self._rule_changes(config, rule, machines))

    def join(self, cluster: str, groups: Mapping[str, Collection[str]]) -> None:
        """Add machines to groups that exist; whoever is in them stays."""
        what = f"DRS groups {', '.join(sorted(groups))}"
        with self._one_at_a_time:
            self._ensure(cluster, what, lambda config: _group_changes(config, self._session.machine, groups))

    def _ensure(self, cluster: str, what: str, changes: Callable[[Any], Any]) -> None:
        """`changes` tells what is to be changed in a configuration: None for nothing."""
        for attempt in range(ATTEMPTS):
            spec = changes(self._read(cluster, what))
            if spec is None:
                return
            if attempt:
                time.sleep(PAUSE * (0.5 + random.random()))  # noqa: S311 - so that two runs do not collide again
            try:
                self._tasks.run("cluster", what, partial(self._reconfigure, cluster, spec))
            except VcenterError as error:
                if error.kind not in RACES or attempt == ATTEMPTS - 1:
                    raise
        if changes(self._read(cluster, what)) is not None:
            raise TargetError(f"{what}: somebody else keeps changing the cluster's configuration; run again")

    def _read(self, cluster: str, what: str) -> Any:
        select = Select({KIND: ["configurationEx"]}, [(KIND, cluster)])
        found = retrieve(self._session, what, select)
        if not found or "configurationEx" not in found[0].values:
            raise TargetError(f"{what}: the cluster's configuration cannot be read")
        return found[0].values["configurationEx"]

    def _reconfigure(self, cluster: str, spec: Any) -> Any:
        return self._session.managed(KIND, cluster).ReconfigureComputeResource_Task(spec=spec, modify=True)

    def _rule_changes(self, config: Any, name: str, machines: Collection[str]) -> Any:
        existing = next((rule for rule in config.rule if rule.name == name), None)
        if len(machines) < 2:
            return _rule_spec("remove", removeKey=existing.key) if existing else None
        members = {managed_id(vm) for vm in getattr(existing, "vm", ())}
        if existing and members == set(machines) and existing.enabled:
            return None
        rule = vim.cluster.AntiAffinityRuleSpec(name=name, enabled=True, mandatory=False, userCreated=True)
        rule.vm = [self._session.machine(machine) for machine in sorted(machines)]
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
