"""A Consul whose servers run on the masters: what these are told; they found one cluster, lose one, and let one go."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from servers.closed_consul import ClosedSite
from servers.consul_agents import CLUSTER_ID, ConsulAgent, eventually, unused_network

from kube_provision_consul import layout
from kube_provision_consul.config import ConsulConfig, new_gossip_key
from kube_provision_consul.driver import Consul
from kube_provision_consul.node import Client as NodeClient
from kube_provision_consul.node.agent import wait_until_joined
from kube_provision_consul.node.api import IDENTITY, Agent
from kube_provision_consul.seed import Seed, new_seed
from kube_provision_core import BootFragment, Cluster, ConfigError, Node, Role
from kube_provision_core.testing import node_of

from .test_servers import are_one_cluster, leader, peers, reads

SEED = new_seed()
RECORD = {"state": "initialising", "node": "m-prod-1", "instance_id": "i", "cluster_id": CLUSTER_ID}


def cluster_of_masters(count: int, network: str = "10.0.0", known: int | None = None) -> Cluster:
    """`known`: how many of the masters have static addresses."""
    masters = [f"m-prod-{number}" for number in range(1, count + 1)]
    nodes = {**dict.fromkeys(masters, Role.MASTER), "w-prod-1": Role.WORKER}
    fixed = {name: f"{network}.{number}" for number, name in enumerate(masters[:known], 1)}
    return Cluster(
        *("prod", CLUSTER_ID, "1.36.4", frozenset(nodes)),
        nodes=nodes,
        discovery_on_masters=True,
        discovery_by_majority=True,
        fixed_addresses=fixed,
        discovery_address=next(iter(fixed.values()), None),
        discovery_others=tuple(fixed.values())[1:],
    )


def driver_of(**keys: Any) -> Consul:
    config = ConsulConfig.model_validate({"consul_seed": SEED, "consul_on_masters": True, **keys})
    return Consul(dict.fromkeys(Role, config))


def node(name: str, *, carries_ca: bool = False) -> Node:
    role = Role.MASTER if name.startswith("m-") else Role.WORKER
    return node_of(name, role, cluster="prod", cluster_id=CLUSTER_ID, carries_ca=carries_ca)


def documents(fragment: BootFragment) -> dict[str, Any]:
    return {it.path: json.loads(it.content) for it in fragment.files if it.path.endswith(".json")}


class TestWhatMachinesAreTold:
    def rendered(self, name: str, count: int = 3, **more: bool) -> BootFragment:
        return driver_of().render_boot(node(name, **more), cluster_of_masters(count))

    def test_masters_run_servers_that_join_the_others_and_never_themselves(self) -> None:
        agent = documents(self.rendered("m-prod-2"))[layout.AGENT_FILE]
        assert (agent["server"], agent["bootstrap_expect"]) == (True, 3)
        assert agent["retry_join"] == ["10.0.0.1", "10.0.0.3"]

    def test_workers_join_all_masters(self) -> None:
        agent = documents(self.rendered("w-prod-1"))[layout.AGENT_FILE]
        assert (agent["server"], agent["retry_join"]) == (False, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])

    def test_those_that_are_there_are_known_where_the_configuration_has_other_addresses_by_now(self) -> None:
        cluster = replace(cluster_of_masters(3), discovery_address="10.9.0.2", discovery_others=("10.9.0.3",))
        told = {name: documents(driver_of().render_boot(node(name), cluster)) for name in ("m-prod-1", "w-prod-1")}
        assert told["m-prod-1"][layout.AGENT_FILE]["retry_join"] == ["10.0.0.2", "10.0.0.3", "10.9.0.2", "10.9.0.3"]
        every = ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.9.0.2", "10.9.0.3"]
        assert told["w-prod-1"][layout.AGENT_FILE]["retry_join"] == told["w-prod-1"][layout.CLIENT_DATA]["servers"] == every

    def test_a_single_master_founds_it_alone(self) -> None:
        agent = documents(self.rendered("m-prod-1", 1))[layout.AGENT_FILE]
        assert (agent["bootstrap_expect"], agent["retry_join"]) == (1, [])

    def test_no_machine_is_made_for_it(self) -> None:
        driver = driver_of()
        assert (driver.machines, driver.address, driver.by_majority) == (0, None, True)
        assert Consul(dict.fromkeys(Role, ConsulConfig())).by_majority is False

    def test_masters_are_servers_to_others_and_workers_are_not(self) -> None:
        seed = Seed(SEED)
        told = {name: documents(self.rendered(name))[layout.IDENTITY_FILE] for name in ("m-prod-2", "w-prod-1")}
        assert [it["token"] for it in told.values()] == [seed.management, seed.token("w-prod-1")]
        assert ["grants" in it for it in told.values()] == [True, False]
        assert seed.management not in str(self.rendered("w-prod-1"))

    @pytest.mark.parametrize(("count", "grants"), [(1, True), (3, False)])
    def test_whoever_carries_the_authorities_leaves_it_to_others_to_give_rights(self, count: int, grants: bool) -> None:
        """Its boot data have no room for it. Where it is alone there is nobody else."""
        carrier = self.rendered("m-prod-1", count, carries_ca=True)
        assert ("rights" in [step.name for step in carrier.steps]) is grants
        assert ("grants" in documents(carrier)[layout.IDENTITY_FILE]) is grants
        assert any(it.path.endswith("/rights.py") for it in carrier.files) is grants


class TestBadInput:
    @pytest.mark.parametrize(
        ("count", "keys", "told"),
        [
            (2, {}, "2 masters cannot be Consul's servers: ask for 1, 3 or 5"),
            (4, {"consul_servers": 3}, "4 masters cannot be Consul's servers"),
            (3, {"consul_servers": 5}, "5 servers on 3 masters: with consul_on_masters each master is one"),
            (3, {"consul_servers": 1}, "1 servers on 3 masters"),
            (3, {"consul_seed": None}, "were made for another Consul, or for one that is open"),
        ],
    )
    def test_is_one_line(self, count: int, keys: Mapping[str, Any], told: str) -> None:
        for name in ("m-prod-1", "w-prod-1"):
            with pytest.raises(ConfigError, match=told) as caught:
                driver_of(**keys).render_boot(node(name), cluster_of_masters(count))
            assert len(caught.value.problems) == 1

    def test_masters_without_static_addresses_are_named(self) -> None:
        with pytest.raises(ConfigError, match="nobody knows the addresses of m-prod-2, m-prod-3 before"):
            driver_of().render_boot(node("m-prod-1"), cluster_of_masters(3, known=1))

    def test_as_many_servers_as_masters_may_be_said(self) -> None:
        driver_of(consul_servers=3).render_boot(node("m-prod-1"), cluster_of_masters(3))

    def test_who_is_there_and_no_longer_wanted_is_no_server(self) -> None:
        cluster = cluster_of_masters(3)
        more = replace(cluster, nodes={**cluster.nodes, "m-prod-4": Role.MASTER})
        agent = documents(driver_of().render_boot(node("w-prod-1"), more))[layout.AGENT_FILE]
        assert agent["retry_join"] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


@dataclass
class Prod:
    """The machines of a cluster on loopback addresses, each with what the driver renders for it."""

    folder: Path
    network: str
    stack: ExitStack
    gossip: str = field(default_factory=new_gossip_key)
    seed: str = field(default_factory=new_seed)
    masters: dict[str, ConsulAgent] = field(default_factory=dict)

    @property
    def driver(self) -> Consul:
        return driver_of(consul_seed=self.seed, consul_encrypt=self.gossip)

    def cluster(self, masters: int = 3) -> Cluster:
        return cluster_of_masters(masters, self.network)

    def number(self, name: str) -> int:
        """Of its address."""
        return int(name[-1]) + 20 * name.startswith("w-")

    def launch(self, name: str, of: int = 3, number: int | None = None, *, carries_ca: bool = False) -> dict[str, Any]:
        """A machine, which nobody waits for; who it is. `number`: at another address than its own."""
        site, role = ClosedSite(self.folder, self.network, self.cluster(of), self.driver), node(name).role
        agent = site.machine(name, role, number or self.number(name), carries_ca=carries_ca)
        self.stack.callback(agent.kill)
        agent.launch()
        if role is Role.MASTER:
            self.masters[name] = agent
        identity: dict[str, Any] = site.rendered(name, role, carries_ca=carries_ca)[layout.IDENTITY_FILE]
        return identity

    def boot(self, name: str, of: int = 3, number: int | None = None, *, carries_ca: bool = False) -> NodeClient:
        """What programs on that machine ask, once it has done what its boot waits for."""
        return self._booted(name, number, self.launch(name, of, number, carries_ca=carries_ca))

    def boot_at_once(self, names: Sequence[str], carrier: str = "") -> list[NodeClient]:
        """Of three masters. Agents end with the thread that has started them."""
        launched = {name: self.launch(name, carries_ca=name == carrier) for name in names}
        with ThreadPoolExecutor() as pool:
            return list(pool.map(lambda name: self._booted(name, None, launched[name]), names))

    def _booted(self, name: str, number: int | None, identity: dict[str, Any]) -> NodeClient:
        own = Agent(f"{self.network}.{number or self.number(name)}:8500", (), identity)
        wait_until_joined(own, [], 120)
        if "grants" in identity:
            self._run_rights(name, own)
        return NodeClient(own, name, "prod", CLUSTER_ID, 6443, [], "")

    def _run_rights(self, name: str, own: Agent) -> None:
        """The program that the step `rights` of its boot runs."""
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-told-", dir=self.folder))
        (folder / IDENTITY).write_text(json.dumps(own.identity))
        (folder / "discovery.json").write_text(json.dumps({"agent": own.address}))
        program = (sys.executable, "-m", "kube_provision_consul.node.rights", "--folder", str(folder))
        subprocess.run([*program, "--limit", "240"], check=True, timeout=300)

    def lose(self, name: str) -> None:
        """For good."""
        lost = self.masters.pop(name)
        lost.kill()
        lost.folder.rename(lost.folder.with_name(f"{lost.folder.name}-lost"))

    @property
    def living(self) -> list[ConsulAgent]:
        return [*self.masters.values()]


@pytest.fixture
def prod(tmp_path: Path) -> Iterator[Prod]:
    with ExitStack() as stack:
        yield Prod(tmp_path, unused_network(), stack)


def catalog(client: NodeClient) -> set[str]:
    return {it["Node"] for it in client.agent.ask("GET", "/v1/catalog/nodes", {}).json()}


THREE = ("m-prod-1", "m-prod-2", "m-prod-3")


@pytest.mark.integration
class TestServersOnMasters:
    def test_that_boot_at_once_found_one_cluster_in_which_one_master_begins(self, prod: Prod) -> None:
        clients = prod.boot_at_once([*THREE, "w-prod-1"], carrier="m-prod-1")
        assert are_one_cluster(prod.living)
        with ThreadPoolExecutor() as pool:
            begun = list(pool.map(lambda it: it.create_record(RECORD | {"node": it.node}), clients[:3]))
        assert sorted(begun) == [False, False, True]
        assert eventually(lambda: catalog(clients[3]) == {*THREE, "w-prod-1"})

    def test_go_on_while_one_of_three_is_lost(self, prod: Prod) -> None:
        """The one that leads: a master keeps its lock, and another waits for it; a run finds the record."""
        clients = dict(zip(THREE, prod.boot_at_once(THREE), strict=True))
        assert clients["m-prod-1"].create_record(RECORD)
        lost = next(name for name, it in prod.masters.items() if it.address == leader(it))
        first, second = (clients[name] for name in THREE if name != lost)
        with first.lock(30):
            prod.lose(lost)
            assert eventually(lambda: reads(first) and reads(second))
            assert second.agent.ask("GET", "/v1/kv/kube-provision/prod/lock", {}).json()[0]["Session"]
        assert prod.driver.discover_masters(prod.cluster()).initialising == "m-prod-1"
        prod.boot("w-prod-1")

    @pytest.mark.parametrize("number", [3, pytest.param(9, marks=pytest.mark.night)], ids=["its address", "another"])
    def test_take_one_in_that_is_made_anew(self, prod: Prod, number: int) -> None:
        """It votes once its boot goes on, so that the next one may go."""
        first, *_ = prod.boot_at_once(THREE)
        assert first.create_record(RECORD)
        prod.lose("m-prod-3")
        anew = prod.boot("m-prod-3", number=number)
        assert eventually(lambda: are_one_cluster(prod.living), timeout=3)
        prod.lose("m-prod-1")
        assert eventually(lambda: reads(anew))
        found = anew.read_record()
        assert found
        assert found.content == RECORD

    def test_are_three_where_there_was_one(self, prod: Prod) -> None:
        first = prod.boot("m-prod-1", of=1, carries_ca=True)
        assert first.create_record(RECORD)
        prod.driver.admit_nodes(prod.cluster(3))
        _, third = prod.boot_at_once(THREE[1:])
        assert eventually(lambda: are_one_cluster(prod.living))
        prod.lose("m-prod-1")
        assert eventually(lambda: reads(third))

    def test_leave_with_their_masters(self, prod: Prod) -> None:
        """A run that has removed one tells it, so that those that are left need nobody who is gone."""
        first, *_ = prod.boot_at_once(THREE)
        prod.lose("m-prod-3")
        left = prod.cluster(2)
        prod.driver.admit_nodes(left)
        assert eventually(lambda: set(peers(prod.masters["m-prod-1"]).values()) == {"m-prod-1", "m-prod-2"}, timeout=120)
        assert eventually(lambda: catalog(first) == {"m-prod-1", "m-prod-2"})
        prod.lose("m-prod-2")
        assert eventually(lambda: not reads(first))  # of two both have to live, which `destroy` sees to
