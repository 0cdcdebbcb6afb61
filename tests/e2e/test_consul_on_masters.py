"""Three masters that are Consul's servers as well, as whole hosts: they begin at once, one is lost, one is made anew."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from machines.lab import Lab, Measured, until
from machines.losing import lose, whole
from machines.network import PREFIX
from servers.provisioned_consul import ask

pytestmark = pytest.mark.night

ADDRESSES = {f"m-prod-{number}": f"{PREFIX}.{100 + number}" for number in range(1, 4)}
NODES = {*ADDRESSES, "w-prod-1", "w-prod-2"}
RECOVERY = 300.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    masters = {"static_addresses": [*ADDRESSES.values()]}
    with Lab(tmp_path_factory.mktemp("lab"), {"consul_on_masters": True, "masters": masters}) as lab:
        assert lab.made().states == dict.fromkeys(NODES, "done")
        yield lab


@pytest.fixture
def cluster(lab: Lab) -> Lab:
    """Whole at the beginning of every test."""
    until(lambda: whole(lab) and voters(lab) == ADDRESSES, RECOVERY, "the cluster is whole")
    return lab


def voters(lab: Lab, at: str = "m-prod-2") -> dict[str, str]:
    """Raft's members that vote, by name, as this server knows them; none where it does not answer."""
    told = ask(lab.secrets, lab.hosts[at].address, "GET", "/v1/operator/raft/configuration") or {"Servers": []}
    return {it["Node"]: it["Address"].rpartition(":")[0] for it in told["Servers"] if it["Voter"]}


def test_no_machine_is_made_for_it_and_one_master_initialises_the_cluster(cluster: Lab) -> None:
    assert set(cluster.hosts) == NODES
    assert {name: host.address for name, host in cluster.masters.items()} == ADDRESSES
    assert [name for name, _, _ in cluster.calls("init")] == ["m-prod-1"]


def test_a_second_run_finds_nothing_to_do(cluster: Lab) -> None:
    run = cluster.provision("--wait")
    assert run.code == 0, run.errors
    assert set(cluster.hosts) == NODES


def test_a_master_that_loses_power_is_left_by_every_worker_and_comes_back(cluster: Lab, measured: Measured) -> None:
    host = cluster.masters["m-prod-3"]
    lose(cluster, measured, host.kill, lambda: cluster.hypervisor.start(host.name), host.name)


@pytest.mark.parametrize("name", ["m-prod-1", "m-prod-3"])
def test_a_master_is_made_anew_with_its_server(cluster: Lab, name: str) -> None:
    before = cluster.hosts[name]
    run = cluster.run("replace", name, "--yes")
    assert run.code == 0, run.errors
    assert cluster.hosts[name] is not before
    until(lambda: voters(cluster) == ADDRESSES, RECOVERY, "three servers vote")
    until(lambda: whole(cluster), RECOVERY, "every worker leads to every master")


def test_a_master_that_is_gone_for_good_is_made_anew_by_a_run(cluster: Lab) -> None:
    cluster.hypervisor.remove("m-prod-3")
    run = cluster.provision("--wait")
    assert run.code == 0, run.errors
    until(lambda: voters(cluster) == ADDRESSES, RECOVERY, "three servers vote")
    until(lambda: whole(cluster), RECOVERY, "every worker leads to every master")


def test_two_of_three_masters_are_not_given_away(cluster: Lab) -> None:
    run = cluster.run("destroy", "--node", "m-prod-1", "--node", "m-prod-2", "--yes")
    assert run.code == 2
    assert set(cluster.hosts) == NODES
