"""Why one machine is not further: what it says, what its target, discovery and Kubernetes say about it, and what helps.

Nothing here enters the machine, so that one that reaches nobody can still be asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..cluster.desired import Desired
from ..cluster.observe import Observation, natural_order
from ..cluster.skew import of_kubelets
from ..contract.errors import ConfigError
from ..contract.machines import Power, Role, Vm
from ..contract.status import NodeStatus
from ..engine.facts import Facts, Known, Unknown
from ..engine.session import Session
from ..engine.sight import is_overdue, silent, usually
from .planning import look


@dataclass(frozen=True)
class Explanation:
    """Everything that can be known about a machine from outside."""

    cluster: str
    name: str
    role: str
    well: bool
    """Nothing is wrong with it; it may still be on its way."""
    verdict: str
    """How it stands, in a line."""
    advice: str
    """What helps; empty where nothing has to be done, and where nobody knows."""
    power: str
    """`on`, `off`, `suspended`, or `missing`."""
    address: str
    where: str
    stage: str
    state: str
    step: str
    attempt: int
    attempts: int
    error: str
    diagnosis: str
    cause: str
    discovery: str
    """What discovery says about it."""
    kubernetes: str
    """What the cluster's own API says about it."""
    log: tuple[str, ...]
    """The last lines of the step that it is in, or in which it has failed."""
    doing: str
    """What it does or waits for just now, in its own words."""


@dataclass(frozen=True)
class Verdict:
    text: str
    advice: str = ""
    well: bool = False


@dataclass(frozen=True)
class Findings:
    """What was seen of one machine and of its cluster."""

    name: str
    role: Role
    vm: Vm | None
    facts: Facts

    @property
    def status(self) -> NodeStatus | None:
        return self.vm.status if self.vm else None

    @property
    def unhealthy(self) -> bool:
        return self.role is Role.MASTER and self.facts.seen.healthy(self.name) is False


def explain(session: Session, name: str) -> Explanation:
    """Look once. Raises `ConfigError` for a name that is none of the cluster's, and what `status` raises."""
    return explained(session, look(session), name)


def explained(session: Session, facts: Facts, name: str) -> Explanation:
    """As it was seen already. Raises `ConfigError` as `explain` does."""
    role = _role(name, session.desired, facts.seen)
    return _explanation(Findings(name, role, facts.seen.ours.get(name), facts))


def _role(name: str, desired: Desired, seen: Observation) -> Role:
    roles = {node.name: node.role for node in desired.all} | {
        vm.name: vm.stamp.role for vm in seen.ours.values() if vm.stamp
    }
    if name not in roles:
        known = ", ".join(sorted(roles, key=natural_order))
        raise ConfigError(f"no machine {name} in cluster {seen.cluster.name}; it has {known}")
    return roles[name]


def _explanation(findings: Findings) -> Explanation:
    vm, told = findings.vm, findings.status
    verdict = judge(findings)
    return Explanation(
        cluster=findings.facts.seen.cluster.name,
        name=findings.name,
        role=findings.role.value,
        well=verdict.well,
        verdict=verdict.text,
        advice=verdict.advice,
        power=vm.power.value if vm else "missing",
        address=(vm.address if vm else None) or "",
        where=vm.where if vm else "",
        stage=told.stage.value if told else "",
        state=told.state if told else "",
        step=told.step if told else "",
        attempt=told.attempt if told else 0,
        attempts=told.attempts if told else 0,
        error=told.error if told else "",
        diagnosis=told.diagnosis if told else "",
        cause=told.cause if told else "",
        discovery=_what_discovery_says(findings),
        kubernetes=_what_kubernetes_says(findings),
        log=told.log if told else (),
        doing=told.doing if told else "",
    )


# --- the verdict ---------------------------------------------------------------------------------------------------


def judge(findings: Findings) -> Verdict:
    """The first thing that is wrong, from the machine's power to its readiness."""
    vm, status = findings.vm, findings.status
    if vm is None:
        gone = findings.facts.outlived(findings.name)
        return Verdict(gone or "it does not exist", f"a run makes it: {findings.facts.remedies.provision()}")
    if vm.power is not Power.ON:
        stands = f"it is powered {vm.power}" if vm.power is Power.OFF else "it is suspended"
        return Verdict(stands, f"a run powers it on: {findings.facts.remedies.provision()}")
    if status is None:
        return _told_nothing(vm)
    if not status.finished:
        return _on_its_way(findings, status)
    return _after_its_boot(findings)


def _told_nothing(vm: Vm) -> Verdict:
    look = f"{'' if is_overdue(vm) else 'wait as long; then '}look at its console{f' ({vm.console})' if vm.console else ''}"
    if vm.address is None:
        return Verdict(
            f"it has no address: {vm.notice or silent(vm)}",
            f"{look}: whether it boots, runs guest tools, and gets an address",
        )
    return Verdict(
        f"it has an address, but its runner has told nothing yet: {silent(vm)}",
        f"{look}: whether it boots; once it does, ask it: cloud-init status --long; journalctl -u kube-provision",
    )


def _on_its_way(findings: Findings, status: NodeStatus) -> Verdict:
    helps = findings.facts.remedies.advice(status, findings.name)
    if status.replace:
        return Verdict(status.reason, helps)
    if status.state == "failed":
        anyway = helps or f"what its log says below; where that does not: {findings.facts.remedies.replace(findings.name)}"
        return Verdict(f"stage {status.stage} has failed and is tried again: {status.reason}", anyway)
    if status.reason:
        return Verdict(status.progress, helps)
    return Verdict(f"it is on its way: {status.progress}{usually(status)}", well=True)


def _after_its_boot(findings: Findings) -> Verdict:
    node, hints = findings.facts.node(findings.name), "; ".join(findings.facts.hints)
    member, told = findings.role is not Role.DISCOVERY, isinstance(findings.facts.readiness, Known)
    if member and told and node is None:
        replace = findings.facts.remedies.replace(findings.name)
        return Verdict("it has finished its boot, but the cluster does not count it as a node", f"replace it: {replace}")
    if findings.unhealthy:
        return Verdict(
            "it has finished its boot, but discovery does not see its API server answer",
            "ask it: curl --insecure https://localhost:6443/readyz; journalctl -u kubelet",
        )
    if node and not node.ready:
        return Verdict("it has finished its boot, but Kubernetes does not call it Ready", hints)
    if given := _of_its_task(findings):
        return given
    if emptied := findings.facts.emptied(findings.name):
        on = "run the same again to go on; " if node and node.cordoned else ""
        back = f"{on}kubectl uncordon {findings.name} gives it back, unless a run is at it just now"
        return Verdict(f"it has finished its boot, and is {emptied}", back, well=True)
    if member and not told:
        return Verdict("it has finished its boot; Kubernetes could not be asked about it", well=True)
    return Verdict("it is well: it has finished its boot" + (", and Kubernetes calls it Ready" if node else ""), well=True)


def _of_its_task(findings: Findings) -> Verdict | None:
    """What was given to it after its boot and is not done; None where there is nothing."""
    answer, told = findings.facts.task(findings.name), findings.facts.given(findings.name)
    if not told:
        return None
    failed = answer is not None and answer.status.state == "failed"
    helps = findings.facts.remedies.advice(answer.status, findings.name) if answer and failed else ""
    return Verdict(f"it has finished its boot. What it was given since: {told}", helps, well=not failed)


# --- the others ----------------------------------------------------------------------------------------------------


def _what_discovery_says(findings: Findings) -> str:
    discovery = findings.facts.seen.discovery
    if discovery is None:
        return findings.facts.seen.discovery_error or "there is none yet"
    if findings.role is Role.MASTER:
        if discovery.initialising == findings.name and not discovery.initialised:
            return "it is initialising the cluster"
        if not findings.unhealthy:
            return "its API server is healthy"
    healthy = ", ".join(master.name for master in discovery.masters) or "none"
    initialised = "initialised" if discovery.initialised else "not initialised"
    return f"the cluster is {initialised}; healthy masters: {healthy}"


def _what_kubernetes_says(findings: Findings) -> str:
    if not findings.facts.lives:
        return "not asked: the cluster is not initialised"
    if isinstance(findings.facts.readiness, Unknown):
        return findings.facts.readiness.reason
    told = findings.facts.readiness.value
    node = told.node(findings.name)
    if node is None:
        return "it is no node of the cluster"
    readiness = "Ready" if node.ready else f"not Ready{f': {node.message}' if node.message else ''}"
    return "; ".join([readiness, *of_kubelets([node], told.version, findings.facts.remedies)])
