"""The operator's side of the driver against a real Consul."""

from __future__ import annotations

import json
import logging
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest
from servers.consul_agents import ConsulAgent, consul_server, eventually, unused_network

from kube_provision_consul.contract import TestConsul
from kube_provision_consul.driver import Consul
from kube_provision_core import BusyError, Cluster, Discovery, DiscoveryError, MasterRecord
from kube_provision_core.testing import boot_of, cluster_of, node_of

from .conftest import MakeConsul

__all__ = ["TestConsul"]

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def consul_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """For the contract suite: a server that says it is of the suite's own cluster, as a node's agent does."""
    meta = {"kube-provision-cluster-id": cluster_of().id}
    with consul_server(tmp_path_factory.mktemp("contract"), f"{unused_network()}.1", node_meta=meta) as agent:
        yield agent.address


def record(cluster: Cluster, state: str, node: str = "m-1") -> dict[str, str]:
    return {"state": state, "node": node, "instance_id": "i-1", "cluster_id": cluster.id}


def put_record(server: ConsulAgent, cluster: Cluster, content: object) -> None:
    server.put(f"kube-provision/{cluster.name}/record", content)


def test_a_cluster_that_is_being_initialised(make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster) -> None:
    put_record(server, cluster, record(cluster, "initialising"))
    found = make_consul().discover_masters(cluster)
    assert found == Discovery(initialised=False, initialising="m-1", cluster_id="id-1")


def test_healthy_masters_of_an_initialised_cluster(make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster) -> None:
    put_record(server, cluster, record(cluster, "initialised"))
    server.add_master(cluster.name, f"{cluster.name}-b", "10.0.0.2")
    server.add_master(cluster.name, f"{cluster.name}-a", "10.0.0.1", service_address="")
    found = make_consul().discover_masters(cluster)
    masters = (MasterRecord(f"{cluster.name}-a", "10.0.0.1"), MasterRecord(f"{cluster.name}-b", "10.0.0.2"))
    assert found == Discovery(initialised=True, masters=masters, cluster_id="id-1")


def test_a_master_whose_check_fails_is_none(make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster) -> None:
    service = {"Service": f"kube-provision-{cluster.name}", "Address": "10.0.0.1"}
    check = {"Name": "ready", "Status": "critical", "ServiceID": service["Service"]}
    node = {"Node": f"{cluster.name}-a", "Address": "10.0.0.1"}
    server.ask("PUT", "/v1/catalog/register", {**node, "Service": service, "Check": check})
    assert make_consul().discover_masters(cluster).masters == ()


@pytest.mark.parametrize("value", ["nonsense", '"text"', "[]", '{"state": "perhaps"}', ""])
def test_an_unreadable_record_is_not_taken_for_absent(make_consul: MakeConsul, server: ConsulAgent, value: str) -> None:
    cluster = cluster_of(name="unreadable", address=server.address)
    server.put("kube-provision/unreadable/record", value)
    with pytest.raises(DiscoveryError, match="kube-provision/unreadable/record is no record"):
        make_consul().discover_masters(cluster)


def test_an_unreachable_server_is_named_with_what_to_check(make_consul: MakeConsul, cluster: Cluster) -> None:
    away = replace(cluster, discovery_address="127.254.254.253")
    with pytest.raises(DiscoveryError, match=r"Consul at 127\.254\.254\.253:8500 cannot be reached: .*refused.*Check that"):
        make_consul().discover_masters(away)


def test_a_silent_server_is_given_up(make_consul: MakeConsul, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_consul.client.TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        driver = Consul(make_consul()._config, port=silent.getsockname()[1])
        with pytest.raises(DiscoveryError, match="cannot be reached: timed out"):
            driver.discover_masters(replace(cluster, discovery_address="127.0.0.1"))


def test_without_any_server_it_says_what_to_do(make_consul: MakeConsul, cluster: Cluster) -> None:
    with pytest.raises(DiscoveryError, match="--consul-ip"):
        make_consul().discover_masters(replace(cluster, discovery_address=None))


def test_the_environment_overrules_nothing(
    make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every variable here sends clients of Consul elsewhere, or with somebody else's token, if they heed it."""
    for name, value in {
        "CONSUL_HTTP_ADDR": "127.254.254.253:1",
        "CONSUL_HTTP_SSL": "true",
        "CONSUL_HTTP_SSL_VERIFY": "false",
        "CONSUL_HTTP_TOKEN": "somebody-elses",
        "http_proxy": "http://127.254.254.253:1",
        "ALL_PROXY": "http://127.254.254.253:1",
    }.items():
        monkeypatch.setenv(name, value)
    put_record(server, cluster, record(cluster, "initialised"))
    assert make_consul().discover_masters(cluster).initialised


def test_the_head_of_the_history_stands_beside_the_record(
    make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster
) -> None:
    driver = make_consul()
    assert driver.history_head(cluster) == ""
    assert driver.keep_history_head(cluster, "an-id 0f3c")
    assert driver.history_head(cluster) == "an-id 0f3c"
    assert not driver.discover_masters(cluster).initialised
    driver.forget_cluster(cluster)
    assert driver.history_head(cluster) == ""


def test_no_answer_is_no_history_that_nobody_has_written(make_consul: MakeConsul, cluster: Cluster) -> None:
    away = replace(cluster, discovery_address="127.254.254.253")
    for ask in (make_consul().history_head, lambda it: make_consul().keep_history_head(it, "an-id 0f3c")):
        with pytest.raises(DiscoveryError, match="cannot be reached"):
            ask(away)


def test_two_runs_cannot_hold_the_lock(make_consul: MakeConsul, cluster: Cluster) -> None:
    held = make_consul().lock_cluster(cluster)
    assert held is not None
    with held, pytest.raises(BusyError, match=rf"another run .*@{socket.gethostname()}, process \d+, since"):
        make_consul().lock_cluster(cluster).__enter__()


def test_a_lock_that_was_freed_leaves_nothing(make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster) -> None:
    with make_consul().lock_cluster(cluster):
        pass
    assert server.ask("GET", f"/v1/kv/kube-provision-runs/{cluster.name}") is None


def test_a_failure_under_the_lock_frees_it(make_consul: MakeConsul, cluster: Cluster) -> None:
    with pytest.raises(ZeroDivisionError), make_consul().lock_cluster(cluster):
        _ = 1 / 0
    with make_consul().lock_cluster(cluster):
        pass


def test_locks_of_two_clusters_are_two(make_consul: MakeConsul, cluster: Cluster) -> None:
    with make_consul().lock_cluster(cluster), make_consul().lock_cluster(replace(cluster, name=f"{cluster.name}-2")):
        pass


def test_a_lock_is_renewed_and_its_loss_is_logged(
    make_consul: MakeConsul,
    server: ConsulAgent,
    cluster: Cluster,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("kube_provision_consul.run_lock._RENEWAL", 0.05)
    with caplog.at_level(logging.WARNING), make_consul().lock_cluster(cluster):
        assert not eventually(lambda: caplog.messages, timeout=0.5)
        server.end_sessions()
        assert eventually(lambda: "the lock of this run may be lost" in caplog.text)


def test_no_server_means_no_lock(make_consul: MakeConsul, cluster: Cluster) -> None:
    assert make_consul().lock_cluster(replace(cluster, discovery_address=None)) is None


def test_forgetting_a_machine_that_was_initialising(make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster) -> None:
    put_record(server, cluster, record(cluster, "initialising"))
    assert make_consul().forget_initialising(cluster, "m-1") is True
    assert make_consul().discover_masters(cluster) == Discovery(initialised=False)


@pytest.mark.parametrize(("state", "node"), [("initialised", "m-1"), ("initialising", "m-2")])
def test_a_record_that_says_something_else_stays(
    make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster, state: str, node: str
) -> None:
    put_record(server, cluster, record(cluster, state, node))
    make_consul().forget_initialising(cluster, "m-1")
    assert server.get(f"kube-provision/{cluster.name}/record")["node"] == node


def test_forgetting_a_cluster_leaves_another_whose_name_begins_the_same(
    make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster
) -> None:
    other = replace(cluster, name=f"{cluster.name}2")
    for each in (cluster, other):
        put_record(server, each, record(each, "initialised"))
        node = {"Node": f"{each.name}-m", "Address": "10.0.0.1", "NodeMeta": {"kube-provision-cluster": each.name}}
        server.ask("PUT", "/v1/catalog/register", {**node, "Service": {"Service": f"kube-provision-{each.name}"}})
    assert make_consul().forget_cluster(cluster) is True
    assert make_consul().discover_masters(cluster) == Discovery(initialised=False)
    assert make_consul().discover_masters(other).initialised
    assert server.ask("GET", f"/v1/catalog/node/{cluster.name}-m") is None
    assert server.ask("GET", f"/v1/catalog/node/{other.name}-m") is not None


def test_a_cluster_can_be_forgotten_under_its_own_lock(make_consul: MakeConsul, cluster: Cluster) -> None:
    with make_consul().lock_cluster(cluster):
        make_consul().forget_cluster(cluster)
        with pytest.raises(DiscoveryError, match="another run"):
            make_consul().lock_cluster(cluster).__enter__()


def test_names_of_other_peoples_living_machines_are_told_before_anything_is_created(
    make_consul: MakeConsul, server: ConsulAgent, cluster: Cluster
) -> None:
    mine, theirs, gone = (node_of(f"{cluster.name}-{who}", cluster_id="id-1") for who in ("mine", "theirs", "gone"))
    for node, owner, status in ((mine, "id-1", "passing"), (theirs, "id-2", "passing"), (gone, "id-2", "critical")):
        check = {"CheckID": "serfHealth", "Name": "Serf Health Status", "Status": status}
        entry = {"Node": node.name, "Address": "10.0.0.1", "NodeMeta": {"kube-provision-cluster-id": owner}}
        server.ask("PUT", "/v1/catalog/register", {**entry, "Check": check})
    problems = make_consul(consul_ip=server.address).preflight([(node, boot_of(node)) for node in (mine, theirs, gone)])
    assert [problem.partition(":")[0] for problem in problems] == [theirs.name]


def test_rendering_does_not_load_the_client_library() -> None:
    program = (
        "import sys, kube_provision_consul.driver as d; from kube_provision_core import Role;"
        "from kube_provision_core.testing.samples import node_of, cluster_of;"
        "d.Consul(dict.fromkeys(Role, d.ConsulConfig())).render_boot(node_of('w'), cluster_of('w'));"
        "import json; print(json.dumps(sorted({'urllib3'} & set(sys.modules))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == []
