"""Several Consul servers: they bootstrap once, one of them may be lost, and another takes its place."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from servers.closed_consul import ClosedMachines, ClosedSite
from servers.consul_agents import CLUSTER_ID, ConsulAgent, eventually, unused_network

from kube_provision_consul.node import Client as NodeClient
from kube_provision_consul.node.api import Agent, UnavailableError
from kube_provision_core import BusyError, Role

pytestmark = pytest.mark.integration

NODES = {"m-prod-1": Role.MASTER, "m-prod-2": Role.MASTER, "w-prod-1": Role.WORKER, "w-prod-2": Role.WORKER}
RECORD = {"state": "initialising", "node": "m-prod-1", "instance_id": "i", "cluster_id": CLUSTER_ID}
NAMES = ("consul-prod", "consul-prod-2", "consul-prod-3")


class Prod(ClosedMachines):
    """A cluster's machines, and which of its servers live."""

    def lose_leader(self) -> str:
        """Its address."""
        address = leader(next(iter(self.servers.values())))
        name = next(name for name, it in self.servers.items() if it.address == address)
        self.agents.pop(name).kill()
        return name

    def leads(self) -> bool:
        """Whether one of those that live does."""
        living = [*self.servers.values()]
        return leader(living[0]) in [it.address for it in living]

    def grant(self) -> None:
        """Each as it does when it boots, all at once."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.site.grant, self.servers.values()))


def leader(server: ConsulAgent) -> str:
    try:
        return str(server.ask("GET", "/v1/status/leader")).rpartition(":")[0]
    except (OSError, HTTPException, ValueError):
        return ""


def peers(server: ConsulAgent) -> dict[str, str]:
    """Raft's members by address, with their names."""
    with suppress(OSError, HTTPException, ValueError):
        told: list[dict[str, Any]] = server.ask("GET", "/v1/operator/raft/configuration")["Servers"]
        return {it["Address"].rpartition(":")[0]: it["Node"] for it in told if it["Voter"]}
    return {}


def are_one_cluster(servers: Sequence[ConsulAgent]) -> bool:
    """Whether each of them says that it is of these and no others, and who leads."""
    everybody = {it.address for it in servers}
    return all(peers(it).keys() == everybody for it in servers) and len({leader(it) for it in servers} - {""}) == 1


@pytest.fixture
def prod(tmp_path: Path) -> Iterator[Prod]:
    with ExitStack() as stack:
        site = ClosedSite.of(tmp_path, unused_network(), "prod", NODES, servers=3)
        yield Prod(site.at([1, 2, 3]), stack)


@pytest.fixture
def three(prod: Prod) -> Prod:
    """A cluster whose servers have all booted at once: the others are told where the first one is."""
    for number, name in enumerate(NAMES, 1):
        prod.launch(name, number, [1] if number > 1 else [])
    prod.grant()
    assert eventually(lambda: are_one_cluster([*prod.servers.values()]))
    return prod


def test_whoever_boots_first_there_is_one_cluster(prod: Prod) -> None:
    """The others find nobody yet where they are told that the first one is."""
    prod.launch(NAMES[2], 3, [1])
    prod.launch(NAMES[1], 2, [1])
    assert eventually(lambda: "failed to join" in said(prod.servers[NAMES[1]]).lower())
    assert [leader(it) for it in prod.servers.values()] == ["", ""]
    prod.launch(NAMES[0], 1)
    assert eventually(lambda: are_one_cluster([*prod.servers.values()]))


def test_machines_have_their_rights_whichever_servers_give_them(three: Prod) -> None:
    policies = {it["Name"] for it in three.servers[NAMES[0]].ask("GET", "/v1/acl/policies")}
    assert policies >= {f"kube-provision-{name}" for name in NODES}


def test_a_server_that_boots_takes_no_rights_away(three: Prod) -> None:
    """Machines may have been added since its boot data were written."""
    earlier = replace(three.site.cluster, nodes={"m-prod-1": Role.MASTER})
    replace(three.site, cluster=earlier).grant(three.servers[NAMES[1]])
    own = Agent(three.servers[NAMES[2]].http, (), {"token": three.site.seed.token("w-prod-1")})
    own.check_token()
    three.site.driver.admit_nodes(earlier)
    with pytest.raises(UnavailableError, match="ACL not found"):
        own.check_token()


def test_nothing_stops_while_one_of_three_is_lost(three: Prod) -> None:
    """The one that leads: a run goes on, and keeps its lock; a master does, and a worker joins."""
    master, driver, cluster = three.make("m-prod-1", 4), three.site.driver, three.site.cluster
    assert master.create_record(RECORD)
    lock = driver.lock_cluster(cluster)
    assert lock
    with lock:
        three.lose_leader()
        assert driver.discover_masters(cluster).initialising == "m-prod-1"
        with pytest.raises(BusyError), driver.lock_cluster(cluster):  # type: ignore[union-attr]
            pass
        assert eventually(lambda: reads(master))  # its program comes back, too
        with master.lock(30):
            assert driver.forget_initialising(cluster, "m-prod-1")
            assert master.create_record(RECORD)
        three.make("w-prod-1", 5)


def test_nothing_stops_while_two_of_five_are_lost(prod: Prod) -> None:
    """One after the other, each the one that leads."""
    prod.site = prod.site.of_servers(5).at([1, 2, 3, 4, 5])
    for number, name in enumerate((*NAMES, "consul-prod-4", "consul-prod-5"), 1):
        prod.launch(name, number, [1] if number > 1 else [])
    prod.grant()
    assert eventually(lambda: are_one_cluster([*prod.servers.values()]))
    master = prod.make("m-prod-1", 6)
    assert master.create_record(RECORD)
    for _ in range(2):
        prod.lose_leader()
        assert eventually(lambda: prod.leads() and reads(master))
    found = master.read_record()
    assert found
    assert found.content == RECORD


def test_an_election_gives_a_lock_to_nobody_else(three: Prod) -> None:
    first, second = three.make("m-prod-1", 4), three.make("m-prod-2", 5)
    held, ended = threading.Event(), []

    def wait_for_turn() -> None:
        while True:
            try:
                with second.lock(60):
                    ended.append(held.is_set())
                    return
            except UnavailableError:  # as the program on a node, which comes back
                time.sleep(0.2)

    turn = threading.Thread(target=wait_for_turn, daemon=True)
    with first.lock(30):
        held.set()
        turn.start()
        three.lose_leader()
        assert eventually(lambda: three.leads())
        assert eventually(lambda: reads(first))
        time.sleep(1)  # in which the other would have it
        held.clear()
    turn.join(60)
    assert ended == [False]


@pytest.mark.parametrize("number", [3, pytest.param(9, marks=pytest.mark.night)], ids=["its address", "another address"])
def test_a_server_that_is_lost_is_replaced(three: Prod, number: int) -> None:
    """Without founding another cluster. At another address Consul lets it in half a minute after the loss."""
    master = three.make("m-prod-1", 4)
    assert master.create_record(RECORD)
    three.agents.pop(NAMES[2]).kill()
    three.site.folder.joinpath(f"{NAMES[2]}-3").rename(three.site.folder / "lost")
    three.launch(NAMES[2], number, [1, 2])
    assert eventually(lambda: are_one_cluster([*three.servers.values()]), timeout=120)
    three.site.grant(three.servers[NAMES[2]])
    found = master.read_record()
    assert found
    assert found.content == RECORD


def test_one_server_becomes_three(prod: Prod) -> None:
    """What it knows they know; those that it was made with learn of them by themselves."""
    three, prod.site = prod.site, prod.site.of_servers(1).at([1])
    first = prod.launch(NAMES[0], 1)
    prod.grant()
    master = prod.make("m-prod-1", 4)
    assert master.create_record(RECORD)
    prod.site = three
    for number in (2, 3):
        prod.launch(NAMES[number - 1], number, [1])
    assert eventually(lambda: are_one_cluster([*prod.servers.values()]))
    prod.agents.pop(NAMES[0])
    first.kill()
    assert eventually(lambda: reads(master))


def said(server: ConsulAgent) -> str:
    log = server.folder / "consul.log"
    return log.read_text() if log.exists() else ""


def reads(client: NodeClient) -> bool:
    with suppress(UnavailableError):
        client.read_record()
        return True
    return False
