"""A node that is stuck, or not ready: what its user is told, through a vCenter and a cluster's own API."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from servers.cluster_objects import NODES
from servers.living_masters import LivingMasters
from servers.simulator import FINISHED, STATUS_KEY

from .conftest import Site

NAMES = ("consul-prod", "m-prod-1", "w-prod-1")
EXPIRED = {
    "stage": "join",
    "state": "failed",
    "error": "kubeadm/membership: exit code 1: error execution phase preflight",
    "step": "kubeadm/membership",
    "attempt": 1,
    "attempts": 5,
    "diagnosis": "expired-token",
    "cause": "its join token expired before it joined: the masters no longer vouch for it",
    "advice": "a new machine in its place gets a fresh token",
    "replace": True,
    "log": ["[preflight] Running pre-flight checks", "error execution phase preflight"],
}
NO_NETWORK = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady"
REPLACE = "replace it: kube-provision destroy --name prod --node w-prod-1 --config "


def provision(site: Site, *, wait: bool = False) -> tuple[int, dict[str, dict[str, object]], str]:
    """Exit code, nodes by name, stderr."""
    run = site.provision(masters=1, workers=1, wait=wait)
    return run.code, {node["name"]: node for node in run.data["nodes"]}, run.errors


@pytest.fixture
def cluster(site: Site) -> Site:
    """One master, one worker; both have finished their boot. No network plugin was asked for."""
    site.settings["seed_manifests"] = []
    provision(site)
    for name in NAMES:
        site.vcenter.publish(name, {STATUS_KEY: FINISHED})
    site.record_initialised()
    return site


@pytest.fixture
def masters(cluster: Site) -> Iterator[LivingMasters]:
    """Its API server, to which the worker is not ready."""
    with cluster.alive(masters=1, workers=1) as masters:
        node = masters.objects.get(NODES, "w-prod-1")
        condition = {"type": "Ready", "status": "False", "message": NO_NETWORK}
        masters.objects.replace(NODES, "w-prod-1", {**node, "status": {**node["status"], "conditions": [condition]}})
        yield masters


class TestAStuckNode:
    @pytest.fixture
    def stuck(self, site: Site) -> Site:
        provision(site)
        site.vcenter.publish("w-prod-1", {STATUS_KEY: json.dumps(EXPIRED)})
        return site

    def test_is_explained_without_entering_it(self, stuck: Site) -> None:
        why = stuck.run("why", "w-prod-1", "--output", "json")
        assert why.code == 0, why.errors
        assert (why.data["diagnosis"], why.data["verdict"]) == ("expired-token", EXPIRED["cause"])
        assert REPLACE in why.data["advice"]
        assert why.data["log"] == EXPIRED["log"]

    def test_is_named_by_the_next_run_with_the_command_that_replaces_it(self, stuck: Site) -> None:
        code, nodes, errors = provision(stuck)
        assert code == 0
        assert REPLACE in errors
        assert nodes["w-prod-1"]["state"] == "done"

    def test_is_not_waited_for_where_waiting_is_in_vain(self, stuck: Site) -> None:
        for name in ("consul-prod", "m-prod-1"):
            stuck.vcenter.publish(name, {STATUS_KEY: FINISHED})
        code, nodes, _ = provision(stuck, wait=True)
        assert code == 4
        assert nodes["w-prod-1"]["state"] == "failed"
        assert REPLACE in str(nodes["w-prod-1"]["text"])

    def test_is_made_anew_by_that_command(self, stuck: Site) -> None:
        before = stuck.vcenter.vm("w-prod-1")["id"]
        assert stuck.run("destroy", "--node", "w-prod-1", "--yes").code == 0
        provision(stuck)
        assert stuck.vcenter.vm("w-prod-1")["id"] != before

    def test_is_not_confused_with_one_that_nobody_knows(self, stuck: Site) -> None:
        why = stuck.run("why", "w-prod-7")
        assert why.code == 2
        assert "it has consul-prod, m-prod-1" in why.errors


class TestReadiness:
    def test_is_shown_beside_the_stage_with_a_hint(self, cluster: Site, masters: LivingMasters) -> None:
        status = cluster.run("status", "--masters", "1", "--workers", "1", "--output", "json").data
        assert {node["name"]: node["ready"] for node in status["nodes"]} == {
            "consul-prod": None,
            "m-prod-1": True,
            "w-prod-1": False,
        }
        (hint,) = status["hints"]
        assert hint.startswith("w-prod-1: not Ready: the cluster has no network plugin, because seed_manifests is empty")

    def test_is_shown_at_the_end_of_a_run_that_waited(self, cluster: Site, masters: LivingMasters) -> None:
        run = cluster.run("--masters", "1", "--workers", "1")
        assert run.code == 0, run.errors
        rows = {line.split()[0]: line for line in run.output.splitlines() if line}
        assert "yes" in rows["m-prod-1"].split()
        assert "no" in rows["w-prod-1"].split()
        assert "hint: w-prod-1: not Ready" in run.output

    def test_of_one_node_is_explained(self, cluster: Site, masters: LivingMasters) -> None:
        why = cluster.run("why", "w-prod-1", "--output", "json").data
        assert why["verdict"] == "it has finished its boot, but Kubernetes does not call it Ready"
        assert why["kubernetes"] == f"not Ready: {NO_NETWORK}"
        assert "seed_manifests is empty" in why["advice"]

    def test_of_a_cluster_that_does_not_answer_is_unknown_and_no_error(self, cluster: Site) -> None:
        run = cluster.run("status", "--masters", "1", "--workers", "1", "--output", "json")
        assert run.code == 0, run.errors
        assert {node["ready"] for node in run.data["nodes"]} == {None}
        assert run.data["kubernetes_error"]
