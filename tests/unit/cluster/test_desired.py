"""What plugins are told of the cluster that is asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from doubles.memory import MemoryTarget
from doubles.site import Site

from kube_provision_core.cluster.desired import STAND_IN, to_render
from kube_provision_core.contract.errors import PluginError
from kube_provision_core.contract.machines import Cluster, Role


class Containers(MemoryTarget):
    shares_kernel = True


@pytest.mark.parametrize(("target", "told"), [(MemoryTarget, False), (Containers, True)])
def test_every_plugin_is_told_whether_machines_share_the_kernel_of_their_host(
    tmp_path: Path, target: type[MemoryTarget], told: bool
) -> None:
    with Site(tmp_path, target=target).session() as session:
        assert session.desired.cluster.shares_kernel is told


class WithStorage(MemoryTarget):
    node_interfaces: ClassVar = {Role.MASTER: "eth0", Role.DISCOVERY: "eth1"}


def test_every_plugin_is_told_which_interface_a_nodes_address_is_on(tmp_path: Path) -> None:
    with Site(tmp_path, target=WithStorage).session(masters=1, workers=1) as session:
        told = {node.role: node.interface for node in session.desired.all}
    assert told == {Role.DISCOVERY: "eth1", Role.MASTER: "eth0", Role.WORKER: ""}


def test_an_interface_without_a_name_is_its_authors_to_mend(tmp_path: Path) -> None:
    target = type("Mistaken", (MemoryTarget,), {"node_interfaces": {Role.WORKER: None}})
    with Site(tmp_path, target=target).session() as session, pytest.raises(PluginError, match="its author must mend it"):
        _ = session.desired


def test_every_plugin_is_told_which_machines_keep_their_swap(tmp_path: Path) -> None:
    site = Site(tmp_path)
    with site.session(masters=1, workers=1) as session:
        assert not any(node.swaps for node in session.desired.all)
    with site.session(masters=1, workers=1, swap=4) as session:
        assert all(node.swaps for node in (*session.desired.masters, *session.desired.workers))


class Fixed(MemoryTarget):
    fixed_addresses = {Role.MASTER: ["10.0.0.11", "10.0.0.12"], Role.WORKER: ["10.0.0.21"]}  # noqa: RUF012 - nobody changes it


def test_every_plugin_is_told_the_addresses_that_the_target_knows_before(tmp_path: Path) -> None:
    with Site(tmp_path, target=Fixed).session(masters=3, workers=1) as session:
        known = session.desired.cluster.fixed_addresses
    assert known == {"m-prod-1": "10.0.0.11", "m-prod-2": "10.0.0.12", "w-prod-1": "10.0.0.21"}
    with Site(tmp_path).session() as session:
        assert session.desired.cluster.fixed_addresses == {}


@pytest.mark.parametrize("servers", [0, 1])
@pytest.mark.parametrize("wanted", [True, False])
def test_it_takes_a_majority_of_masters_where_these_are_a_discovery_that_says_so(
    tmp_path: Path, servers: int, wanted: bool
) -> None:
    with Site(tmp_path, servers=servers, by_majority=wanted).session() as session:
        assert session.desired.cluster.discovery_by_majority is (wanted and servers == 0)


CLUSTER = Cluster("prod", "id", "1.37", frozenset())


@pytest.mark.parametrize("known", [0, 1, 3])
def test_boot_data_are_tried_with_an_address_for_each_discovery_machine(known: int) -> None:
    """They are as long as those that machines get."""
    first, *others = [f"10.0.0.{number}" for number in range(known)] or [None]
    cluster = Cluster(
        "prod", "id", "1.37", frozenset(), discovery_address=first, discovery_others=tuple(filter(None, others))
    )
    found = to_render(cluster, 3).discovery_addresses
    assert (found[:known], found[known:]) == (cluster.discovery_addresses, (STAND_IN,) * (3 - known))
    existing = replace(cluster, discovery_address="10.9.9.9", discovery_others=())
    assert to_render(existing, 0) == existing


def test_the_first_of_several_discovery_machines_is_called_as_a_single_one_is(tmp_path: Path) -> None:
    """So one becomes several, and stays."""
    with Site(tmp_path).session() as session:
        (single,) = session.desired.discovery
    with Site(tmp_path, servers=3).session() as session:
        several, names = session.desired.discovery, session.desired.cluster.names
    counted = [(it.name, it.index) for it in several]
    assert counted == [(single.name, single.index), ("consul-prod-2", 2), ("consul-prod-3", 3)]
    assert {it.name for it in several} <= names
