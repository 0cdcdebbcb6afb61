"""Why one machine is not further: what it says, what its target, discovery and Kubernetes say about it, and what helps.

Nothing here enters the machine, so that one that reaches nobody can still be asked about.
"""

from __future__ import annotations

from dataclasses import dataclass

from .control_plane import Readiness, ask_readiness
from .desired import Desired
from .errors import ConfigError
from .model import NodeStatus, Power, Role, Vm
from .observe import Observation, natural_order, observe
from .provision import is_initialised
from .remedies import Remedies
from .run import readiness_hints
from .session import Session, check_identity


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
    seen: Observation
    initialised: bool
    readiness: Readiness
    remedies: Remedies
    hints: tuple[str, ...] = ()

    @property
    def status(self) -> NodeStatus | None:
        return self.vm.status if self.vm else None

    @property
    def unhealthy(self) -> bool:
        return self.role is Role.MASTER and self.seen.healthy(self.name) is False


def explain(session: Session, name: str) -> Explanation:
    """Look once. Raises `ConfigError` for a name that is none of the cluster's, and what `status` raises."""
    session.require("target", "list_vms")
    desired = session.desired
    seen = observe(session.hook, desired.cluster)
    role = _role(name, desired, seen)
    check_identity(session, seen)
    initialised = is_initialised(seen, session.folder.initialised)
    readiness = ask_readiness(seen, session.folder.pki) if initialised else Readiness()
    hints = readiness_hints(session, seen, readiness)
    return _explanation(Findings(name, role, seen.ours.get(name), seen, initialised, readiness, session.remedies, hints))


def _role(name: str, desired: Desired, seen: Observation) -> Role:
    roles = {node.name: node.role for node in desired.all} | {
        vm.name: vm.stamp.role for vm in seen.ours.values() if vm.stamp
    }
    if name not in roles:
        known = ", ".join(sorted(roles, key=natural_order))
        raise ConfigError(f"{name}: no such machine in cluster {seen.cluster.name}; it has {known}")
    return roles[name]


def _explanation(findings: Findings) -> Explanation:
    vm, told = findings.vm, findings.status
    verdict = judge(findings)
    return Explanation(
        cluster=findings.seen.cluster.name,
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
    )


# --- the verdict ---------------------------------------------------------------------------------------------------


def judge(findings: Findings) -> Verdict:
    """The first thing that is wrong, from the machine's power to its readiness."""
    vm, status = findings.vm, findings.status
    if vm is None:
        return Verdict("it does not exist", "provision makes it")
    if vm.power is not Power.ON:
        return Verdict(f"it is powered {vm.power}" if vm.power is Power.OFF else "it is suspended", "provision powers it on")
    if status is None:
        return _told_nothing(vm)
    if not status.finished:
        return _on_its_way(findings, status)
    return _after_its_boot(findings)


def _told_nothing(vm: Vm) -> Verdict:
    if vm.address is None:
        return Verdict(
            "it has no address and has told nothing yet",
            "give it some minutes; then look at its console: whether it boots, runs guest tools, and gets an address",
        )
    return Verdict(
        "it has an address, but its runner has told nothing yet",
        "give it some minutes; then ask it: cloud-init status --long; journalctl -u kube-provision",
    )


def _on_its_way(findings: Findings, status: NodeStatus) -> Verdict:
    helps = findings.remedies.advice(status, findings.name)
    if status.replace:
        return Verdict(status.reason, helps)
    if status.state == "failed":
        anyway = helps or f"the log says more; or replace it: {findings.remedies.replace(findings.name)}"
        return Verdict(f"stage {status.stage} has failed and is tried again: {status.reason}", anyway)
    if status.reason:
        return Verdict(status.progress, helps)
    return Verdict(f"it is on its way: {status.progress}", well=True)


def _after_its_boot(findings: Findings) -> Verdict:
    node, hints = findings.readiness.node(findings.name), "; ".join(findings.hints)
    member = findings.role is not Role.DISCOVERY
    if member and findings.readiness.asked and node is None:
        replace = findings.remedies.replace(findings.name)
        return Verdict("it has finished its boot, but the cluster does not count it as a node", f"replace it: {replace}")
    if findings.unhealthy:
        return Verdict(
            "it has finished its boot, but discovery does not see its API server answer",
            "ask it: curl --insecure https://localhost:6443/readyz; journalctl -u kubelet",
        )
    if node and not node.ready:
        return Verdict("it has finished its boot, but Kubernetes does not call it Ready", hints)
    if member and not findings.readiness.asked:
        return Verdict("it has finished its boot; Kubernetes could not be asked about it", well=True)
    return Verdict("it is well: it has finished its boot" + (", and Kubernetes calls it Ready" if node else ""), well=True)


# --- the others ----------------------------------------------------------------------------------------------------


def _what_discovery_says(findings: Findings) -> str:
    discovery = findings.seen.discovery
    if discovery is None:
        return findings.seen.discovery_error or "there is none yet"
    if findings.role is Role.MASTER:
        if discovery.initialising == findings.name and not discovery.initialised:
            return "it is initialising the cluster"
        if not findings.unhealthy:
            return "its API server is healthy"
    healthy = ", ".join(master.name for master in discovery.masters) or "none"
    initialised = "initialised" if discovery.initialised else "not initialised"
    return f"the cluster is {initialised}; healthy masters: {healthy}"


def _what_kubernetes_says(findings: Findings) -> str:
    if not findings.initialised:
        return "not asked: the cluster is not initialised"
    if not findings.readiness.asked:
        return findings.readiness.error
    node = findings.readiness.node(findings.name)
    if node is None:
        return "it is no node of the cluster"
    return "Ready" if node.ready else f"not Ready{f': {node.message}' if node.message else ''}"
