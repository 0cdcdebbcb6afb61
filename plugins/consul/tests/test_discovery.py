"""The node's side of the driver, against a real Consul."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from servers.consul_agents import ConsulAgent, eventually
from servers.nodes import health_page

from kube_provision_consul import node
from kube_provision_consul.node import Client, agent, api
from kube_provision_consul.node.api import Agent, UnavailableError
from kube_provision_core import Cluster

pytestmark = pytest.mark.integration

CONTENT = {"state": "initialising", "node": "m-1", "instance_id": "i", "cluster_id": "id"}


@pytest.fixture
def client(server: ConsulAgent, cluster: Cluster) -> Client:
    return Client(
        agent=Agent(server.http),
        node="m-1",
        cluster=cluster.name,
        cluster_id=cluster.id,
        api_port=6443,
        servers=[server.address],
        interface="",
    )


@pytest.fixture
def away(client: Client) -> Client:
    return replace(client, agent=Agent("127.254.254.253:1"))


def test_it_is_connected_by_the_files_of_the_node(tmp_path: Path) -> None:
    (tmp_path / "discovery.json").write_text(json.dumps({"servers": ["10.0.0.9"], "is_server": False, "interface": "ens33"}))
    made = node.connect({"name": "m-1", "cluster": "prod", "cluster_id": "id", "api_port": 6443}, tmp_path)
    assert made == Client(Agent("127.0.0.1:8500"), "m-1", "prod", "id", 6443, ["10.0.0.9"], "ens33")


def test_an_absent_record_is_none(client: Client) -> None:
    assert client.read_record() is None


def test_a_record_is_created_once(client: Client) -> None:
    assert client.create_record(CONTENT)
    assert not client.create_record({**CONTENT, "node": "m-2"})
    record = client.read_record()
    assert record is not None
    assert record.content == CONTENT


def test_a_record_is_replaced_only_while_it_is_the_one_that_was_read(client: Client) -> None:
    client.create_record(CONTENT)
    record = client.read_record()
    assert record is not None
    assert client.replace_record({**CONTENT, "state": "initialised"}, record.version)
    assert not client.replace_record({**CONTENT, "node": "m-2"}, record.version)


@pytest.mark.parametrize("value", ["nonsense", "[1]", "7", ""])
def test_an_unreadable_record_is_not_taken_for_absent(client: Client, server: ConsulAgent, value: str) -> None:
    server.put(f"kube-provision/{client.cluster}/record", value)
    with pytest.raises(UnavailableError, match="unreadable"):
        client.read_record()


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.read_record(),
        lambda client: client.create_record(CONTENT),
        lambda client: client.masters("", 1),
        lambda client: client.register(),
        lambda client: client.withdraw(),
        lambda client: client.lock(1).__enter__(),
    ],
)
def test_an_agent_that_does_not_answer_is_unavailable(away: Client, ask: Callable[[Client], object]) -> None:
    with pytest.raises(UnavailableError, match=r"127\.254\.254\.253:1"):
        ask(away)


def test_the_lock_is_held_by_one_and_its_holder_is_named(client: Client) -> None:
    other = replace(client, node="m-2")
    with client.lock(5), pytest.raises(UnavailableError, match=r"not free within 1 s: m-1"), other.lock(1):
        pass
    with other.lock(5):
        pass


def test_who_waits_for_the_lock_says_once_after_whom(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    with client.lock(5), pytest.raises(UnavailableError), replace(client, node="m-2").lock(1):
        pass
    assert [record.message for record in caplog.records] == ["now: waits for its turn after m-1"]


def test_who_waits_for_the_lock_gets_it_when_it_is_freed(client: Client) -> None:
    got = threading.Event()

    def wait() -> None:
        with replace(client, node="m-2").lock(60):
            got.set()

    waiting = threading.Thread(target=wait)
    with client.lock(5):
        waiting.start()
        time.sleep(0.3)
        assert not got.is_set()
    assert got.wait(60)
    waiting.join()


def test_a_lock_that_was_lost_is_let_go_without_harm(client: Client, server: ConsulAgent) -> None:
    with client.lock(5):
        server.end_sessions()


def test_a_lock_leaves_no_session(client: Client, server: ConsulAgent) -> None:
    with client.lock(5):
        pass
    with pytest.raises(ZeroDivisionError), client.lock(5):
        _ = 1 / 0
    assert server.ask("GET", "/v1/session/list") == []


def test_masters_are_those_whose_checks_pass_with_the_nodes_address_where_the_service_has_none(
    client: Client, server: ConsulAgent
) -> None:
    server.add_master(client.cluster, f"{client.cluster}-b", "10.0.0.2")
    server.add_master(client.cluster, f"{client.cluster}-a", "10.0.0.1", service_address="")
    assert client.masters("", 5)[1] == ["10.0.0.1", "10.0.0.2"]


def test_masters_of_another_cluster_of_the_same_name_are_none(client: Client, server: ConsulAgent) -> None:
    server.add_master(client.cluster, f"{client.cluster}-theirs", "10.0.0.9", cluster_id="id-of-another")
    assert client.masters("", 5)[1] == []
    server.add_master(client.cluster, f"{client.cluster}-ours", "10.0.0.1")
    assert client.masters("", 5)[1] == ["10.0.0.1"]


def test_a_question_with_an_index_is_answered_when_the_masters_change(client: Client, server: ConsulAgent) -> None:
    index, masters = client.masters("", 5)
    assert masters == []
    began = time.monotonic()
    adding = threading.Timer(0.3, server.add_master, (client.cluster, f"{client.cluster}-a", "10.0.0.1"))
    adding.start()
    assert client.masters(index, 240)[1] == ["10.0.0.1"]
    assert 0.2 < time.monotonic() - began < 120
    adding.join()


def test_a_question_with_an_index_is_answered_in_time_when_nothing_changes(client: Client) -> None:
    index, _ = client.masters("", 5)
    began = time.monotonic()
    assert client.masters(index, 1)[1] == []
    assert 0.9 < time.monotonic() - began < 60


@pytest.mark.parametrize(("before", "after", "following"), [("", "7", "7"), ("7", "9", "9"), ("9", "7", ""), ("7", "0", "")])
def test_an_index_that_goes_backwards_begins_again(before: str, after: str, following: str) -> None:
    assert node._next_index(before, after) == following


def test_a_registered_master_is_found_while_its_api_server_is_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(node, "_CHECK_INTERVAL", "100ms")
    with health_page(tmp_path) as api:
        master = replace(client, api_port=api.port)
        master.register()
        assert not eventually(lambda: master.masters("", 1)[1], timeout=0.5)
        api.flag.touch()
        assert eventually(lambda: master.masters("", 1)[1] == [client.address()])
        api.flag.unlink()
        assert eventually(lambda: master.masters("", 1)[1] == [])


def test_a_master_that_has_withdrawn_is_found_again_once_it_registers(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(node, "_CHECK_INTERVAL", "100ms")
    with health_page(tmp_path) as api:
        api.flag.touch()
        master = replace(client, api_port=api.port)
        other = replace(client, cluster=f"{client.cluster}-2", api_port=api.port)
        master.withdraw()
        for _ in range(2):
            master.register()
            other.register()
            assert eventually(lambda: master.masters("", 1)[1] == [client.address()])
            master.withdraw()
            master.withdraw()
            assert eventually(lambda: master.masters("", 1)[1] == [])
        assert eventually(lambda: other.masters("", 1)[1] == [client.address()])


def test_registering_again_leaves_the_check_as_it_is(client: Client, server: ConsulAgent) -> None:
    client.register()
    check = f"service:kube-provision-{client.cluster}"
    assert eventually(lambda: server.ask("GET", "/v1/agent/checks")[check]["Output"])
    client.register()
    assert server.ask("GET", "/v1/agent/checks")[check]["Output"]


def test_a_master_with_a_new_address_is_registered_anew(
    client: Client, server: ConsulAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.register()
    monkeypatch.setattr(node, "own_address", lambda *_: "10.0.0.7")
    client.register()
    assert server.ask("GET", f"/v1/agent/service/kube-provision-{client.cluster}")["Address"] == "10.0.0.7"


def test_the_address_is_that_of_the_route_to_the_server() -> None:
    assert node.own_address("", ["127.0.0.5"]) == "127.0.0.1"


def test_the_address_is_that_of_the_interface_where_one_is_named() -> None:
    assert node.own_address("lo", ["10.0.0.9"]) == "127.0.0.1"


def test_the_address_is_that_of_the_route_to_the_first_server_that_there_is_one_to() -> None:
    assert node.own_address("", ["consul.invalid", "127.0.0.5"]) == "127.0.0.1"


def test_where_no_server_has_a_route_all_are_named() -> None:
    with pytest.raises(UnavailableError, match=r"no IPv4 address on the route to a\.invalid, b\.invalid .*consul_bind"):
        node.own_address("", ["a.invalid", "b.invalid"])


def test_an_interface_that_is_missing_says_which_key_to_set() -> None:
    with pytest.raises(UnavailableError, match=r"no IPv4 address on interface ens99 .*consul_bind_interface"):
        node.own_address("ens99", ["10.0.0.9"])


def test_waiting_for_a_server_ends_when_one_leads(server: ConsulAgent) -> None:
    agent.wait_until_joined(Agent(server.http), ["10.0.0.9"], 60)


def test_waiting_for_a_server_says_what_is_missing() -> None:
    with pytest.raises(UnavailableError, match=r"Consul at 10\.0\.0\.9:8301 was not joined within 0 s"):
        agent.wait_until_joined(Agent("127.254.254.253:1"), ["10.0.0.9"], 0.1)


def test_silence_is_told_only_of_servers_of_which_none_answers(server: ConsulAgent) -> None:
    assert agent.silence_of(["127.254.254.253", server.address]) == ""
    both = agent.silence_of(["127.254.254.253", "127.254.254.252"])
    assert both == " (127.254.254.253:8301: Connection refused; 127.254.254.252:8301: Connection refused)"


def test_an_agent_that_says_nothing_is_given_up(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "_TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = replace(client, agent=Agent(f"127.0.0.1:{silent.getsockname()[1]}"))
        with pytest.raises(UnavailableError, match="timed out"):
            mute.read_record()


@pytest.mark.parametrize("name", ["secrets.json", "tls/key.pem"])
def test_secrets_become_readable_to_the_agents_user_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    owners = []
    monkeypatch.setattr("shutil.chown", lambda path, *who: owners.append((path.name, *who)))
    secrets = tmp_path / "consul" / name
    secrets.parent.mkdir(parents=True)
    secrets.write_text("{}")
    (tmp_path / "discovery.json").write_text(json.dumps({"servers": ["127.0.0.1"], "is_server": False, "interface": ""}))
    agent.configure(tmp_path, tmp_path / "run/machine.json")
    assert (owners, secrets.stat().st_mode & 0o777) == ([(secrets.name, "root", "consul")], 0o640)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agent, "AGENT_USER", "nobody-of-this-name")
    (tmp_path / "consul").mkdir()
    (tmp_path / "consul/secrets.json").write_text("{}")
    (tmp_path / "discovery.json").write_text(json.dumps({"servers": ["127.0.0.1"], "is_server": False, "interface": ""}))
    with pytest.raises(UnavailableError, match="package consul"):
        agent.configure(tmp_path, tmp_path / "machine.json")
