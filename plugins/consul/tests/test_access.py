"""The policies that are printed, proven by a Consul that denies whatever they do not allow."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from servers.consul import consul_binary
from servers.consul_agents import ConsulAgent, consul_server, eventually, unused_network
from servers.nodes import health_page

from kube_provision_consul import access, contract, layout, node
from kube_provision_consul.access import Right
from kube_provision_consul.client import Client
from kube_provision_consul.config import ConsulConfig
from kube_provision_consul.driver import Consul
from kube_provision_consul.endpoint import ConsulEndpoint
from kube_provision_consul.node.agent import wait_until_joined
from kube_provision_consul.node.api import Agent, UnavailableError
from kube_provision_consul.seed import Seed
from kube_provision_core import Boot, Cluster, Discovery, DiscoveryError, Endpoint, Node, Role
from kube_provision_core.testing import boot_of, client_of, cluster_of, node_of

pytestmark = pytest.mark.integration

ROOT = "1a2b3c4d-0000-4000-8000-000000000000"
NOBODY = "2a2b3c4d-0000-4000-8000-000000000000"
CLUSTER_ID = cluster_of().id
RECORD = {"state": "initialising", "node": "m-prod-1", "instance_id": "i", "cluster_id": CLUSTER_ID}
SOON = 20.0


def machine(role: Role, number: int) -> Node:
    return node_of(f"{'m' if role is Role.MASTER else 'w'}-prod-{number}", role, cluster="prod", cluster_id=CLUSTER_ID)


NODES = (machine(Role.MASTER, 1), machine(Role.WORKER, 1))
NAMES = [it.name for it in NODES]
RIGHTS = {"operator": access.of_operator("prod", NAMES)}
RIGHTS |= {it.role.value: access.of_node(it, NAMES) for it in NODES}


@dataclass(frozen=True)
class Closed:
    """A Consul that allows nothing but what its policies say. Who asks its agent without a token is nobody."""

    server: ConsulAgent
    network: str
    folder: Path
    numbers: Iterator[int]

    def ask(self, method: str, path: str, body: object = None, address: str = "") -> Any:
        """As its administrator."""
        connection = HTTPConnection(address or self.server.address, 8500, timeout=60)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), {"X-Consul-Token": ROOT})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        assert answer.status in (200, 404), text
        return json.loads(text) if text and answer.status == 200 else None

    def token(self, *policies: str) -> str:
        return str(self.ask("PUT", "/v1/acl/token", {"Policies": [{"Name": name} for name in policies]})["SecretID"])

    def token_for(self, rights: Sequence[Right]) -> str:
        name = f"policy-{next(self.numbers)}"
        self.ask("PUT", "/v1/acl/policy", {"Name": name, "Rules": "\n".join(right.rule for right in rights)})
        return self.token(name)

    def driver(self, **tokens: str) -> Consul:
        """With a token for each of `operator`, `master`, `worker`."""
        default = tokens.get("operator", NOBODY)
        keys = {role: {"consul_ip": self.server.address, "consul_token": tokens.get(role.value, default)} for role in Role}
        return Consul({role: ConsulConfig.model_validate(values) for role, values in keys.items()})

    @property
    def cluster(self) -> Cluster:
        return cluster_of(*(it.name for it in NODES), name="prod", address=self.server.address)

    def machines(self, driver: Consul, nodes: Sequence[Node]) -> list[tuple[Node, Boot]]:
        """With what the driver adds to their boot."""
        return [(it, replace(boot_of(it), files=driver.render_boot(it, self.cluster).files)) for it in nodes]

    @contextmanager
    def joined(self, it: Node, token: str, **more: object) -> Iterator[Agent]:
        """The agent of a machine, configured as its boot data say, and with `more`."""
        number = next(self.numbers)
        address = f"{self.network}.{number}"
        fragment = self.driver(**{it.role.value: token}).render_boot(it, self.cluster)
        files = {file.path: json.loads(file.content) for file in fragment.files if file.path.endswith(".json")}
        own = files[layout.AGENT_FILE] | files[layout.SECRETS_FILE]
        with Member(self.folder / str(number), address, own | more):
            yield Agent(f"{address}:8500", files[layout.CLIENT_DATA]["rights"])


class Member(ConsulAgent):
    def has_leader(self) -> bool:
        """What needs no right."""
        with suppress(OSError, ValueError):
            return bool(self.ask("GET", "/v1/status/leader"))
        return False


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Closed]:
    """Its own name is one that a master could have: the contract suite takes it for every node's agent."""
    network, folder = unused_network(), tmp_path_factory.mktemp("closed")
    rules = {"enabled": True, "default_policy": "deny", "tokens": {"master": ROOT, "agent": ROOT, "default": ROOT}}
    meta = {"kube-provision-cluster-id": CLUSTER_ID}
    with consul_server(folder / "server", f"{network}.1", "m-contract-0", acl=rules, node_meta=meta) as server:
        it = Closed(server, network, folder, count(2))
        assert eventually(lambda: _knows_tokens(it))
        it.ask("PUT", "/v1/agent/token/default", {"Token": ""})
        yield it


def _knows_tokens(closed: Closed) -> bool:
    with suppress(AssertionError):
        return bool(closed.ask("GET", "/v1/acl/token/self"))
    return False


def apply(closed: Closed, script: str) -> None:
    """As an administrator does."""
    path = f"{consul_binary().parent}:{os.environ['PATH']}"
    access_to_it = {"PATH": path, "CONSUL_HTTP_ADDR": closed.server.http, "CONSUL_HTTP_TOKEN": ROOT}
    done = subprocess.run(["sh"], input=script, env=access_to_it, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def tokens(closed: Closed) -> dict[str, str]:
    """What the text that is printed gives to operator, masters and workers."""
    script = closed.driver().render_grants(NODES)
    assert script is not None
    apply(closed, script)
    return {who: closed.token(f"kube-provision-prod-{who}{'s' * (who != 'operator')}") for who in RIGHTS}


# --- with exactly these rights -----------------------------------------------------------------------------------------


class TestWithExactlyTheseRights(contract.TestConsul):
    """The whole contract of discovery, with an operator's token for two clusters and the token of one's masters."""

    @pytest.fixture
    def name(self, closed: Closed) -> str:
        return f"contract-{next(closed.numbers)}"

    @pytest.fixture
    def live_cluster(self, closed: Closed, name: str) -> Cluster:
        masters = [node_of(it, Role.MASTER, cluster=name) for it in ("m-contract-1", "w-contract-1")]
        rights = {right for master in masters for right in access.of_node(master, [master.name])}
        closed.ask("PUT", "/v1/agent/token/default", {"Token": closed.token_for(sorted(rights))})
        return cluster_of("m-contract-1", name=name, address=closed.server.address)

    @pytest.fixture
    def secrets(self, closed: Closed, name: str) -> Sequence[str]:
        rights = [right for it in (name, f"{name}-2") for right in access.of_operator(it, ["m-contract-1"])]
        return (closed.token_for(sorted(set(rights))),)

    @pytest.fixture
    def make_driver(self, closed: Closed, secrets: Sequence[str]) -> Callable[[], Consul]:
        config = ConsulConfig.model_validate({"consul_ip": closed.server.address, "consul_token": secrets[0]})
        return lambda: Consul(dict.fromkeys(Role, config))

    @pytest.fixture
    def make_client(self, make_driver: Callable[[], Consul], tmp_path: Path) -> Callable[[Mapping[str, Any]], Any]:
        def make(it: Mapping[str, Any]) -> Any:
            client = client_of(make_driver(), it, tmp_path)
            return replace(client, agent=replace(client.agent, address=f"{it['discovery_address']}:8500"))

        return make

    @pytest.fixture
    def write_record(self, closed: Closed) -> Callable[[Cluster, str], None]:
        def write(cluster: Cluster, text: str) -> None:
            path = f"/v1/kv/{layout.record_key(cluster.name)}"
            assert closed.server.ask("PUT", f"{path}?token={ROOT}", text) is True

        return write


def test_agents_and_programs_of_all_machines_do_with_the_policies_that_are_printed(
    closed: Closed, tokens: Mapping[str, str], tmp_path: Path
) -> None:
    driver, (master, worker) = closed.driver(**tokens), NODES
    assert list(driver.preflight(closed.machines(driver, NODES))) == []
    with (
        driver.lock_cluster(closed.cluster),  # type: ignore[union-attr]
        closed.joined(master, tokens["master"]) as at_master,
        closed.joined(worker, tokens["worker"]) as at_worker,
        health_page(tmp_path) as page,
    ):
        page.flag.touch()
        for agent in (at_master, at_worker):
            wait_until_joined(agent, (), SOON)
        assert use_as_master(at_master, master, page.port) == "named"
        assert eventually(
            lambda: client(at_worker, worker).masters("", 1.0)[1] == [client(at_master, master).address()], SOON
        )
        assert eventually(lambda: driver.discover_masters(closed.cluster).masters, SOON)
        client(at_master, master).withdraw()
        assert driver.discover_masters(closed.cluster).initialising == "m-prod-1"
        assert driver.forget_initialising(closed.cluster, "m-prod-1") is True
        assert driver.forget_cluster(closed.cluster) is True
        assert driver.discover_masters(closed.cluster) == Discovery(initialised=False)


def test_applied_again_the_policies_are_brought_up_to_date(closed: Closed, tokens: Mapping[str, str]) -> None:
    script = closed.driver().render_grants(NODES)
    assert script is not None
    rule = 'session_prefix "m-prod-" { policy = "write" }'
    apply(closed, script.replace(rule, ""))
    others = [machine(role, next(closed.numbers)) for role in (Role.MASTER, Role.WORKER)]  # whose names nobody has had
    driver = closed.driver(**tokens)
    machines = closed.machines(driver, others)
    (line,) = driver.preflight(machines)
    assert line.startswith(f"Consul at {closed.server.http}: consul_token of masters lacks {rule}:")
    apply(closed, script)
    assert eventually(lambda: not driver.preflight(machines))


# --- without one of them ------------------------------------------------------------------------------------------------


def without(who: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("right", RIGHTS[who], ids=lambda right: f"{right.kind}-{right.name}-{right.access}")


def names_just(right: Right, text: str) -> bool:
    return re.findall(r'[a-z_]+ (?:"\S*" \{ policy = "\w+" \}|= "\w+")', text) == [right.rule]


@without("operator")
def test_what_the_operators_token_lacks_is_said_before_a_run_does_anything(
    closed: Closed, right: Right, caplog: pytest.LogCaptureFixture
) -> None:
    """What only machines that go need keeps nobody from making some."""
    driver = closed.driver(operator=closed.token_for([it for it in RIGHTS["operator"] if it != right]))
    lock = driver.lock_cluster(closed.cluster)
    if right.kind == "operator":
        with lock, caplog.at_level("WARNING"):  # type: ignore[union-attr]
            pass
        (said,) = (record.getMessage() for record in caplog.records)
    else:
        with pytest.raises(DiscoveryError, match=r"denies permission: consul_token lacks") as caught:
            lock.__enter__()  # type: ignore[union-attr]
        assert not caught.value.retryable
        said = str(caught.value)
    assert names_just(right, said), said


def test_an_operator_who_may_only_look_is_warned_that_machines_that_go_stay(
    closed: Closed, caplog: pytest.LogCaptureFixture
) -> None:
    rights = access.unless_leaving(RIGHTS["operator"])
    with closed.driver(operator=closed.token_for(rights)).lock_cluster(closed.cluster):  # type: ignore[union-attr]
        pass
    (said,) = (record.getMessage() for record in caplog.records)
    assert said.endswith("machines that go stay in Consul until then")
    assert said.count("policy =") == len({it for it in RIGHTS["operator"] if it.kind == "node_prefix"})


def test_who_may_only_look_sees_that_nobody_is_healthy(closed: Closed) -> None:
    rights = [access.Right("key_prefix", layout.prefix("prod"), "read", ""), *access.to_see(RIGHTS["operator"])]
    found = closed.driver(operator=closed.token_for(rights)).discover_masters(closed.cluster)
    assert found.masters == ()


def test_a_proxy_that_denies_the_question_says_nothing_of_the_token(closed: Closed, tokens: Mapping[str, str]) -> None:
    master = machine(Role.MASTER, next(closed.numbers))
    with closed.joined(master, tokens["master"], http_config={"block_endpoints": ["/v1/internal"]}) as agent:
        to = ConsulEndpoint((Endpoint(address_of(agent), 8500),), "dc1", tokens["operator"])
        with closing(Client(to)) as asking:
            assert asking.missing(RIGHTS["operator"]) == []
        agent.check_rights()


@without("operator")
def test_the_operator_needs_every_right(closed: Closed, right: Right, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it is told is different without any of them, also where nobody asked first."""
    monkeypatch.setattr(Client, "check_rights", lambda _: None)
    full = closed.driver(operator=closed.token_for(RIGHTS["operator"]))
    less = closed.driver(operator=closed.token_for([it for it in RIGHTS["operator"] if it != right]))
    assert operate(closed, full) != operate(closed, less)


def operate(closed: Closed, driver: Consul) -> str:
    """All that a run asks of discovery, on a cluster with masters that others find, too, and on names that are taken."""
    closed.server.ask("PUT", f"/v1/kv/{layout.record_key('prod')}?token={ROOT}", json.dumps(RECORD))
    for name in ("m-prod-1", "w-prod-1"):
        service = {"Service": "kube-provision-prod", "Address": "10.0.0.1"}
        check = {"CheckID": "serfHealth", "Name": "Serf Health Status", "Status": "passing"}
        entry = {"Node": name, "Address": "10.0.0.1", "NodeMeta": {"kube-provision-cluster": "prod"}}
        closed.ask("PUT", "/v1/catalog/register", {**entry, "Service": service, "Check": check})
    try:
        with driver.lock_cluster(closed.cluster):  # type: ignore[union-attr]
            found = driver.discover_masters(closed.cluster)
            taken = list(driver._taken_names(NODES))
            told = f"{found.initialising} {len(found.masters)} {len(taken)}"
            return f"{told} {driver.forget_initialising(closed.cluster, 'm-prod-1')} {driver.forget_cluster(closed.cluster)}"
    except DiscoveryError as error:
        return str(error)


@without("master")
def test_a_master_needs_every_right_and_says_which_is_missing(
    closed: Closed, right: Right, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    master = machine(Role.MASTER, next(closed.numbers))
    token = closed.token_for([it for it in RIGHTS["master"] if it != right])
    with closed.joined(master, token) as agent, health_page(tmp_path) as page:
        page.flag.touch()
        assert names_just(right, complaint(agent))
        monkeypatch.setattr(Agent, "check_rights", lambda _: None)
        assert use_as_master(agent, master, page.port, 6.0) != "named"


@without("worker")
def test_a_worker_needs_every_right_and_says_which_is_missing(
    closed: Closed, right: Right, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = machine(Role.WORKER, next(closed.numbers))
    node_entry = {"Node": "m-prod-9", "Address": "10.0.0.9", "NodeMeta": {"kube-provision-cluster-id": CLUSTER_ID}}
    closed.ask("PUT", "/v1/catalog/register", {**node_entry, "Service": {"Service": "kube-provision-prod"}})
    token = closed.token_for([it for it in RIGHTS["worker"] if it != right])
    with closed.joined(worker, token) as agent:
        assert names_just(right, complaint(agent))
        monkeypatch.setattr(Agent, "check_rights", lambda _: None)
        sees = client(agent, worker).masters("", 1.0)[1] == ["10.0.0.9"]
        known = eventually(lambda: _says_whose_it_is(closed, worker.name), 5.0)
        assert not (sees and known)


def _says_whose_it_is(closed: Closed, name: str) -> bool:
    found = closed.ask("GET", f"/v1/catalog/node/{name}")
    return bool(found) and (found["Node"]["Meta"] or {}).get("kube-provision-cluster-id") == CLUSTER_ID


def complaint(agent: Agent) -> str:
    """By which the machine's boot waits."""
    with pytest.raises(UnavailableError, match="this machine's consul_token lacks") as caught:
        wait_until_joined(agent, (), 0.0)
    return str(caught.value)


def test_a_right_that_a_machine_loses_later_is_named_where_it_is_refused_or_sees_nothing(closed: Closed) -> None:
    worker = machine(Role.WORKER, next(closed.numbers))
    closed.ask("PUT", "/v1/acl/policy", {"Name": "lost", "Rules": "\n".join(it.rule for it in RIGHTS["worker"])})
    with closed.joined(worker, closed.token("lost")) as agent:
        wait_until_joined(agent, (), SOON)
        lost = next(right for right in RIGHTS["worker"] if right.kind == "service")
        identity = next(it["ID"] for it in closed.ask("GET", "/v1/acl/policies") if it["Name"] == "lost")
        rules = "\n".join(it.rule for it in RIGHTS["worker"] if it != lost)
        closed.ask("PUT", f"/v1/acl/policy/{identity}", {"Name": "lost", "Rules": rules})
        assert eventually(lambda: lost.rule in told_by_masters(agent, worker), 60.0)


def told_by_masters(agent: Agent, it: Node) -> str:
    try:
        return str(client(agent, it).masters("", 0.1))
    except UnavailableError as problem:
        return str(problem)


@pytest.mark.parametrize("who", ["operator", "master"])
def test_a_token_that_consul_does_not_know_is_told_as_that(closed: Closed, tokens: Mapping[str, str], who: str) -> None:
    driver = closed.driver(**{**tokens, who: NOBODY})
    with pytest.raises(DiscoveryError, match="denies permission: it knows no such consul_token") as caught:
        driver.preflight(closed.machines(driver, NODES[:1]))
    assert not caught.value.retryable


def test_where_consul_does_not_tell_of_rights_a_refusal_is_told(closed: Closed, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("client", "node.api"):
        monkeypatch.setattr(f"kube_provision_consul.{module}.AUTHORIZE", "/v1/none")
    with pytest.raises(DiscoveryError, match=r"needs what `kube-provision plugins grants` prints \(Permission denied\)"):
        closed.driver(operator=closed.token_for([])).discover_masters(closed.cluster)
    master = machine(Role.MASTER, next(closed.numbers))
    with (
        closed.joined(master, closed.token_for([])) as agent,
        pytest.raises(UnavailableError, match=r"answers 403: .*Permission denied"),
    ):
        client(agent, master).read_record()


# --- what machines do ---------------------------------------------------------------------------------------------------


def client(agent: Agent, it: Node, port: int = 6443) -> node.Client:
    return node.Client(agent, it.name, "prod", CLUSTER_ID, port, [address_of(agent)], "")


def address_of(agent: Agent) -> str:
    return agent.address.partition(":")[0]


def use_as_master(agent: Agent, it: Node, port: int, wait: float = SOON) -> str:
    """All that a master asks of discovery. `named`: and in the end, in so many seconds, it is found."""
    mine = client(agent, it, port)
    try:
        with mine.lock(5.0):
            record = mine.read_record()
            written = mine.replace_record(RECORD, record.version) if record else mine.create_record(RECORD)
            assert written
        mine.register()
        found = eventually(lambda: mine.address() in mine.masters("", 0.1)[1], wait)
    except UnavailableError as problem:
        return str(problem)
    return "named" if found else "never named"


def test_a_server_that_is_provisioned_is_granted_nothing_and_its_machines_are_told_of_no_rights() -> None:
    driver = Consul(dict.fromkeys(Role, ConsulConfig()))
    assert driver.render_grants(NODES) is None
    fragment = driver.render_boot(NODES[0], cluster_of(name="prod"))
    (data,) = (file.content for file in fragment.files if file.path == layout.CLIENT_DATA)
    assert "rights" not in json.loads(data)


def test_workers_of_a_pool_have_the_rights_of_workers() -> None:
    gpu = Role.of_pool("gpu")
    cluster = replace(cluster_of(name="prod"), nodes={"m-prod-1": Role.MASTER, "w-prod-1": Role.WORKER, "gpu-prod-1": gpu})
    given = access.grants(Seed("c2VlZA=="), cluster)
    assert given["machines"] == {"master": ["m-prod-1"], "worker": ["gpu-prod-1", "w-prod-1"]}
    own = node_of("gpu-prod-1", gpu, cluster="prod", cluster_id=CLUSTER_ID)
    script = access.script([*NODES, own])
    assert "policy kube-provision-prod-worker-gpus <<" in script
    assert {(it.kind, it.access) for it in access.of_node(own, NAMES)} == {(it.kind, it.access) for it in RIGHTS["worker"]}
