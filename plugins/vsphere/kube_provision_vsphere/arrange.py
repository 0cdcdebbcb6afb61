"""What concerns the machines of a cluster together: masters on different hosts, DRS groups, custom attributes."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Sequence

from kube_provision_core import Cluster, ConfigError, Role, TargetError, Vm

from .client.faults import VcenterError
from .target import Target

log = logging.getLogger(__name__)

WITH_RULES = "ClusterComputeResource"


def arrange(target: Target, cluster: Cluster, vms: Sequence[Vm]) -> None:
    """Idempotent. Raises `TargetError`."""
    ids: dict[Role, list[str]] = defaultdict(list)
    for vm in vms:
        if vm.stamp and vm.stamp.cluster_id == cluster.id:
            ids[vm.stamp.role].append(vm.id)
    if ids[Role.MASTER]:  # without any, a rule of this name is that of another cluster
        _keep_masters_apart_if_allowed(target, cluster.name, ids[Role.MASTER])
    _join_groups(target, ids)
    attributes = {item: target.config[role].vm_attributes for role, items in ids.items() for item in items}
    if any(attributes.values()):
        target.vcenter.set_attributes(attributes)


def release_masters(target: Target, cluster: str, remaining: Sequence[str]) -> None:
    """Before a master goes: remove the rule that would be left with one machine or none.

    A rule that cannot be removed keeps nobody from destroying the machine.
    """
    if len(remaining) >= 2:
        return
    try:
        _keep_masters_apart(target, cluster, remaining)
    except (TargetError, ConfigError) as error:
        log.warning("%s; remove the rule %s by hand", error, rule_name(cluster))


def rule_name(cluster: str) -> str:
    return f"kube-provision-{cluster}-masters"


def _keep_masters_apart_if_allowed(target: Target, cluster: str, masters: Sequence[str]) -> None:
    """Nobody has asked for the rule, so a site may withhold the privilege: no failure, of this run and every other."""
    try:
        _keep_masters_apart(target, cluster, masters)
    except VcenterError as error:
        if error.kind != "NoPermission":
            raise
        log.warning("%s: masters may share a host. Grant it, or see to them yourself", error)


def _keep_masters_apart(target: Target, cluster: str, masters: Sequence[str]) -> None:
    hosts = target.cluster(Role.MASTER)
    if hosts.kind != WITH_RULES:
        return
    count = len(target.inventory().children(hosts.id, "HostSystem"))
    if len(masters) > count:
        log.warning("cluster %s has %d hosts for %d masters: some of them share a host", hosts.name, count, len(masters))
    target.vcenter.rules(hosts.id).keep_apart(rule_name(cluster), masters)


def _join_groups(target: Target, ids: dict[Role, list[str]]) -> None:
    wanted: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for role, items in ids.items():
        groups = target.config[role].vm_groups
        if groups and items:
            hosts = target.cluster(role).id
            for group in groups:
                wanted[hosts][group] |= set(items)
    for hosts, members in wanted.items():
        target.vcenter.rules(hosts).join(members)
