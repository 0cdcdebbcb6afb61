"""The planner of `restore`, asked about a cluster that a test describes."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from doubles.facts import GivenFacts

from kube_provision_core.backup import About, Archive, Keys
from kube_provision_core.backup.contents import End
from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.desired import Desired
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Cluster, Discovery, Machine, Node, Power, Role, Stamp, Vm
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.plan import Action, CreateVm, Plan
from kube_provision_core.engine.verb import Options
from kube_provision_core.verbs.restore import plan

DIGEST = "ab" * 32
ABOUT = About("prod", "id-1", "1.36.2", "3.6.8", datetime(2026, 11, 29, tzinfo=UTC), {"m-prod-1": "master"})
FINISHED = NodeStatus(Stage.FINISH, "done")
FAILED = NodeStatus(Stage.INSTALL, "failed", error="no such package")
ABSENT = Discovery(initialised=False)
LOST = Discovery(initialised=True, cluster_id="id-1")


def node(name: str, role: Role = Role.MASTER) -> Node:
    return Node(name, role, int(name[-1]) if name[-1].isdigit() else 0, Machine(2, 4), Stamp("prod", "id-1", role, "spec"))


def vm(name: str, role: Role = Role.MASTER, *, carries_ca: bool = False, **more: object) -> Vm:
    stamp = Stamp("prod", "id-1", role, "spec", carries_ca)
    return replace(Vm(name, f"id of {name}", Power.ON, stamp, (f"10.0.0.{len(name)}",)), **more)  # type: ignore[arg-type]


def desire(workers: int = 1, *, server: bool = True, version: str = "1.36") -> Desired:
    discovery = (node("consul-prod", Role.DISCOVERY),) if server else ()
    masters = tuple(node(f"m-prod-{index}") for index in (1, 2, 3))
    others = tuple(node(f"w-prod-{index}", Role.WORKER) for index in range(1, workers + 1))
    names = frozenset(it.name for it in (*masters, *others, *discovery))
    cluster = Cluster("prod", "id-1", version, names, discovery_address=None if server else "10.200.200.1")
    return Desired(cluster, masters, others, discovery, Remedies("prod"))


SERVER = vm("consul-prod", Role.DISCOVERY, status=FINISHED)
WHOLE = (SERVER, vm("m-prod-1", carries_ca=True), vm("m-prod-2"), vm("m-prod-3"), vm("w-prod-1", Role.WORKER))


def archived(**about: Any) -> Archive:
    return Archive(replace(ABOUT, **about), {}, {}, End(1000, DIGEST, 42), lambda: nullcontext(BytesIO()), Keys())


def planned(
    vms: tuple[Vm, ...] = (),
    discovery: Discovery | None = None,
    *,
    desired: Desired | None = None,
    archive: Archive | None = None,
    restoring: str = "",
    abandoning: str = "",
    abandon: bool = False,
    masters_only: bool = False,
    only: str = "",
    error: str = "",
    **facts: object,
) -> Plan:
    desired = desired or desire()
    marks = {"restoring": restoring, "abandoning": abandoning, "masters_only": masters_only}
    folder = SimpleNamespace(
        saved=bool(restoring or abandoning), cluster_id="id-1", path="prod", encryption=None, carrier="", **marks
    )
    given = {"archive": archive or archived(), "answers": False, "folder": folder, "arranges": False, "delivers": True}
    given["remedies"] = Remedies("prod", masters_only=masters_only)
    seen = Observation(desired.cluster, vms, discovery, error)
    return plan(desired, GivenFacts(seen, **(given | facts)), Options(wait=True, abandon_old=abandon, only=only))


def refused(*vms: Vm, **more: Any) -> str:
    with pytest.raises(ConfigError) as problem:
        planned(vms, **more)
    return str(problem.value)


def keys(plan: Plan) -> list[str]:
    assert all(action.reason for action in plan.changes), "a change that does not say why"
    return [action.key for action in plan.changes if action.verb != "scrub"]


def action(plan: Plan, key: str) -> Action:
    return next(action for action in plan.actions if action.key == key)


def carriers(plan: Plan) -> list[str]:
    return [it.node.name for it in plan.actions if isinstance(it, CreateVm) and it.node.stamp.carries_ca]
