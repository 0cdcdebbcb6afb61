"""What a run has seen since it began, of machines and of where the cluster is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kube_provision_core.cluster.observe import Observation, locate
from kube_provision_core.contract.machines import Cluster, Discovery, MasterRecord, Power, Role, Stamp, Vm
from kube_provision_core.engine.executor import Event, State
from kube_provision_core.engine.latest import Latest
from kube_provision_core.engine.nodes import DeleteNode

CLUSTER = Cluster("prod", "id", "1.37", frozenset({"m-prod-1", "w-prod-1"}))


def machine(name: str, *addresses: str, role: Role = Role.WORKER) -> Vm:
    return Vm(name, f"vm-{name}", Power.ON, Stamp("prod", "id", role, "spec"), addresses=addresses)


def test_where_the_cluster_is_follows_from_its_machines_addresses() -> None:
    latest = Latest(Observation(CLUSTER, ()))
    latest.note([machine("c-prod", "192.0.2.1", role=Role.DISCOVERY), machine("w-prod-1", "192.0.2.2")])
    assert latest.cluster.discovery_address == "192.0.2.1"
    latest.note([machine("w-prod-1", "192.0.2.3")])
    assert latest.cluster.peers == ("192.0.2.3",)
    latest.note([machine("w-prod-1")])
    assert latest.cluster.peers == ()


def test_a_machine_without_an_address_says_nothing_of_it() -> None:
    """Else making a thousand machines would mean to look a thousand times at a thousand of them."""
    latest = Latest(Observation(CLUSTER, ()))
    latest.note([machine("w-prod-1")])
    assert latest.cluster is CLUSTER


def test_a_machine_that_is_gone_is_nobodys_peer() -> None:
    latest = Latest(Observation(CLUSTER, ()))
    latest.note([machine("w-prod-1", "192.0.2.2")])
    latest.forget("w-prod-1")
    assert latest.cluster.peers == ()


def test_with_a_discovery_machine_goes_all_that_it_knew() -> None:
    server, master = machine("c-prod", "192.0.2.1", role=Role.DISCOVERY), machine("m-prod-1", "192.0.2.2", role=Role.MASTER)
    record = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "192.0.2.2"),))
    latest = Latest(Observation(replace(CLUSTER, discovery_address="192.0.2.1"), (server, master), record))
    latest.forget("m-prod-1")
    assert latest.observation.discovery == record
    latest.forget("c-prod")
    assert latest.observation.discovery is None
    assert latest.cluster.discovery_address is None


def test_what_one_of_several_discovery_machines_knew_the_others_know() -> None:
    servers = [machine(f"c-prod-{n}", f"192.0.2.{n}", role=Role.DISCOVERY) for n in (1, 2, 3)]
    latest = Latest(observed := Observation(locate(CLUSTER, tuple(servers)), tuple(servers), Discovery(initialised=True)))
    assert observed.cluster.discovery_addresses == ("192.0.2.1", "192.0.2.2", "192.0.2.3")
    latest.forget("c-prod-1")
    assert latest.observation.discovery == observed.discovery
    assert latest.cluster.discovery_addresses == ("192.0.2.2", "192.0.2.3")


def test_what_does_not_run_is_asked_last_and_nobody_beside_an_existing_service() -> None:
    first, second = (machine(f"c-prod-{n}", f"192.0.2.{n}", role=Role.DISCOVERY) for n in (1, 2))
    vms = (replace(first, power=Power.OFF), second)
    assert locate(CLUSTER, vms).discovery_addresses == ("192.0.2.2", "192.0.2.1")
    assert locate(replace(CLUSTER, discovery_address="10.9.9.9"), vms).discovery_addresses == ("10.9.9.9",)


def test_what_a_service_has_forgotten_nobody_asks_there_again() -> None:
    record = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "192.0.2.2"),))
    told, silent = Latest(Observation(CLUSTER, (), record)), Latest(Observation(CLUSTER, ()))
    for latest in (told, silent):
        latest.note_forgotten()
    assert told.observation.discovery == Discovery(initialised=False)
    assert silent.observation.discovery is None


@pytest.mark.parametrize("state", State)
def test_what_is_no_longer_under_way_has_ended_whatever_came_of_it(state: State) -> None:
    latest, action = Latest(Observation(CLUSTER, ())), DeleteNode(name="w-prod-1")
    latest.note_event(Event(action, state))
    assert latest.has_ended(action.key) == (state is not State.RUNNING)
