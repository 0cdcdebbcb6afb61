"""A cluster of hosts with real Kubernetes and without a discovery service: made once, led past who is lost, healed."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator

import pytest
from machines.lab import Lab, Measured, until
from machines.losing import AWAY, MANIFEST, lose, whole
from machines.nspawn import Host

NODES = {"m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2"}
RECOVERY = 300.0
MAY = (
    *("--server", "https://localhost:8443", "--certificate-authority", "/etc/kubernetes/pki/ca.crt"),
    *("auth", "can-i", "--namespace", "kube-provision"),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), {"discovery": "kubernetes"}) as lab:
        assert lab.made().states == dict.fromkeys(NODES, "done")
        yield lab


@pytest.fixture
def cluster(lab: Lab) -> Lab:
    """Whole at the beginning of every test."""
    until(lambda: whole(lab), RECOVERY, "the cluster is whole")
    return lab


def may(host: Host, verb: str, resource: str) -> bool:
    token = host.run("cat", "/etc/kube-provision/discovery-token").strip()
    return host.succeeds("kubectl", "--token", token, *MAY, verb, resource)


def test_one_machine_initialises_it_and_masters_join_in_turn(cluster: Lab) -> None:
    assert [name for name, _, _ in cluster.calls("init")] == ["m-prod-1"]
    assert cluster.secrets.carrier == "m-prod-1"
    masters = [call for call in cluster.calls("join") if call[0].startswith("m-")]
    turns = [*cluster.calls("init"), *masters]
    assert sorted(name for name, _, _ in turns) == ["m-prod-1", "m-prod-2", "m-prod-3"]
    assert all(earlier[2] <= later[1] for earlier, later in itertools.pairwise(turns))


def test_a_second_run_finds_nothing_to_do(cluster: Lab) -> None:
    run = cluster.provision("--wait")
    assert run.code == 0, run.errors
    assert [name for name, _, _ in cluster.calls("init")] == ["m-prod-1"]


def test_nodes_may_do_what_their_role_needs_and_no_more(cluster: Lab) -> None:
    worker, master = cluster.hosts["w-prod-1"], cluster.hosts["m-prod-2"]
    assert may(worker, "get", "configmaps")
    assert not any(may(worker, verb, it) for verb in ("create", "update", "patch") for it in ("configmaps", "leases"))
    assert may(master, "update", "leases")
    assert not may(master, "delete", "configmaps")


def test_an_api_server_that_is_gone_is_left_by_every_worker(cluster: Lab, measured: Measured) -> None:
    run = cluster.masters["m-prod-3"].run
    lose(cluster, measured, lambda: run("mv", MANIFEST, AWAY), lambda: run("mv", AWAY, MANIFEST), "m-prod-3")


def test_one_that_hangs_is_left_by_every_worker(cluster: Lab, measured: Measured) -> None:
    host = cluster.masters["m-prod-3"]
    lose(
        cluster,
        measured,
        lambda: host.signal("STOP", "kube-apiserver"),
        lambda: host.signal("CONT", "kube-apiserver"),
        host.name,
    )


def test_a_master_that_is_cut_off_is_left_by_every_worker(cluster: Lab, measured: Measured) -> None:
    link, network = cluster.masters["m-prod-1"].link, cluster.network
    lose(cluster, measured, lambda: network.cut(link), lambda: network.mend(link), "m-prod-1")


def test_a_master_that_loses_power_is_left_by_every_worker_and_comes_back(cluster: Lab, measured: Measured) -> None:
    host = cluster.masters["m-prod-2"]
    lose(cluster, measured, host.kill, lambda: cluster.hypervisor.start(host.name), host.name)
    host.wait_until_booted()


def test_a_cluster_that_was_off_as_a_whole_is_not_begun_again(cluster: Lab) -> None:
    for name in sorted(cluster.hosts):
        cluster.hosts[name].kill()
    for name in sorted(cluster.hosts):
        cluster.hypervisor.start(name)
    for host in cluster.hosts.values():
        host.wait_until_booted()
    until(lambda: whole(cluster), RECOVERY, "the cluster is whole")
    assert [name for name, _, _ in cluster.calls("init")] == ["m-prod-1"]


def test_the_first_master_that_is_gone_for_good_is_made_anew_and_joins(cluster: Lab, measured: Measured) -> None:
    """The seed that workers were told at first."""
    lose(cluster, measured, lambda: cluster.hypervisor.remove("m-prod-1"), lambda: None, "m-prod-1")
    run = cluster.provision("--wait")
    assert run.code == 0, run.errors
    host = cluster.hosts["m-prod-1"]
    assert {json.loads(line)["verb"] for line in host.run("cat", "/var/log/kubeadm-calls").splitlines()} == {"join"}
    assert json.loads(host.run("cat", "/etc/kube-provision/node.json"))["may_init"] is False
    until(lambda: whole(cluster), RECOVERY, "every worker leads to every master")
