"""A Consul that is provisioned is closed: what machines may do there they do, and whatever others try is refused."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from servers.closed_consul import ClosedSite
from servers.consul_agents import CLUSTER_ID, ConsulAgent, eventually, unused_network
from servers.nodes import health_page

from kube_provision_consul import layout
from kube_provision_consul.client import Client
from kube_provision_consul.endpoint import ConsulEndpoint, Tls
from kube_provision_consul.node import Client as NodeClient
from kube_provision_consul.node.agent import wait_until_joined
from kube_provision_consul.node.api import Agent, UnavailableError
from kube_provision_consul.node.closed import pem, tls_files
from kube_provision_consul.seed import Seed, new_seed
from kube_provision_core import DiscoveryError, Endpoint, Role

pytestmark = pytest.mark.integration

RECORD = {"state": "initialising", "node": "m-prod-1", "instance_id": "i", "cluster_id": CLUSTER_ID}
RECORD_PATH = "/v1/kv/kube-provision/prod/record"
NODES = {"m-prod-1": Role.MASTER, "m-prod-2": Role.MASTER, "w-prod-1": Role.WORKER}
DENIED = "403|ACL not found|denied by ACLs|must run against a server node"


@dataclass(frozen=True)
class Prod:
    """A cluster whose Consul runs, with a master and a worker."""

    site: ClosedSite
    server: ConsulAgent
    agents: dict[str, ConsulAgent]

    def agent(self, name: str) -> Agent:
        """What the programs of this node ask."""
        role = NODES[name]
        documents = self.site.rendered(name, role)
        own = {**documents[layout.CLIENT_DATA], "agent": self.agents[name].http}
        return Agent(own["agent"], own.get("rights", ()), documents[layout.IDENTITY_FILE])

    def client(self, name: str, api_port: int = 6443) -> NodeClient:
        return NodeClient(self.agent(name), name, "prod", CLUSTER_ID, api_port, [self.server.address], "")


@pytest.fixture(scope="module")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prod]:
    site = ClosedSite.of(tmp_path_factory.mktemp("closed"), unused_network(), "prod", NODES)
    with ExitStack() as stack:
        server = site.server()
        stack.callback(server.kill)
        agents = {name: site.machine(name, NODES[name], n) for n, name in ((2, "m-prod-1"), (3, "w-prod-1"))}
        for agent in agents.values():
            stack.callback(agent.kill)
            agent.start()
        yield Prod(site, server, agents)


@pytest.fixture
def record(prod: Prod) -> Iterator[None]:
    prod.server.put("kube-provision/prod/record", RECORD)
    yield
    prod.server.ask("DELETE", RECORD_PATH)


# --- what machines and the operator may ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m-prod-1", "w-prod-1"])
def test_a_machine_knows_when_it_is_known(prod: Prod, name: str) -> None:
    wait_until_joined(prod.agent(name), [], 60)
    assert eventually(lambda: name in {it["Node"] for it in prod.server.ask("GET", "/v1/catalog/nodes")})


def test_a_machine_that_is_not_known_waits(prod: Prod) -> None:
    stranger = replace(prod.agent("w-prod-1"), identity={"token": prod.site.seed.token("w-prod-9")})
    with pytest.raises(UnavailableError, match="ACL not found"):
        wait_until_joined(stranger, [], 0)


def test_a_master_does_its_work(prod: Prod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_consul.node.own_address", lambda *_: prod.agents["m-prod-1"].address)
    with health_page(tmp_path) as endpoint:
        endpoint.flag.touch()
        master, worker = prod.client("m-prod-1", endpoint.port), prod.client("w-prod-1")
        with master.lock(30):
            assert master.create_record(RECORD)
        found = master.read_record()
        assert found
        assert found.content == RECORD
        master.register()
        assert eventually(lambda: worker.masters("", 1)[1] == [master.address()])
        other = replace(worker, agent=replace(worker.agent, identity={"token": prod.site.seed.token("m-prod-2")}))
        assert other.masters("", 1)[1] == [master.address()]
        assert [it.name for it in prod.site.driver.discover_masters(prod.site.cluster).masters] == ["m-prod-1"]
        master.withdraw()
        assert eventually(lambda: worker.masters("", 1)[1] == [])
    prod.server.ask("DELETE", RECORD_PATH)


@pytest.mark.usefixtures("record")
def test_the_operator_does_its_work_over_tls(prod: Prod) -> None:
    driver, cluster = prod.site.driver, prod.site.cluster
    lock = driver.lock_cluster(cluster)
    assert lock
    with lock:
        assert driver.discover_masters(cluster).initialising == "m-prod-1"
        assert driver.forget_initialising(cluster, "m-prod-1") is True
    assert prod.server.get("kube-provision/prod/record") is None


def test_machines_that_come_are_admitted_and_those_that_go_are_known_no_more(prod: Prod) -> None:
    driver, cluster = prod.site.driver, prod.site.cluster
    token = prod.site.seed.token("w-prod-2")
    for _ in range(2):
        assert driver.admit_nodes(replace(cluster, nodes={**NODES, "w-prod-2": Role.WORKER})) is True
        assert prod.server.ask("GET", "/v1/acl/token/self", token=token)["Description"] == "kube-provision-w-prod-2"
    for _ in range(2):
        assert driver.admit_nodes(cluster) is True
    with pytest.raises(ValueError, match=DENIED):
        prod.server.ask("GET", "/v1/acl/token/self", token=token)
    assert prod.server.ask("GET", "/v1/acl/token/self", token=prod.site.seed.token("w-prod-1"))


def test_what_is_known_already_is_not_given_again(prod: Prod) -> None:
    prod.site.driver.admit_nodes(prod.site.cluster)
    before = prod.server.ask("GET", "/v1/acl/tokens"), prod.server.ask("GET", "/v1/acl/policies")
    prod.site.driver.admit_nodes(prod.site.cluster)
    assert (prod.server.ask("GET", "/v1/acl/tokens"), prod.server.ask("GET", "/v1/acl/policies")) == before


# --- attacks ------------------------------------------------------------------------------------------------------


def tokens(prod: Prod) -> dict[str, str]:
    """Of those who may not do what is tried: nobody, a worker, another cluster's machine, and one that nobody admitted."""
    return {
        "nobody": "",
        "worker": prod.site.seed.token("w-prod-1"),
        "other cluster": Seed(new_seed()).token("m-prod-1"),
        "not admitted": prod.site.seed.token("m-prod-7"),
    }


SERVICE = {"Name": "kube-provision-prod", "ID": "kube-provision-prod", "Address": "10.6.6.6", "Port": 6443}
FALSE_MASTER = {
    "Node": "m-prod-1",
    "Address": "10.6.6.6",
    "Service": {"Service": "kube-provision-prod", "Address": "10.6.6.6", "Port": 6443},
}
ATTACKS: dict[str, tuple[str, str, Any]] = {
    "write the record": ("PUT", RECORD_PATH, {"state": "initialised"}),
    "delete the record": ("DELETE", RECORD_PATH, None),
    "write another cluster's record": ("PUT", "/v1/kv/kube-provision/test/record", {"state": "initialised"}),
    "hold a session of a master": ("PUT", "/v1/session/create", {"Node": "m-prod-1"}),
    "hold a session of the server": ("PUT", "/v1/session/create", {"Node": "consul-prod"}),
    "take the masters' lock": ("PUT", "/v1/kv/kube-provision/prod/lock?acquire=8b1c0e8e-0000-4000-8000-000000000000", None),
    "take the runs' lock": ("PUT", "/v1/kv/kube-provision-runs/prod", "mine"),
    "register a master with an agent": ("PUT", "/v1/agent/service/register", SERVICE),
    "register a master in the catalog": ("PUT", "/v1/catalog/register", FALSE_MASTER),
    "remove a master from the catalog": ("PUT", "/v1/catalog/deregister", {"Node": "m-prod-1"}),
    "make a master leave": ("PUT", "/v1/agent/force-leave/m-prod-1", None),
    "make an agent leave": ("PUT", "/v1/agent/leave", None),
    "give itself rights": ("PUT", "/v1/acl/token", {"Policies": [{"Name": "global-management"}]}),
    "read others' tokens": ("GET", "/v1/acl/tokens", None),
    "become the first administrator": ("PUT", "/v1/acl/bootstrap", None),
    "read the gossip key": ("GET", "/v1/operator/keyring", None),
    "query by a name of its own": ("POST", "/v1/query", {"Name": "kube", "Service": {"Service": "kube-provision-prod"}}),
    "fire an event": ("PUT", "/v1/event/fire/deploy", "x"),
}


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("who", ["nobody", "worker", "other cluster", "not admitted"])
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("at", ["server", "w-prod-1"])
def test_an_attack_is_refused(prod: Prod, who: str, attack: str, at: str) -> None:
    agent = prod.server if at == "server" else prod.agents[at]
    method, path, body = ATTACKS[attack]
    with pytest.raises(ValueError, match=DENIED):
        agent.ask(method, path, body, token=tokens(prod)[who])
    assert prod.server.get("kube-provision/prod/record") == RECORD


@pytest.mark.parametrize("who", ["nobody", "worker", "other cluster", "not admitted"])
def test_a_snapshot_is_for_the_operator_alone(prod: Prod, who: str) -> None:
    """Asked of the server: an agent's connection may break off before its refusal comes."""
    with pytest.raises(ValueError, match=DENIED):
        prod.server.ask("GET", "/v1/snapshot", token=tokens(prod)[who])


@pytest.mark.usefixtures("record")
@pytest.mark.parametrize("who", ["nobody", "worker", "other cluster", "not admitted"])
def test_the_record_is_for_masters_alone(prod: Prod, who: str) -> None:
    """Consul hides a key from who may not read it."""
    with pytest.raises(ValueError, match=DENIED):
        prod.server.ask("GET", RECORD_PATH, token=tokens(prod)[who])


def test_who_has_no_token_sees_no_machine(prod: Prod) -> None:
    assert prod.server.ask("GET", "/v1/catalog/nodes", token="") == []
    assert prod.server.ask("GET", "/v1/agent/members", token="") == []


def test_a_worker_may_not_pose_as_another_machine(prod: Prod) -> None:
    own = prod.site.seed.token("w-prod-1")
    with pytest.raises(ValueError, match=DENIED):
        prod.server.ask("PUT", "/v1/catalog/register", {"Node": "w-prod-2", "Address": "10.6.6.6"}, token=own)


def test_a_master_reads_no_other_clusters_keys(prod: Prod) -> None:
    prod.server.put("kube-provision/prod2/record", RECORD)
    with pytest.raises(ValueError, match=DENIED):
        prod.server.ask("GET", "/v1/kv/kube-provision/prod2/record", token=prod.site.seed.token("m-prod-1"))
    prod.server.ask("DELETE", "/v1/kv/kube-provision/prod2/record")


@pytest.mark.parametrize("keys", ["none", "another cluster's"])
def test_nobody_else_joins_the_gossip(prod: Prod, tmp_path: Path, keys: str) -> None:
    other = ClosedSite.of(tmp_path, prod.site.network, "prod", NODES)
    configuration = {"node_name": "m-prod-1", "retry_join": [prod.server.address]}
    if keys != "none":
        assert other.config.consul_encrypt
        configuration["encrypt"] = other.config.consul_encrypt.get_secret_value()
    members = {it["Name"] for it in prod.server.ask("GET", "/v1/agent/members")}
    agent = ConsulAgent(tmp_path / "stranger", f"{prod.site.network}.9", configuration)
    agent.launch()
    try:
        log = tmp_path / "stranger" / "consul.log"
        assert eventually(lambda: "failed to join" in log.read_text().lower() or "retry" in log.read_text().lower())
    finally:
        agent.kill()
    assert {it["Name"] for it in prod.server.ask("GET", "/v1/agent/members")} == members


def test_rpc_is_for_machines_of_the_cluster_alone(prod: Prod, tmp_path: Path) -> None:
    own, stranger = files(tmp_path / "own", prod.site.seed), files(tmp_path / "stranger", Seed(new_seed()))
    authority = (tmp_path / "own/authority").read_text()
    assert speaks_rpc(prod.server.address, authority, own) is True
    assert speaks_rpc(prod.server.address, authority, stranger) is False
    assert speaks_rpc(prod.server.address, authority, None) is False


def test_the_operator_gives_its_token_to_nobody_but_the_server(prod: Prod) -> None:
    tls = Tls(pem("CERTIFICATE", Seed(new_seed()).authority), server_name=layout.server_name("dc1"))
    endpoint = ConsulEndpoint((Endpoint(prod.server.address, 8501),), "dc1", prod.site.seed.management, tls)
    with closing(Client(endpoint)) as client, pytest.raises(DiscoveryError, match="certificate"):
        client.read("a")


def test_another_server_in_its_place_is_not_taken_for_it(prod: Prod, tmp_path: Path) -> None:
    """A worker's certificate is of the same authority, and names no server."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files(tmp_path / "own", prod.site.seed))
    with socket.create_server((f"{prod.site.network}.8", 0)) as listener:
        tls = Tls((tmp_path / "own/authority").read_text(), server_name=layout.server_name("dc1"))
        endpoint = ConsulEndpoint((Endpoint(*listener.getsockname()),), "dc1", "t", tls)
        assert breaks_off(listener, context, Client(endpoint))


def breaks_off(listener: socket.socket, context: ssl.SSLContext, client: Client) -> bool:
    """Whether the client breaks off."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            context.wrap_socket(connection, server_side=True).read()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    with closing(client), pytest.raises(DiscoveryError, match="certificate"):
        client.read("a")
    thread.join(20)
    return not thread.is_alive()


def files(folder: Path, seed: Seed) -> tuple[Path, Path]:
    """Certificate and key of a worker."""
    folder.mkdir()
    for name, content in tls_files(asdict(seed.certificate("w-prod-1", server=False))).items():
        (folder / name).write_text(content)
    return folder / "certificate", folder / "key"


def speaks_rpc(address: str, authority: str, own: tuple[Path, Path] | None) -> bool:
    """Whether the server lets in by TLS who shows this certificate."""
    context = ssl.create_default_context(cadata=authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2  # in 1.3 a refusal comes later than the handshake
    if own:
        context.load_cert_chain(*own)
    try:
        with socket.create_connection((address, 8300), timeout=20) as plain:
            plain.sendall(b"\x03")  # Consul's own byte for "TLS follows"
            with context.wrap_socket(plain, server_hostname=layout.server_name("dc1")):
                return True
    except (ssl.SSLError, ConnectionError):
        return False


def test_rpc_without_tls_is_refused(prod: Prod) -> None:
    with socket.create_connection((prod.server.address, 8300), timeout=20) as plain:
        plain.sendall(b"\x00" + b"\x00" * 8)
        assert plain.recv(1) == b""


def test_what_the_server_gets_and_the_others_get(prod: Prod) -> None:
    """The seed itself reaches no machine, and the tokens' seed the server alone."""
    texts = {name: json.dumps(prod.site.rendered(name, role)) for name, role in NODES.items()}
    server = json.dumps(prod.site.rendered("consul-prod", Role.DISCOVERY))
    assert prod.site.seed.of_tokens in server
    assert prod.site.seed.text not in server
    for name, text in texts.items():
        assert prod.site.seed.token(name) in text
        others = {prod.site.seed.token(it) for it in NODES if it != name}
        assert not [
            it for it in (*others, prod.site.seed.management, prod.site.seed.of_tokens, prod.site.seed.text) if it in text
        ]
