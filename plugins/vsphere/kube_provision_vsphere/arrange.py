"""What concerns the machines of a cluster together: on different hosts, DRS groups, custom attributes, tags."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from kube_provision_core import Cluster, ConfigError, Role, TargetError, Vm

from .client.attributes import set_attributes
from .client.faults import VcenterError
from .client.tags import set_tags
from .inventory import Item
from .kind import Kind
from .naming import WITH_RULES
from .target import Target

log = logging.getLogger(__name__)


def arrange(target: Target, cluster: Cluster, vms: Sequence[Vm]) -> None:
    """Idempotent. Raises `TargetError`."""
    ids: dict[Kind, list[str]] = defaultdict(list)
    for vm in vms:
        if vm.stamp and vm.stamp.cluster_id == cluster.id:
            ids[Kind(vm.stamp.role, vm.failure_domain)].append(vm.id)
    placed = {kind: items for kind, items in ids.items() if _is_placed(target, kind)}
    for role in dict.fromkeys(kind.role for kind in placed):
        if target.apart(role):  # without any machine, a rule of this name is that of another cluster
            machines = [(kind, item) for kind, items in placed.items() if kind.role is role for item in items]
            _keep_apart_if_allowed(target, cluster.name, role, _by_hosts(target, machines))
    _join_groups(target, placed)
    attributes = {item: target.config[kind.role].vm_attributes for kind, items in ids.items() for item in items}
    if any(attributes.values()):
        set_attributes(target.vcenter.session, attributes)
    tags = {item: target.tags(kind.role) for kind, items in ids.items() for item in items}
    if any(tags.values()):
        set_tags(target.vcenter.rest, {item: its for item, its in tags.items() if its})


def release(target: Target, vm: Vm) -> None:
    """Before a machine goes: remove the rule that would be left with one machine or none.

    A rule that cannot be removed keeps nobody from destroying the machine.
    """
    if vm.stamp is None or not target.apart(vm.stamp.role):
        return
    role, rule = vm.stamp.role, rule_name(vm.stamp.cluster, vm.stamp.role)
    others = [(Kind(role, domain), item) for item, domain in target.fleet.others_alike(vm).items()]
    try:
        hosts = target.cluster(Kind(role, vm.failure_domain))
        remaining = [item for kind, item in others if target.cluster(kind) == hosts]
        if len(remaining) < 2:
            _keep_apart(target, rule, hosts, remaining)
    except (TargetError, ConfigError) as error:
        log.warning("%s; remove the rule %s by hand", error, rule)


def rule_name(cluster: str, role: Role) -> str:
    """Another one for each cluster and role, whatever these are called: no name of theirs has a dot."""
    return f"kube-provision-{cluster}.{role.pool}" if role.pool else f"kube-provision-{cluster}-masters"


def _is_placed(target: Target, kind: Kind) -> bool:
    """Whether it is known on which hosts they run: those of a domain that is named no more may run on any."""
    domains = target.config[kind.role].failure_domains
    if kind.domain in domains or not (domains or kind.domain):
        return True
    log.warning("a %s stands in no failure domain that is named: DRS rules and groups leave it out", kind.role)
    return False


def _by_hosts(target: Target, machines: Iterable[tuple[Kind, str]]) -> dict[Item, list[str]]:
    """Machines by the cluster of hosts that they run on."""
    found: dict[Item, list[str]] = defaultdict(list)
    for kind, item in machines:
        found[target.cluster(kind)].append(item)
    return found


def _keep_apart_if_allowed(target: Target, cluster: str, role: Role, machines: Mapping[Item, Sequence[str]]) -> None:
    """Nobody has asked for the masters' rule: a privilege that is withheld is no failure, of this run and every other."""
    try:
        for hosts, items in machines.items():
            if role is Role.MASTER:
                _note_too_few(target, hosts, len(items))
            _keep_apart(target, rule_name(cluster, role), hosts, items)
    except VcenterError as error:
        if error.kind != "NoPermission" or role is not Role.MASTER:
            raise
        log.warning("%s: masters may share a host. Grant it, or see to them yourself", error)


def _keep_apart(target: Target, rule: str, hosts: Item, machines: Sequence[str]) -> None:
    if hosts.kind == WITH_RULES:
        target.vcenter.rules.keep_apart(hosts.id, rule, machines)


def _note_too_few(target: Target, hosts: Item, masters: int) -> None:
    count = len(target.inventory().children(hosts.id, "HostSystem"))
    if masters > count and hosts.kind == WITH_RULES:
        log.warning("cluster %s has %d hosts for %d masters: some of them share a host", hosts.name, count, masters)


def _join_groups(target: Target, ids: Mapping[Kind, Sequence[str]]) -> None:
    wanted: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for kind, items in ids.items():
        groups = target.keys(kind).vm_groups
        if groups:
            hosts = target.cluster(kind).id
            for group in groups:
                wanted[hosts][group] |= set(items)
    for hosts, members in wanted.items():
        target.vcenter.rules.join(hosts, members)
