"""What breaks in a cluster of whole hosts, how long until every worker is served again, and what heals it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator

import pytest
from machines.killing import ask_consul, kill_at
from machines.lab import Lab, Measured, until
from machines.losing import AWAY, LIMIT, MANIFEST, QUIET, addresses, lose, probing, served, upstream, whole
from machines.probe import Probe, now

RECOVERY = 180.0
"""Seconds within which a cluster is whole again once what was taken away is back."""
TIMER = "/etc/systemd/system/kube-provision-record.timer.d/often.conf"
OFTEN = "[Timer]\nOnUnitInactiveSec=\nOnActiveSec=15\nOnUnitInactiveSec=15\nRandomizedDelaySec=0\n"
"""Masters tell discovery again what they know, every two minutes as a rule: no test need wait for that."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "often.conf").write_text(OFTEN)
    with Lab(folder, {"files": {TIMER: str(folder / "often.conf")}}) as lab:
        run = lab.provision("--wait")
        assert run.code == 0, run.errors
        yield lab


@pytest.fixture
def cluster(lab: Lab) -> Lab:
    """Whole at the beginning of every test."""
    until(lambda: whole(lab), RECOVERY, "the cluster is whole")
    return lab


class TestAnApiServer:
    def test_that_is_gone_is_left_by_every_worker(self, cluster: Lab, measured: Measured) -> None:
        run = cluster.masters["m-prod-2"].run
        lose(cluster, measured, lambda: run("mv", MANIFEST, AWAY), lambda: run("mv", AWAY, MANIFEST), "m-prod-2")

    def test_that_hangs_is_left_by_every_worker(self, cluster: Lab, measured: Measured) -> None:
        def signal(name: str) -> None:
            cluster.masters["m-prod-3"].signal(name, "kube-apiserver")

        lose(cluster, measured, lambda: signal("STOP"), lambda: signal("CONT"), "m-prod-3")


class TestAMaster:
    def test_that_loses_power_is_left_by_every_worker_and_comes_back(self, cluster: Lab, measured: Measured) -> None:
        host = cluster.masters["m-prod-2"]
        lose(cluster, measured, host.kill, lambda: cluster.hypervisor.start(host.name), host.name)

    def test_that_is_cut_off_is_left_by_every_worker(self, cluster: Lab, measured: Measured) -> None:
        """Nothing tells that it is gone: packets to it vanish."""
        link, network = cluster.masters["m-prod-1"].link, cluster.network
        lose(cluster, measured, lambda: network.cut(link), lambda: network.mend(link), "m-prod-1")

    def test_that_is_shut_down_takes_itself_off_the_list(self, cluster: Lab, measured: Measured) -> None:
        host = cluster.masters["m-prod-3"]
        lose(cluster, measured, host.stop, lambda: cluster.hypervisor.start(host.name), host.name)


class TestConsul:
    def test_that_is_away_stops_nobody(self, cluster: Lab, measured: Measured) -> None:
        lose(cluster, measured, cluster.discovery.kill, lambda: cluster.hypervisor.start("consul-prod"))

    def test_that_is_away_while_an_api_server_dies_stops_nobody_either(self, cluster: Lab, measured: Measured) -> None:
        """Nobody tells the workers: nginx itself has to notice."""
        host, known = cluster.masters["m-prod-2"], addresses(cluster)
        with probing(cluster) as probes:
            cluster.discovery.kill()
            host.run("mv", MANIFEST, AWAY)
            since = now()
            try:
                time.sleep(QUIET)
                until(lambda: served(probes), LIMIT, "every worker is served")
                assert [upstream(worker) for worker in cluster.workers.values()] == [known] * len(cluster.workers)
            finally:
                host.run("mv", AWAY, MANIFEST)
                cluster.hypervisor.start("consul-prod")
            measured("seconds until served again", {name: round(it.outage(since), 2) for name, it in probes.items()})

    def test_that_knows_no_healthy_master_empties_no_list(self, cluster: Lab) -> None:
        for host in cluster.masters.values():
            host.signal("STOP", "etcd")  # no API server is ready without it
        try:
            until(lambda: healthy(cluster) == [], LIMIT, "Consul knows no healthy master")
            time.sleep(QUIET)
            left = {name: upstream(host) for name, host in cluster.workers.items()}
            listening = [host.succeeds("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8443") for host in cluster.workers.values()]
        finally:
            for host in cluster.masters.values():
                host.signal("CONT", "etcd")
        assert all(left.values())
        assert all(listening)

    def test_that_is_made_anew_at_another_address_learns_the_cluster_again(self, cluster: Lab) -> None:
        before = cluster.discovery.address
        cluster.hypervisor.remove("consul-prod")
        run = cluster.provision("--wait", workers=3)
        assert run.code == 0, run.errors
        assert cluster.discovery.address != before
        until(lambda: record(cluster).get("state") == "initialised", RECOVERY, "the record is there again")
        assert record(cluster)["cluster_id"] == cluster.secrets.cluster_id
        until(lambda: healthy(cluster) == sorted(cluster.masters), RECOVERY, "all masters are registered again")
        assert "w-prod-3" in cluster.ready()


@pytest.fixture(scope="module")
def replaced(lab: Lab) -> Lab:
    """Its first master died for good, and a run was made."""
    if "m-prod-1" in lab.hosts:
        lab.hypervisor.remove("m-prod-1")
    run = lab.provision("--wait", workers=len(lab.workers))
    assert run.code == 0, run.errors + lab.hosts["m-prod-1"].journal(lines=30)
    return lab


class TestTheFirstMaster:
    def test_that_is_gone_for_good_is_left_by_every_worker(self, cluster: Lab, measured: Measured) -> None:
        lose(cluster, measured, lambda: cluster.hypervisor.remove("m-prod-1"), lambda: None, "m-prod-1")

    def test_is_made_anew_and_joins_through_another(self, replaced: Lab) -> None:
        host = replaced.hosts["m-prod-1"]
        calls = [json.loads(line)["verb"] for line in host.run("cat", "/var/log/kubeadm-calls").splitlines()]
        assert set(calls) == {"join"}
        assert "m-prod-1" in replaced.ready()

    def test_leaves_no_member_of_etcd_behind(self, replaced: Lab) -> None:
        with replaced.control_plane() as api:
            members = {(member.name, *member.hosts) for member in api.etcd.members()}
        assert members == {(name, host.address) for name, host in replaced.masters.items()}

    def test_was_not_given_the_permission_to_initialise(self, replaced: Lab) -> None:
        host = replaced.hosts["m-prod-1"]
        assert json.loads(host.run("cat", "/etc/kube-provision/node.json"))["may_init"] is False
        assert not host.succeeds("test", "-e", "/var/lib/kube-provision/ca")

    def test_is_where_workers_are_led_again(self, replaced: Lab) -> None:
        until(lambda: whole(replaced), RECOVERY, "every worker leads to every master")


class TestReplacing:
    def test_a_master_and_a_worker_is_noticed_by_no_other(self, replaced: Lab, measured: Measured) -> None:
        before = {name: replaced.hosts[name] for name in ("m-prod-2", "w-prod-2")}
        with Probe(replaced.hosts["w-prod-1"]) as probe:
            since = now()
            run = replaced.run("replace", *before, "--yes")
            assert run.code == 0, run.errors
            measured("longest time that w-prod-1 was not served", round(probe.longest_outage(since), 2))
            measured("seconds for both", round(now() - since, 2))
            assert probe.longest_outage(since) <= LIMIT
        for name, host in before.items():
            assert f"prod: {name} settle done: Ready\n" in run.errors
            assert replaced.hosts[name] is not host
        until(lambda: whole(replaced), RECOVERY, "every worker leads to every master")

    def test_that_is_killed_and_begun_again_is_noticed_by_no_client_that_writes(
        self, cluster: Lab, measured: Measured
    ) -> None:
        command = ("replace", "m-prod-2", "w-prod-2", "--yes")
        with Probe(cluster.hosts["w-prod-1"], cluster.administrator) as client:
            until(lambda: client.is_served(QUIET), LIMIT, "w-prod-1 writes")
            since = now()
            for moment in ("m-prod-2 remove-member done", "m-prod-2 (destroy|delete-node|mint)", "m-prod-2 boot running"):
                kill_at(cluster, moment, *command)
            run = cluster.run(*command)
            assert run.code == 0, run.errors
            measured("longest time in which nothing was written", round(client.longest_outage(since), 2))
            measured("seconds for all of it", round(now() - since, 2))
            assert client.longest_outage(since) <= LIMIT
        until(lambda: whole(cluster), RECOVERY, "every worker leads to every master")

    def test_leaves_no_member_of_etcd_behind_and_nobody_cordoned(self, replaced: Lab) -> None:
        with replaced.control_plane() as api:
            members = {(member.name, *member.hosts) for member in api.etcd.members()}
            assert [node.name for node in api.nodes() if not node.schedulable] == []
        assert members == {(name, host.address) for name, host in replaced.masters.items()}


class TestTwoMasters:
    def test_of_which_one_is_gone_are_left_as_they_are(self, replaced: Lab) -> None:
        shrunk = replaced.run("destroy", "--node", "m-prod-3", "--yes")
        assert shrunk.code == 0, shrunk.errors
        until(lambda: whole(replaced), RECOVERY, "two masters are whole")
        replaced.hypervisor.remove("m-prod-1")
        until(lambda: healthy(replaced) == [], LIMIT, "the quorum is lost")
        before = {name: (host.boots, host.user_data) for name, host in replaced.hosts.items()}
        run = replaced.provision("--wait", masters=2, workers=len(replaced.workers))
        assert run.code == 3
        assert "quorum" in run.errors
        assert {name: (host.boots, host.user_data) for name, host in replaced.hosts.items()} == before


def healthy(lab: Lab) -> list[str]:
    """Masters that Consul calls healthy; none where nobody answers."""
    entries = ask_consul(lab, "/v1/health/service/kube-provision-prod?passing") or []
    return sorted(entry["Node"]["Node"] for entry in entries)


def record(lab: Lab) -> dict[str, str]:
    """The record of initialisation; empty if there is none."""
    entries = ask_consul(lab, "/v1/kv/kube-provision/prod/record?consistent")
    return dict(json.loads(base64.b64decode(entries[0]["Value"]))) if entries else {}
