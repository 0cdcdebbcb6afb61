"""What is done to a Consul that lives, as its README says: another gossip key, another version, a server that was lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import pytest
from pydantic import SecretStr
from servers.closed_consul import ClosedMachines, ClosedSite
from servers.consul import consul_binary
from servers.consul_agents import CLUSTER_ID, eventually, unused_network

from kube_provision_consul.config import new_gossip_key
from kube_provision_consul.node import Client as NodeClient
from kube_provision_consul.node.api import UnavailableError
from kube_provision_core import Role

pytestmark = pytest.mark.integration

NODES = {"m-prod-1": Role.MASTER, "m-prod-2": Role.MASTER, "w-prod-1": Role.WORKER, "w-prod-2": Role.WORKER}
RECORD = {"state": "initialised", "node": "m-prod-1", "instance_id": "i", "cluster_id": CLUSTER_ID}
_ALIVE = 1
"""Consul's number for a member that gossips."""


class Prod(ClosedMachines):
    def restart(self, name: str) -> None:
        """In order, as systemd does, on the data that it has."""
        self.agents[name].stop()
        self.agents[name].start()

    def living(self) -> set[str]:
        """Machines that gossip with the first server."""
        with suppress(OSError, HTTPException, ValueError):
            members = self.agents["consul-prod"].ask("GET", "/v1/agent/members")
            return {it["Name"] for it in members if it["Status"] == _ALIVE}
        return set()

    def keyring(self, *arguments: str) -> str:
        """Consul's own command, on the server, with the token in a file."""
        file = self.site.folder / "token"
        file.write_text(f"{self.site.seed.management}\n")
        environment = {"CONSUL_HTTP_ADDR": self.agents["consul-prod"].http, "CONSUL_HTTP_TOKEN_FILE": str(file)}
        command = [str(consul_binary()), "keyring", *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
        return done.stdout


@pytest.fixture
def prod(tmp_path: Path) -> Iterator[Prod]:
    with ExitStack() as stack:
        yield Prod(ClosedSite.of(tmp_path, unused_network(), "prod", NODES), stack)


@pytest.fixture
def cluster(prod: Prod) -> Prod:
    prod.serve("consul-prod")
    master = prod.make("m-prod-1", 11)
    prod.make("w-prod-1", 12)
    assert master.create_record(RECORD)
    assert eventually(lambda: prod.sees("w-prod-1", "m-prod-1"))
    return prod


# --- another gossip key -------------------------------------------------------------------------------------------


@dataclass
class Rotated:
    """A cluster with another gossip key."""

    prod: Prod
    old: SecretStr
    new: SecretStr


@pytest.fixture
def rotated(cluster: Prod) -> Rotated:
    old, new = cluster.site.config.consul_encrypt, new_gossip_key()
    assert old
    cluster.keyring("-install", new)
    assert f"{new} [3/3]" in cluster.keyring("-list")
    cluster.keyring("-use", new)
    cluster.site = cluster.site.configured(consul_encrypt=SecretStr(new))
    cluster.keyring("-remove", old.get_secret_value())
    return Rotated(cluster, old, SecretStr(new))


def test_machines_that_are_there_have_the_new_gossip_key_alone(rotated: Rotated) -> None:
    told = rotated.prod.keyring("-list")
    assert f"{rotated.new.get_secret_value()} [3/3]" in told
    assert rotated.old.get_secret_value() not in told


def test_a_machine_that_starts_again_gossips_though_its_boot_data_had_another_key(rotated: Rotated) -> None:
    everybody = rotated.prod.living()
    for name in ("consul-prod", "m-prod-1", "w-prod-1"):
        rotated.prod.restart(name)
        assert eventually(lambda: rotated.prod.living() == everybody)
    assert eventually(lambda: rotated.prod.sees("w-prod-1", "m-prod-1"))


def test_machines_that_are_made_with_the_new_gossip_key_join(rotated: Rotated) -> None:
    rotated.prod.make("m-prod-2", 13)
    assert eventually(lambda: rotated.prod.sees("w-prod-1", "m-prod-1", "m-prod-2"))


def test_a_server_that_is_made_anew_with_the_new_gossip_key_knows_all_machines(rotated: Rotated) -> None:
    prod = rotated.prod
    prod.agents.pop("consul-prod").kill()
    (prod.site.folder / "consul-prod-1").rename(prod.site.folder / "lost")
    prod.serve("consul-prod")
    assert eventually(lambda: prod.living() == {"consul-prod", "m-prod-1", "w-prod-1"})


def test_a_machine_with_the_old_gossip_key_is_not_let_in(rotated: Rotated) -> None:
    """As one that was off meanwhile."""
    prod = rotated.prod
    site = prod.site.configured(consul_encrypt=rotated.old)
    agent = site.machine("w-prod-2", Role.WORKER, 14)
    prod.stack.callback(agent.kill)
    agent.launch()
    log = agent.folder / "consul.log"
    assert eventually(lambda: "failed to join" in log.read_text().lower())
    assert "w-prod-2" not in prod.living()


# --- another version: whatever it is, each machine's Consul starts again on what it knows --------------------------


def test_one_server_that_starts_again_forgets_nothing(cluster: Prod) -> None:
    """Neither the record, nor rights, nor a run's lock, nor who is registered."""
    lock = cluster.site.driver.lock_cluster(cluster.site.cluster)
    assert lock
    with lock:
        before = cluster.agents["consul-prod"].ask("GET", "/v1/kv/kube-provision-runs/prod")[0]["Session"]
        cluster.restart("consul-prod")
        assert cluster.agents["consul-prod"].ask("GET", "/v1/kv/kube-provision-runs/prod")[0]["Session"] == before
        assert eventually(lambda: cluster.sees("w-prod-1", "m-prod-1"))
        assert eventually(lambda: reads(cluster.clients["m-prod-1"]) == RECORD)


def test_a_master_whose_agent_starts_again_is_registered_again_by_nobody(cluster: Prod) -> None:
    for name in ("w-prod-1", "m-prod-1"):
        cluster.restart(name)
        assert eventually(lambda: cluster.sees("w-prod-1", "m-prod-1"))


def test_three_servers_that_start_again_one_after_another_stop_nothing(prod: Prod) -> None:
    names = ("consul-prod", "consul-prod-2", "consul-prod-3")
    prod.site = prod.site.of_servers(3)
    prod.serve(*names)
    master = prod.make("m-prod-1", 11)
    assert master.create_record(RECORD)
    lock = prod.site.driver.lock_cluster(prod.site.cluster)
    assert lock
    with lock:
        for name in names:
            prod.agents[name].stop()
            assert prod.site.driver.discover_masters(prod.site.cluster).initialised
            prod.agents[name].start()
        held = prod.agents["consul-prod"].ask("GET", "/v1/kv/kube-provision-runs/prod")
        assert held[0]["Session"]


def reads(client: NodeClient) -> dict[str, str] | None:
    """The record; None also while its agent has not yet found the server again."""
    with suppress(UnavailableError):
        found = client.read_record()
        return found.content if found else None
    return None


# --- a server that was lost ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, pytest.param(9, marks=pytest.mark.night)], ids=["its address", "another address"])
def test_a_closed_server_that_is_lost_is_made_anew(cluster: Prod, number: int) -> None:
    """Empty, and with all rights; who is registered comes back by itself, and a master writes the record again."""
    cluster.agents.pop("consul-prod").kill()
    (cluster.site.folder / "consul-prod-1").rename(cluster.site.folder / "lost")
    assert not cluster.sees("w-prod-1", "m-prod-1")
    cluster.serve("consul-prod", at=number)
    assert eventually(lambda: cluster.sees("w-prod-1", "m-prod-1"), timeout=120)
    assert cluster.clients["m-prod-1"].read_record() is None
    assert cluster.clients["m-prod-1"].create_record(RECORD)
    with cluster.clients["m-prod-1"].lock(30):
        assert cluster.site.driver.discover_masters(cluster.site.cluster).initialised
    cluster.make("m-prod-2", 13)
    assert eventually(lambda: cluster.sees("w-prod-1", "m-prod-1", "m-prod-2"))
