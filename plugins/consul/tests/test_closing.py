"""A Consul that is open, as an earlier version has made it, is closed, while its cluster goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from servers.closed_consul import ClosedMachines, ClosedSite
from servers.consul_agents import CLUSTER_ID, eventually, unused_network

from kube_provision_consul import layout
from kube_provision_consul.node import Client as NodeClient
from kube_provision_consul.node.api import UnavailableError
from kube_provision_consul.openness import CLOSED
from kube_provision_consul.seed import new_seed
from kube_provision_core import BusyError, Role
from kube_provision_core.testing import boot_of, node_of

pytestmark = pytest.mark.integration

MASTERS = ("m-prod-1", "m-prod-2", "m-prod-3")
NODES = {**dict.fromkeys(MASTERS, Role.MASTER), "w-prod-1": Role.WORKER}
RECORD = {"state": "initialised", "node": "m-prod-1", "instance_id": "i", "cluster_id": CLUSTER_ID}
SERVER = "consul-prod"
SERVERS = (SERVER, "consul-prod-2", "consul-prod-3")


@dataclass
class Prod(ClosedMachines):
    made: int = 0

    def configure(self, **keys: Any) -> None:
        self.site = self.site.configured(**keys)

    def make_server(self) -> None:
        """As a run does where it is gone, or all of several: empty, and with the addresses of all machines."""
        names = SERVERS[: self.site.config.consul_servers]
        for old in [self.agents.pop(name) for name in names if name in self.agents]:
            old.kill()
            old.folder.rename(old.folder.with_name(f"{old.folder.name}-gone-{self.made}"))
        self.made += 1
        self.serve(*names)

    def make_anew(self, name: str) -> NodeClient:
        """In place of the one of this name, which shuts down in order."""
        if old := self.agents.pop(name, None):
            with suppress(OSError, HTTPException):
                old.ask("PUT", "/v1/agent/leave")
            old.kill()
        self.made += 1
        return self.make(name, 20 + self.made)

    def objections(self, *names: str) -> tuple[str, ...]:
        """Of a run that makes these machines."""
        nodes = [node_of(name, NODES.get(name, Role.DISCOVERY), cluster="prod") for name in names]
        return tuple(self.site.driver.preflight([(node, boot_of(node)) for node in nodes]))

    def is_told(self) -> str:
        """What `status` says, once it has looked."""
        self.site.driver.discover_masters(self.site.cluster)
        return self.site.driver.discovery_notice(self.site.cluster)


@pytest.fixture
def prod(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Prod]:
    """Open, with one server, or as many as a test says."""
    with ExitStack() as stack:
        count = getattr(request, "param", 1)
        site = ClosedSite.of(tmp_path, unused_network(), "prod", NODES, servers=count).configured(consul_seed=None)
        prod = Prod(site, stack)
        prod.make_server()
        for name in NODES:
            prod.make_anew(name)
        assert prod.clients["m-prod-1"].create_record(RECORD)
        assert eventually(lambda: prod.sees("w-prod-1", *MASTERS))
        yield prod


@pytest.fixture
def begun(prod: Prod) -> Prod:
    """Its server was made anew, as one that gives machines their tokens and takes those that have none."""
    prod.configure(consul_seed=SecretStr(new_seed()), consul_closing=True)
    prod.make_server()
    return prod


@pytest.mark.parametrize("prod", [1, pytest.param(3, marks=pytest.mark.night)], indirect=True)
def test_every_step_leaves_the_cluster_its_masters(prod: Prod) -> None:
    prod.configure(consul_seed=SecretStr(new_seed()), consul_closing=True)
    prod.make_server()
    assert eventually(lambda: all(prod.sees(name, *MASTERS) for name in NODES))
    assert prod.clients["m-prod-2"].create_record(RECORD)
    for name in NODES:
        assert prod.site.driver.admit_nodes(prod.site.cluster)
        prod.make_anew(name)
        assert eventually(lambda: all(prod.sees(it, *MASTERS) for it in NODES))
    assert prod.clients["m-prod-3"].read_record()

    prod.configure(consul_closing=False)
    prod.make_server()
    assert eventually(lambda: all(prod.sees(name, *MASTERS) for name in NODES))
    assert prod.clients["m-prod-2"].create_record(RECORD)
    with pytest.raises(ValueError, match="403"):
        prod.agents[SERVER].ask("GET", "/v1/kv/kube-provision/prod/record", token="")
    assert prod.is_told() == ""


def test_status_names_what_is_left_to_do(begun: Prod) -> None:
    assert eventually(lambda: "kube-provision replace " + " ".join(NODES) in begun.is_told())
    for name in NODES:
        begun.make_anew(name)
    assert eventually(lambda: "take consul_closing out" in begun.is_told())
    assert f"kube-provision destroy --name prod --node {SERVER}," in begun.is_told()
    begun.configure(consul_closing=False)
    assert f"kube-provision destroy --name prod --node {SERVER}," in begun.is_told()
    begun.make_server()
    assert begun.is_told() == ""


def test_status_believes_nothing_that_anybody_may_have_written(prod: Prod) -> None:
    """A machine that is off shows nothing to a server that was made meanwhile, whatever others say of it."""
    prod.agents["w-prod-1"].kill()
    prod.configure(consul_seed=SecretStr(new_seed()), consul_closing=True)
    prod.make_server()
    for name in MASTERS:
        prod.make_anew(name)
    left = "takes whoever reaches it: w-prod-1 have no token yet"
    assert eventually(lambda: left in prod.is_told())

    server = prod.agents[SERVER]
    forged = server.ask("GET", "/v1/catalog/node/m-prod-1", token="")["Node"]["Meta"]
    assert forged[layout.CLOSED_META]
    for name in ("w-prod-1", "$(touch gotcha)"):
        server.ask("PUT", "/v1/catalog/register", {"Node": name, "Address": "127.0.0.1", "NodeMeta": forged}, token="")
    assert left in prod.is_told()
    assert "gotcha" not in prod.is_told()

    prod.make_anew("w-prod-1")
    assert eventually(lambda: "Every machine has a token" in prod.is_told())
    for name in (SERVER, *NODES):
        server.ask("PUT", "/v1/catalog/deregister", {"Node": name}, token="")
    assert "have no token yet" in prod.is_told()


def test_a_consul_that_is_closed_is_not_opened_again_by_a_run(begun: Prod, caplog: pytest.LogCaptureFixture) -> None:
    begun.is_told()
    assert begun.objections(SERVER, *NODES) == ()
    assert f"{SERVER} is made as a server that takes whoever reaches it" in caplog.text
    begun.configure(consul_closing=False)
    begun.make_server()
    begun.configure(consul_closing=True)
    assert "Consul is closed. Take the key out" in begun.is_told()
    assert begun.objections(SERVER) == begun.objections("w-prod-1") == (CLOSED,)
    begun.configure(consul_closing=False)
    begun.is_told()
    assert begun.objections(SERVER) == ()


def test_machines_with_and_without_a_token_have_one_lock_and_one_record(begun: Prod) -> None:
    known = begun.make_anew("m-prod-1")
    other = begun.clients["m-prod-2"]
    assert known.create_record(RECORD)
    assert not other.create_record({**RECORD, "node": "m-prod-2"})
    for first, second in ((known, other), (other, known)):
        with first.lock(30), pytest.raises(UnavailableError, match=f"was not free.*{first.node}"), second.lock(1):
            pass
    lock = begun.site.driver.lock_cluster(begun.site.cluster)
    assert lock
    with lock, pytest.raises(BusyError), begun.site.driver.lock_cluster(begun.site.cluster):  # type: ignore[union-attr]
        pass


def test_nobody_takes_a_token_while_it_is_being_closed(begun: Prod) -> None:
    server = begun.agents[SERVER]
    for method, path, body in (
        ("GET", "/v1/acl/tokens", None),
        ("PUT", "/v1/acl/token", {"Policies": [{"Name": "global-management"}]}),
        ("PUT", "/v1/acl/bootstrap", None),
    ):
        with pytest.raises(ValueError, match="403"):
            server.ask(method, path, body, token="")


def test_a_machine_that_was_forgotten_comes_back_by_going_back(begun: Prod) -> None:
    """Its master goes on, and is off the others' lists until then."""
    for name in NODES:
        if name != "m-prod-3":
            begun.make_anew(name)
    begun.configure(consul_closing=False)
    begun.make_server()
    assert eventually(lambda: begun.sees("w-prod-1", *MASTERS[:2]))
    begun.configure(consul_closing=True)
    begun.make_server()
    assert eventually(lambda: begun.sees("w-prod-1", *MASTERS))
