"""What is told of machines beside how they stand."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from doubles.services import MemoryDiscovery
from doubles.site import Site

from kube_provision_core import cluster
from kube_provision_core.cluster import Readiness
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.known import Known
from kube_provision_core.cluster.kubeadm_configuration import KubeadmConfiguration
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError, PluginError
from kube_provision_core.contract.machines import Discovery, Endpoint
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.facts import Facts
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.verb import Options
from kube_provision_core.verbs.ending import tell
from kube_provision_core.verbs.status import Reach, status
from kube_provision_node.tasks import code

pytestmark = pytest.mark.usefixtures("look_often")

ONE = {"masters": 1, "workers": 0}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.provision(**ONE)
    return site


def reach(site: Site, name: str) -> tuple[Reach, ...]:
    (row,) = (row for row in site.status(**ONE).nodes if row.name == name)
    return row.reach


class TestVersions:
    """Of a cluster whose first master has been upgraded, from a configuration that does not say so yet."""

    @pytest.fixture(autouse=True)
    def _upgraded(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        site.registry.record = Discovery(initialised=True)
        nodes = (ClusterNode("m-prod-1", True, ("control-plane",), None, kubelet="1.36.2"),)
        told = Known(Readiness(nodes, version="1.37.1"))
        monkeypatch.setattr(cluster, "ask_readiness", lambda *_, **__: told)

    def test_of_each_node_is_told(self, site: Site) -> None:
        assert {row.name: row.version for row in site.status(**ONE).nodes} == {"consul-prod": "", "m-prod-1": "1.36.2"}

    def test_that_differ_from_the_clusters_are_told_with_what_ends_it(self, site: Site) -> None:
        drift, of_nodes = site.status(**ONE, kubernetes_version="1.36").hints
        assert (
            drift == "kubernetes_version is 1.36, and cluster prod runs 1.37.1; set kubernetes_version to 1.37.1, or to 1.37"
        )
        assert of_nodes.startswith("m-prod-1: kubelet 1.36.2, and the cluster runs 1.37.1; to bring all to one version: ")

    def test_a_run_that_waited_tells_that_the_configuration_differs(self, site: Site) -> None:
        with site.session(**ONE, kubernetes_version="1.36") as session:
            facts = Facts(session)
            (drift,) = tell(facts, Options(wait=True), Report("prod", (), facts.seen)).hints
        assert drift.startswith("kubernetes_version is 1.36, and cluster prod runs 1.37.1")

    def test_of_arguments_that_the_cluster_lacks_is_told_by_their_keys(
        self, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = Known(Readiness(kubeadm=KubeadmConfiguration("kubernetesVersion: v1.37.1\n")))
        monkeypatch.setattr(cluster, "ask_readiness", lambda *_, **__: told)
        arguments = {"scheduler": {"extraArgs": [{"name": "v", "value": "hush"}]}}
        (hint,) = site.status(**ONE, kubeadm={"cluster": arguments}).hints
        assert hint.startswith(
            "kubeadm.cluster.scheduler.extraArgs.v is another one in the cluster, which kubeadm reads once: "
        )
        assert "hush" not in hint

    def test_make_no_machine_drift(self, site: Site) -> None:
        assert not any(row.drifted for row in site.status(**ONE, kubernetes_version="1.35").nodes)


def test_ports_that_this_host_reaches_elsewhere_are_told_by_what_listens_there(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryDiscovery, "port", 8500, raising=False)
    site.world.reach = {"consul-prod": {port: Endpoint("127.0.0.1", 40000 + port) for port in (22, 8500, 9000)}}
    assert reach(site, "consul-prod") == (
        Reach("ssh", 22, "127.0.0.1", 40022),
        Reach("discovery", 8500, "127.0.0.1", 48500),
        Reach("", 9000, "127.0.0.1", 49000),
    )
    assert reach(site, "m-prod-1") == ()


def test_of_a_discovery_that_names_no_port_none_is_told(site: Site) -> None:
    site.world.reach = {"consul-prod": {8500: Endpoint("127.0.0.1", 48500)}}
    assert reach(site, "consul-prod") == (Reach("", 8500, "127.0.0.1", 48500),)


def test_a_port_of_a_wrong_type_is_a_line_that_names_its_driver(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryDiscovery, "port", "8500", raising=False)
    with pytest.raises(PluginError, match=r"MemoryDiscovery\.port: '8500' is a str, where int is expected"):
        site.status(**ONE)


class TestOfWhatAMachineWasGiven:
    """Believed where it bears the machine's own code."""

    NAME = "m-prod-1"

    def answers(self, site: Site, *, key: str = "", **said: object) -> None:
        assert site.folder
        stamp = site.world.vms[self.NAME].stamp
        assert stamp
        key = key or site.folder.pki.machine_key(stamp.cluster_id, self.NAME, stamp.instance)
        content = {"id": "1", "verb": "renew", **said}
        status = NodeStatus(Stage.FINISH, "done").text
        signed = status.replace('"task": ""', f'"task": {json.dumps({**content, "mac": code(key, content)})}')
        parsed = NodeStatus.parse(signed)
        assert parsed
        site.world.statuses[self.NAME] = parsed

    def text(self, site: Site) -> str:
        (row,) = (row for row in site.status(**ONE).nodes if row.name == self.NAME)
        return row.text

    def test_it_is_told_how_far_it_is(self, site: Site) -> None:
        self.answers(site, stage="finish", state="running", step="certificates/renew")
        assert self.text(site) == "renew finish certificates/renew"

    def test_it_is_told_why_it_has_failed(self, site: Site) -> None:
        self.answers(site, stage="finish", state="failed", error="no lock")
        assert self.text(site) == "renew has failed: no lock"

    def test_nothing_is_told_of_what_is_done(self, site: Site) -> None:
        self.answers(site, stage="finish", state="done")
        assert self.text(site) == ""

    def test_nothing_is_told_of_what_somebody_else_has_written(self, site: Site) -> None:
        self.answers(site, key="00" * 32, stage="finish", state="failed", error="give me your password")
        assert self.text(site) == ""

    def test_what_has_not_been_taken_is_told(self, site: Site) -> None:
        site.world.statuses[self.NAME] = NodeStatus(Stage.FINISH, "done")
        site.world.tasks[self.NAME] = b"sealed"
        assert self.text(site) == "something that it is to do waits for it still"

    def test_a_machine_that_an_earlier_version_made_was_given_nothing(self, site: Site) -> None:
        self.answers(site, stage="finish", state="running")
        vm = site.world.vms[self.NAME]
        assert vm.stamp
        site.world.vms[self.NAME] = replace(vm, stamp=replace(vm.stamp, instance=""))
        assert self.text(site) == ""


def test_what_discovery_wants_to_be_known_is_a_hint(site: Site) -> None:
    site.registry.notice = "it is open"
    assert site.status().hints == ("it is open",)


class TestAPool:
    def told(self, site: Site, pool: str) -> list[str]:
        with site.session(masters=1, workers=2) as session:
            return [row.name for row in status(session, pool).nodes]

    def test_is_shown_alone(self, site: Site) -> None:
        assert self.told(site, "workers") == ["w-prod-1", "w-prod-2"]
        assert self.told(site, "") == ["consul-prod", "m-prod-1", "w-prod-1", "w-prod-2"]

    def test_that_is_unknown_is_refused(self, site: Site) -> None:
        with pytest.raises(ConfigError, match="cluster prod has no worker of such a pool; its pools are workers"):
            self.told(site, "gpu")
