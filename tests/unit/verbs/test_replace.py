"""The planner of `replace`: who is made anew, in which turns, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from doubles.facts import GivenFacts

from kube_provision_core.cluster import Living
from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.desired import Desired
from kube_provision_core.cluster.etcd import EtcdMember
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import (
    Cluster,
    Discovery,
    FailureDomain,
    Machine,
    MasterRecord,
    Node,
    Power,
    Role,
    Stamp,
    Vm,
)
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.facts import Known
from kube_provision_core.engine.plan import Action, CreateVm, Plan
from kube_provision_core.engine.verb import Options
from kube_provision_core.engine.wish import Rolling
from kube_provision_core.verbs.replace import plan

FINISHED = NodeStatus(Stage.FINISH, "done")
MASTERS = ("m-prod-1", "m-prod-2", "m-prod-3")
WORKERS = ("w-prod-1", "w-prod-2", "w-prod-3", "w-prod-4", "w-prod-5")


def role_of(name: str) -> Role:
    return {"m": Role.MASTER, "w": Role.WORKER, "c": Role.DISCOVERY}[name[0]]


def node(name: str, spec: str = "spec") -> Node:
    stamp = Stamp("prod", "id-1", role_of(name), spec)
    return Node(name, role_of(name), int(name[-1]) if name[-1].isdigit() else 0, Machine(2, 4), stamp)


def vm(name: str, **more: Any) -> Vm:
    stamp = Stamp("prod", "id-1", role_of(name), "spec")
    return replace(Vm(name, f"id of {name}", Power.ON, stamp, (f"10.0.0.{len(name)}",), status=FINISHED), **more)


ALL = ("consul-prod", *MASTERS, *WORKERS)
DESIRED = Desired(
    Cluster("prod", "id-1", "1.36", frozenset(ALL), discovery_address="10.0.0.11"),
    tuple(map(node, MASTERS)),
    tuple(map(node, WORKERS)),
    (node("consul-prod"),),
    Remedies("prod"),
)


def living(*, unready: Sequence[str] = (), gone: Sequence[str] = (), members: Sequence[str] = MASTERS) -> Living:
    nodes = [
        ClusterNode(name, name not in unready, ("control-plane",) if name[0] == "m" else (), "10.0.0.5")
        for name in (*MASTERS, *WORKERS)
        if name not in gone
    ]
    return Living(tuple(nodes), tuple(EtcdMember(name, name, ()) for name in members))


def planned(
    *names: str,
    desired: Desired = DESIRED,
    vms: Sequence[Vm] | None = None,
    there: Living | None = None,
    initialised: bool = True,
    domains: Sequence[FailureDomain] = (),
    healthy: Sequence[str] = (),
    **options: Any,
) -> Plan:
    known = Discovery(initialised, tuple(MasterRecord(name, "10.0.0.1") for name in healthy))
    seen = Observation(desired.cluster, tuple(map(vm, ALL)) if vms is None else tuple(vms), known)
    told = Known(there or living())
    facts = GivenFacts(seen, initialised=Known(initialised), nodes=told, members=told, arranges=False)
    vars(facts)["failure_domains"] = lambda role: domains
    made = plan(desired, facts, Options(nodes=names, wait=True, **options))
    assert all(action.reason or action.mark == "." for action in made.actions)
    done: set[str] = set()
    for action in made.actions:
        assert action.after <= done, action.key
        assert action.key not in done
        done.add(action.key)
    return made


def keys(made: Plan) -> list[str]:
    return [action.key for action in made.actions]


def action(made: Plan, key: str) -> Action:
    return next(it for it in made.actions if it.key == key)


def refusal(*names: str, **more: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        planned(*names, **more)
    return "\n".join(raised.value.problems)


class TestATurn:
    def test_of_a_worker_ends_when_the_cluster_calls_it_ready(self) -> None:
        made = planned("w-prod-2")
        assert keys(made) == [
            f"{verb} w-prod-2"
            for verb in ("cordon", "drain", "destroy", "delete-node", "mint", "create", "boot", "scrub", "settle")
        ]
        chain = [step.key for step in made.actions]
        for before, after in pairwise(chain[:7]):
            assert before in action(made, after).after
        assert action(made, "settle w-prod-2").after == {"boot w-prod-2"}

    def test_of_a_master_lets_etcd_go_first_and_uploads_the_certificates(self) -> None:
        made = planned("m-prod-1")
        assert keys(made)[:5] == [
            f"{verb} m-prod-1" for verb in ("cordon", "drain", "remove-member", "destroy", "delete-node")
        ]
        mint = action(made, "mint m-prod-1")
        assert (mint.masters, mint.renew) == (True, True)

    def test_keeps_the_key_of_another_master_that_is_about_to_join(self) -> None:
        made = planned("m-prod-1", there=living(gone=["m-prod-3"], members=MASTERS[:2]))
        assert action(made, "mint m-prod-1").renew is False

    def test_that_was_broken_off_goes_on(self) -> None:
        """Its machine is gone already, its node is not; or both are."""
        gone = [vm(name) for name in ALL if name != "w-prod-2"]
        assert keys(planned("w-prod-2", vms=gone))[:3] == ["delete-node w-prod-2", "mint w-prod-2", "create w-prod-2"]
        assert keys(planned("w-prod-2", vms=gone, there=living(gone=["w-prod-2"])))[0] == "mint w-prod-2"

    def test_without_draining_ends_the_pods_with_their_machine(self) -> None:
        assert keys(planned("w-prod-2", draining=None))[0] == "destroy w-prod-2"

    def test_makes_the_node_anew_with_the_kubernetes_that_its_cluster_has(self) -> None:
        made = planned("w-prod-2", there=replace(living(), version="1.37.1"))
        assert action(made, "create w-prod-2").joins(DESIRED.cluster).kubernetes_version == "1.37.1"
        (note,) = made.notes
        assert note.startswith(
            "new machines get Kubernetes 1.37.1: kubernetes_version is 1.36, and cluster prod runs 1.37.1; "
        )

    def test_waits_until_the_new_node_has_stayed_ready(self) -> None:
        made = planned("w-prod-2", rolling=Rolling(burn_in=120))
        assert action(made, "settle w-prod-2").seconds == 120


class TestTurns:
    def test_of_masters_come_one_by_one_and_before_those_of_workers(self) -> None:
        made = planned("w-prod-1", "m-prod-2", "m-prod-1", rolling=Rolling("2"))
        assert [key for key in keys(made) if key.startswith("create")] == [
            *("create m-prod-1", "create m-prod-2"),
            "create w-prod-1",
        ]
        assert action(made, "cordon m-prod-1").after == frozenset()
        assert action(made, "cordon m-prod-2").after == {"settle m-prod-1"}
        assert action(made, "cordon w-prod-1").after == {"settle m-prod-2"}

    def test_begin_with_a_master_that_is_not_ready(self) -> None:
        made = planned("m-prod-1", "m-prod-2", there=living(unready=["m-prod-2"]))
        assert keys(made)[0] == "cordon m-prod-2"

    def test_of_workers_overlap_as_far_as_is_said(self) -> None:
        made = planned(*WORKERS, rolling=Rolling("2"))
        begins = {name: action(made, f"cordon {name}").after for name in WORKERS}
        assert begins == {
            "w-prod-1": frozenset(),
            "w-prod-2": frozenset(),
            "w-prod-3": {"settle w-prod-1"},
            "w-prod-4": {"settle w-prod-2"},
            "w-prod-5": {"settle w-prod-3"},
        }

    @pytest.mark.parametrize(("said", "width"), [("1", 1), ("3", 3), ("20%", 1), ("50%", 2), ("100%", 5), ("1%", 1)])
    def test_take_a_share_of_all_workers(self, said: str, width: int) -> None:
        assert Rolling(said).width(5) == width

    def test_have_a_pause_between_them(self) -> None:
        made = planned("w-prod-1", "w-prod-2", rolling=Rolling(pause=30))
        assert "pause w-prod-1" not in keys(made)
        assert action(made, "pause w-prod-2").after == {"settle w-prod-1"}
        assert action(made, "cordon w-prod-2").after == {"pause w-prod-2"}

    def test_do_not_begin_once_it_is_too_late(self) -> None:
        made = planned("w-prod-1", "w-prod-2", rolling=Rolling(until=1e10))
        assert [action(made, f"pause {name}").until for name in ("w-prod-1", "w-prod-2")] == [1e10, 1e10]
        assert action(made, "cordon w-prod-1").after == {"pause w-prod-1"}


class TestWhatHasDrifted:
    def test_is_replaced_and_nothing_else(self) -> None:
        desired = replace(DESIRED, workers=(*map(node, WORKERS[:4]), node("w-prod-5", spec="another")))
        vms = [vm(name) for name in ALL if name != "w-prod-1"]
        vms = [replace(it, status=replace(FINISHED, replace=True)) if it.name == "w-prod-3" else it for it in vms]
        made = planned(desired=desired, vms=vms, drifted=True)
        assert [key for key in keys(made) if key.startswith("create")] == [f"create w-prod-{index}" for index in (1, 3, 5)]

    def test_may_be_nothing(self) -> None:
        made = planned(drifted=True)
        assert made.actions == ()
        assert made.notes == ("every machine is there, and was made from this configuration",)


class TestRefused:
    def test_is_a_name_that_nobody_has(self) -> None:
        assert refusal("w-prod-9").startswith("w-prod-9: no such node in cluster prod; it has m-prod-1, ")

    def test_is_a_machine_that_is_no_longer_asked_for(self) -> None:
        fewer = replace(DESIRED, workers=DESIRED.workers[:4])
        assert "is no longer asked for" in refusal("w-prod-5", desired=fewer)

    def test_is_the_discovery_machine(self) -> None:
        assert "a discovery machine is not replaced" in refusal("consul-prod")

    def test_is_a_cluster_that_was_never_initialised(self) -> None:
        assert "cluster prod is not initialised" in refusal("w-prod-1", initialised=False)

    def test_is_the_last_master(self) -> None:
        assert "is the last master" in refusal("m-prod-1", there=living(members=["m-prod-1"]))

    def test_is_a_master_whose_quorum_needs_it(self) -> None:
        assert refusal("m-prod-1", there=living(unready=["m-prod-3"])) == (
            "m-prod-1: while it is made anew etcd would have no quorum: m-prod-3 not Ready"
        )

    def test_is_a_master_without_which_discovery_on_masters_would_have_no_majority(self) -> None:
        """Its server may have died on a master that the cluster calls Ready."""
        cluster = replace(DESIRED.cluster, discovery_on_masters=True, discovery_by_majority=True)
        by_majority = replace(DESIRED, cluster=cluster, discovery=())
        given: dict[str, Any] = {"desired": by_majority, "vms": [vm(name) for name in (*MASTERS, *WORKERS)]}
        assert refusal("m-prod-1", healthy=MASTERS[:2], **given) == (
            "m-prod-1: while it is made anew discovery would have no quorum: m-prod-3 not healthy there"
        )
        assert "create m-prod-1" in keys(planned("m-prod-1", healthy=MASTERS, **given))
        made = planned("m-prod-3", "m-prod-1", healthy=MASTERS[:2], there=living(unready=["m-prod-3"]), **given)
        assert [key for key in keys(made) if key.startswith("create")] == ["create m-prod-3", "create m-prod-1"]

    def test_is_no_master_whose_turn_comes_after_that_of_the_broken_one(self) -> None:
        made = planned("m-prod-1", "m-prod-3", there=living(unready=["m-prod-3"]))
        assert [key for key in keys(made) if key.startswith("create")] == ["create m-prod-3", "create m-prod-1"]


class TestAPool:
    """Of two workers beside the plain ones."""

    GPUS = ("gpu-prod-1", "gpu-prod-2")
    ROLE = Role.of_pool("gpu")

    def machine(self, name: str, spec: str = "spec") -> Vm:
        return replace(vm("w-prod-9"), name=name, stamp=Stamp("prod", "id-1", self.ROLE, spec))

    def made(self, *drifted: str, **options: Any) -> Plan:
        wanted = [replace(node("w-prod-1"), name=name, role=self.ROLE) for name in self.GPUS]
        cluster = replace(DESIRED.cluster, names=DESIRED.cluster.names | {*self.GPUS})
        desired = replace(DESIRED, cluster=cluster, workers=(*DESIRED.workers, *wanted))
        there = replace(living(), nodes=(*living().nodes, *(ClusterNode(name, True, (), "10.0.0.9") for name in self.GPUS)))
        vms = [*map(vm, ALL), *(self.machine(name, "old" if name in drifted else "spec") for name in self.GPUS)]
        return planned(desired=desired, vms=vms, there=there, **options)

    def destroyed(self, made: Plan) -> list[str]:
        return [it.subject for it in made.actions if it.verb == "destroy"]

    def test_is_replaced_alone(self) -> None:
        assert self.destroyed(self.made(pool="gpu")) == [*self.GPUS]
        assert self.destroyed(self.made(pool="workers")) == [*WORKERS]

    def test_shares_are_of_its_own_workers(self) -> None:
        made = self.made(pool="gpu", rolling=Rolling(max_unavailable="100%"))
        assert action(made, "cordon gpu-prod-2").after == frozenset()

    def test_with_drifted_those_that_have_drifted_go(self) -> None:
        assert self.destroyed(self.made("gpu-prod-2", pool="gpu", drifted=True)) == ["gpu-prod-2"]
        assert self.destroyed(self.made("gpu-prod-2", pool="workers", drifted=True)) == []
        assert self.destroyed(self.made("gpu-prod-2", drifted=True)) == ["gpu-prod-2"]

    def test_takes_turns_with_other_workers(self) -> None:
        made = self.made("gpu-prod-1", "gpu-prod-2", drifted=True)
        assert "settle gpu-prod-1" in action(made, "cordon gpu-prod-2").after

    def test_that_is_unknown_is_refused(self) -> None:
        with pytest.raises(ConfigError) as raised:
            self.made(pool="cpu")
        assert str(raised.value) == "--pool cpu: cluster prod has no worker of such a pool; its pools are workers, gpu"

    def test_a_machine_of_it_is_none_of_another(self) -> None:
        stranger = replace(vm("w-prod-1"), stamp=Stamp("prod", "id-1", self.ROLE, "spec"))
        said = refusal("w-prod-1", vms=[stranger, *(vm(name) for name in ALL if name != "w-prod-1")])
        assert said.startswith("w-prod-1: was made as worker-gpu, and the configuration asks for a worker of that name; ")


def test_masters_that_are_made_anew_keep_the_spread() -> None:
    domains = [FailureDomain(f"zone-{letter}", {"example.com/zone": letter}) for letter in "abc"]
    standing = dict(zip(MASTERS, ("zone-a", "zone-a", "zone-b"), strict=True))
    vms = [vm(name, failure_domain=standing.get(name, "")) for name in ALL]
    made = planned("m-prod-1", "m-prod-3", vms=vms, domains=domains)
    created = {it.subject: it.reason for it in made.actions if isinstance(it, CreateVm)}
    assert created == {
        "m-prod-1": "it is made anew; in failure domain zone-c",
        "m-prod-3": "it is made anew; in failure domain zone-b",
    }
