"""What is the matter with one machine, from all that is known about it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from doubles.facts import GivenFacts
from doubles.site import Site

from kube_provision_core import cluster
from kube_provision_core.boot.tasks import Answer
from kube_provision_core.cluster import Readiness
from kube_provision_core.cluster.advice import Remedies
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.cordon import Purpose
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError, ControlPlaneError
from kube_provision_core.contract.machines import Cluster, Discovery, MasterRecord, Power, Role, Stamp, Vm
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.facts import Known, Unknown
from kube_provision_core.verbs.why import Explanation, Findings, explain, judge

CLUSTER = Cluster("prod", "an-id", "1.36", frozenset({"m-prod-1"}), discovery_address="10.0.0.5")
FINISHED = NodeStatus(Stage.FINISH, "done")
VM = Vm("m-prod-1", "id", Power.ON, Stamp("prod", "an-id", Role.MASTER, "0" * 12), ("10.0.0.7",), FINISHED)
HEALTHY = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "10.0.0.7"),))
REMEDIES = Remedies("prod", replaceable=frozenset({"m-prod-1"}))
READY = ClusterNode("m-prod-1", True, ("control-plane",), "10.0.0.7")
NOT_READY = ClusterNode("m-prod-1", False, (), "10.0.0.7", "cni plugin not initialized")
SILENT = Unknown(ControlPlaneError("no master answers"))


def of_kubernetes(*nodes: ClusterNode, version: str = "") -> Known[Readiness]:
    return Known(Readiness(nodes, version=version))


CALLED_READY = of_kubernetes(READY)


def findings(
    vm: Vm | None = VM,
    *,
    discovery: Discovery | None = HEALTHY,
    readiness: Known[Readiness] | Unknown = CALLED_READY,
    role: Role = Role.MASTER,
    **more: object,
) -> Findings:
    seen = Observation(CLUSTER, (vm,) if vm else (), discovery)
    facts = GivenFacts(seen, initialised=Known(True), readiness=readiness, remedies=REMEDIES, hints=("apply one",), **more)
    return Findings("m-prod-1", role, vm, facts)


def test_a_healthy_machine_is_said_to_be_well() -> None:
    verdict = judge(findings())
    assert verdict.well
    assert verdict.text == "it is well: it has finished its boot, and Kubernetes calls it Ready"


@pytest.mark.parametrize(
    ("status", "told", "advice", "well"),
    [
        (NodeStatus(Stage.FINISH, "running", step="certificates/renew"), "renew finish certificates/renew", "", True),
        (
            NodeStatus(Stage.FINISH, "failed", "no lock", advice="wait for it"),
            "renew has failed: no lock",
            "wait for it",
            False,
        ),
    ],
)
def test_what_it_was_given_since_its_boot_is_told(status: NodeStatus, told: str, advice: str, well: bool) -> None:
    verdict = judge(findings(task=lambda name: Answer("1", "renew", status)))
    assert verdict.text == f"it has finished its boot. What it was given since: {told}"
    assert (verdict.advice, verdict.well) == (advice, well)


@pytest.mark.parametrize(
    ("vm", "text", "advice"),
    [
        (None, "does not exist", "provision"),
        (replace(VM, power=Power.OFF), "powered off", "provision"),
        (replace(VM, power=Power.SUSPENDED), "suspended", "provision"),
        (replace(VM, status=None, addresses=()), "no address", "console"),
        (replace(VM, status=None), "told nothing", "cloud-init status"),
        (
            replace(VM, status=NodeStatus(Stage.JOIN, "failed", "exit code 1", cause="swap is on", advice="take it out")),
            "stage join has failed and is tried again: swap is on",
            "take it out",
        ),
        (
            replace(VM, status=NodeStatus(Stage.INSTALL, "failed", "exit code 1")),
            "stage install has failed and is tried again: exit code 1",
            "kube-provision replace m-prod-1 --name prod",
        ),
        (
            replace(
                VM, status=NodeStatus(Stage.JOIN, "running", "exit code 1", cause="its join token expired", replace=True)
            ),
            "its join token expired",
            "kube-provision replace m-prod-1 --name prod",
        ),
        (
            replace(
                VM, status=NodeStatus(Stage.INSTALL, "running", "E: x", step="a/b", attempt=3, attempts=5, advice="do y")
            ),
            "install a/b, attempt 3 of 5: E: x",
            "do y",
        ),
    ],
)
def test_what_is_wrong_is_said_with_what_helps(vm: Vm | None, text: str, advice: str) -> None:
    verdict = judge(findings(vm, readiness=of_kubernetes(READY) if vm else of_kubernetes()))
    assert not verdict.well
    assert text in verdict.text
    assert advice in verdict.advice


@pytest.mark.parametrize(
    ("purpose", "gone"), [(None, "its machine is gone"), (Purpose.REPLACED, "its machine is gone, to be replaced")]
)
def test_a_node_that_has_outlived_its_machine_is_told_with_what_was_to_become_of_it(
    purpose: Purpose | None, gone: str
) -> None:
    node = ClusterNode("m-prod-1", False, (), None, cordoned=True, purpose=purpose)
    verdict = judge(findings(None, readiness=of_kubernetes(node)))
    assert (verdict.text, verdict.well) == (f"{gone}; the cluster counts its node still", False)
    assert "kube-provision provision" in verdict.advice


@pytest.mark.parametrize(("ours", "first"), [(True, "run the same again to go on; "), (False, "")])
def test_a_cordoned_node_is_told_with_what_gives_it_back(ours: bool, first: str) -> None:
    node = ClusterNode("m-prod-1", True, ("control-plane",), "10.0.0.7", schedulable=False, cordoned=ours)
    verdict = judge(findings(readiness=of_kubernetes(node), emptied=lambda name: "cordoned"))
    assert verdict.text == "it has finished its boot, and is cordoned"
    assert verdict.advice == f"{first}kubectl uncordon m-prod-1 gives it back, unless a run is at it just now"


def test_what_stands_in_the_way_of_an_address_is_told() -> None:
    lost = replace(VM, status=None, addresses=(), notice="network card 1 is not connected")
    assert judge(findings(lost)).text == "it has no address: network card 1 is not connected"


@pytest.mark.parametrize("addresses", [(), ("10.0.0.7",)])
def test_where_a_machine_was_never_heard_of_its_console_is_named(addresses: tuple[str, ...]) -> None:
    silent = replace(VM, status=None, addresses=addresses, console="/vms/m-prod-1/console.log")
    just_now, long_ago = (judge(findings(replace(silent, on_since=time.time() - ago))) for ago in (10, 3600))
    assert just_now.advice.startswith("wait as long; then look at its console (/vms/m-prod-1/console.log): whether it boots")
    assert long_ago.advice.startswith("look at its console (/vms/m-prod-1/console.log): whether it boots")


def test_a_machine_on_its_way_is_well() -> None:
    verdict = judge(
        findings(replace(VM, status=NodeStatus(Stage.DISCOVER, "running", step="node/proxy", attempt=1, attempts=5)))
    )
    assert (verdict.text, verdict.well) == ("it is on its way: discover node/proxy", True)


def test_a_master_whose_api_server_does_not_answer() -> None:
    verdict = judge(findings(discovery=Discovery(initialised=True)))
    assert "discovery does not see its API server answer" in verdict.text


def test_a_node_that_kubernetes_does_not_call_ready_is_told_with_the_hint() -> None:
    verdict = judge(findings(readiness=of_kubernetes(NOT_READY)))
    assert ("not call it Ready" in verdict.text, verdict.advice) == (True, "apply one")


def test_a_machine_that_the_cluster_has_forgotten() -> None:
    assert "does not count it as a node" in judge(findings(readiness=of_kubernetes())).text


def test_a_discovery_machine_is_no_node_and_well_all_the_same() -> None:
    assert judge(findings(readiness=of_kubernetes(), role=Role.DISCOVERY)).well


def test_a_cluster_that_cannot_be_asked_makes_nobody_sick() -> None:
    verdict = judge(findings(discovery=None, readiness=SILENT))
    assert verdict.well
    assert "could not be asked" in verdict.text


# --- what others say of it ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("look_often")
class TestWhatOthersSay:
    """Beside the verdict, in a cluster of a master and a worker."""

    ONE: ClassVar[dict[str, int]] = {"masters": 1, "workers": 1}
    SEEN: ClassVar[Discovery] = Discovery(initialised=True, masters=(MasterRecord("m-prod-1", "127.254.0.2"),))

    @pytest.fixture
    def site(self, tmp_path: Path) -> Site:
        site = Site(tmp_path / "state")
        site.provision(**self.ONE)
        return site

    def said(self, site: Site, name: str) -> Explanation:
        with site.session(**self.ONE) as session:
            return explain(session, name)

    def test_a_name_that_no_machine_has_is_told_with_those_that_there_are(self, site: Site) -> None:
        with pytest.raises(ConfigError, match=r"^no machine x-1 in cluster prod; it has consul-prod, m-prod-1, w-prod-1$"):
            self.said(site, "x-1")

    @pytest.mark.parametrize(
        ("record", "name", "said"),
        [
            (Discovery(initialised=False, initialising="m-prod-1"), "m-prod-1", "it is initialising the cluster"),
            (SEEN, "m-prod-1", "its API server is healthy"),
            (SEEN, "w-prod-1", "the cluster is initialised; healthy masters: m-prod-1"),
            (Discovery(initialised=False), "w-prod-1", "the cluster is not initialised; healthy masters: none"),
            (Discovery(initialised=True), "m-prod-1", "the cluster is initialised; healthy masters: none"),
        ],
    )
    def test_of_discovery(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, record: Discovery, name: str, said: str
    ) -> None:
        monkeypatch.setattr(cluster, "ask_readiness", lambda *_, **__: SILENT)
        site.registry.record = record
        assert self.said(site, name).discovery == said

    def test_of_discovery_that_does_not_answer_or_is_not_there(self, site: Site) -> None:
        site.registry.silent = True
        assert self.said(site, "w-prod-1").discovery == "consul-prod has not finished its boot, and does not answer yet"
        del site.world.vms["consul-prod"]
        assert self.said(site, "w-prod-1").discovery == "there is none yet"

    @pytest.mark.parametrize(
        ("readiness", "said"),
        [
            (SILENT, "no master answers"),
            (of_kubernetes(), "it is no node of the cluster"),
            (of_kubernetes(READY), "Ready"),
            (of_kubernetes(NOT_READY), "not Ready: cni plugin not initialized"),
            (of_kubernetes(replace(NOT_READY, message="")), "not Ready"),
            (
                of_kubernetes(replace(READY, kubelet="1.36.2"), version="1.37.1"),
                "Ready; m-prod-1: kubelet 1.36.2, and the cluster runs 1.37.1; to bring all to one version: "
                "kube-provision upgrade --name prod --k8s-version 1.37.1",
            ),
        ],
    )
    def test_of_kubernetes(
        self, site: Site, monkeypatch: pytest.MonkeyPatch, readiness: Known[Readiness] | Unknown, said: str
    ) -> None:
        monkeypatch.setattr(cluster, "ask_readiness", lambda *_, **__: readiness)
        assert self.said(site, "m-prod-1").kubernetes == "not asked: the cluster is not initialised"
        site.registry.record = self.SEEN
        assert self.said(site, "m-prod-1").kubernetes == said
