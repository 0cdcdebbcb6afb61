"""`kubeadm upgrade` of the stand-ins refuses what kubeadm's own refuses, says what it says, and leaves what it leaves."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml
from machines.standins import (
    addons,
    certificates,
    configuration,
    faults,
    initialise,
    manifests,
    master,
    mirror,
    preflight,
    scratch,
    static_upgrade,
    upgrade,
    upgrade_checks,
    upkeep,
)
from machines.standins.api import DAEMON_SETS, DEPLOYMENTS, Api
from machines.standins.faults import StandInError
from machines.standins.release import VARIABLE, Release
from machines.standins.upgrade_checks import Versions
from servers.cluster_objects import CONFIG_MAPS, NODES, PODS, ClusterObjects
from servers.control_plane import Call, ControlPlaneServer
from servers.refusals import RefusedError

from kube_provision_core.folder.pki import create_pki
from kube_provision_core.folder.x509 import sign_client

OLD, NEW = "v1.37.1", "v1.38.0"
NODE, OTHER = "m-prod-1", "m-prod-2"
ADDRESS = "10.77.0.11"


@dataclass(frozen=True)
class Here(Api):
    """The API of a cluster in memory. Whoever asks finds what the node's kubelet has done meanwhile."""

    cluster: Any = None

    def call(self, method: str, path: str, document: object = None, timeout: float = 10.0) -> tuple[int, Any]:
        self.cluster.kubelet()
        url = urlsplit(path)
        call = Call(method, url.path, parse_qs(url.query), document, "admin", frozenset(), "")
        if url.path == "/version":
            return 200, {"gitVersion": self.cluster.serving}
        try:
            status, answer = self.cluster.server.act(call)
        except RefusedError as refused:
            return refused.status, {"message": refused.message}
        return status, upkeep.as_told(call, answer, self.cluster.objects)


class Cluster:
    """A master's folder, and the cluster that it is one of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.objects = ClusterObjects()
        self.server = ControlPlaneServer(create_pki("prod"), objects=self.objects)
        self.serving = OLD
        self.kubelet_runs = True
        self.api = Here("https://localhost:8443", cluster=self)
        self._shown = mirror.Shown()

    def kubelet(self) -> None:
        """Nobody asks on its behalf: it changes what is stored."""
        if self.kubelet_runs:
            self.kubelet_runs = False
            running = {path.stem: path.read_text() for path in (self.folder / "manifests").glob("*.yaml")}
            self._shown.update(self.api, NODE, running)
            self.kubelet_runs = True

    def add(self, name: str, version: str, *, master: bool = True) -> None:
        self.objects.add_node(name, ADDRESS, master=master)
        node = self.objects.get(NODES, name)
        node["status"]["nodeInfo"] = {"kubeletVersion": version}
        for condition in node["status"]["conditions"]:
            condition["lastHeartbeatTime"] = str(time.time() + 3600)
        self.objects.replace(NODES, name, node)

    def show_api_server(self, node: str, version: str) -> None:
        """Of another master."""
        (pod, *_) = manifests.control_plane({"kubernetesVersion": version}, "10.77.0.12")
        pod["metadata"] |= {"name": f"kube-apiserver-{node}"}
        pod["spec"]["nodeName"] = node
        pod["status"] = {"phase": "Running"}
        for old in [name for name in self.objects.all(PODS) if name == pod["metadata"]["name"]]:
            self.objects.delete(PODS, old)
        self.objects.create(PODS, pod)

    def edit(self, name: str, spec: Mapping[str, Any] | None = None, ready: str = "True") -> None:
        node = self.objects.get(NODES, name)
        node["spec"] = dict(spec or {})
        node["status"]["conditions"][0]["status"] = ready
        self.objects.replace(NODES, name, node)

    def versions(self) -> dict[str, str]:
        """Tags of the manifests."""
        paths = (self.folder / "manifests").glob("*.yaml")
        return {path.stem: manifests.image(manifests.read(path)).rpartition(":")[2] for path in paths}

    def deployed(self) -> str:
        return str(self.objects.get(DAEMON_SETS, "kube-proxy")["spec"]["template"]["spec"]["containers"][0]["image"])


class Etcd:
    def check(self) -> None:
        """It answers."""


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """Of one master and a worker, at the old version, on a machine that has the new kubeadm."""
    places = {
        "KUBERNETES": tmp_path,
        "PKI": tmp_path / "pki",
        "MANIFESTS": tmp_path / "manifests",
        "SCRATCH": tmp_path / "tmp",
        "ADMIN": tmp_path / "admin.conf",
        "KUBELET": tmp_path / "kubelet.conf",
        "KUBELET_CONFIG": tmp_path / "config.yaml",
        "ETCD_DATA": tmp_path / "etcd",
        "FAULTS": tmp_path / "faults",
    }
    for module in (certificates, faults, initialise, master, scratch, static_upgrade, upgrade, upgrade_checks):
        for name in places.keys() & vars(module).keys():
            monkeypatch.setattr(module, name, places[name])
    monkeypatch.setenv(VARIABLE, NEW)
    monkeypatch.setattr(preflight, "_runtime", lambda: [])
    monkeypatch.setattr(mirror, "_is_ready", lambda name: True)
    monkeypatch.setattr(static_upgrade, "Etcd", Etcd)
    monkeypatch.setattr(static_upgrade, "PAUSE", 0.01)
    monkeypatch.setattr(upgrade_checks, "JOB_LIMIT", 0.01)
    monkeypatch.setattr(upgrade_checks, "own_name", lambda: NODE)
    cluster = Cluster(tmp_path)
    monkeypatch.setattr(upgrade, "connect", lambda path: cluster.api)
    pki, life = create_pki("prod"), timedelta(minutes=10)
    for path, content in pki.files.items():
        master.write_private(tmp_path / "pki" / path, content)
    master.write_certificates(pki, NODE, ADDRESS, ["localhost"], life)
    master.write_kubeconfigs(pki, "localhost:8443", ADDRESS, life)
    (tmp_path / "config.yaml").write_text("kind: KubeletConfiguration\nmaxPods: 7\n")
    (tmp_path / "faults").mkdir()
    (tmp_path / "etcd").mkdir()
    (tmp_path / "etcd/member").write_text("data")
    configured = {"kubernetesVersion": OLD}
    for pod in [manifests.etcd(configured, NODE, ADDRESS), *manifests.control_plane(configured, ADDRESS)]:
        manifests.write(pod, tmp_path / "manifests")
    cluster.add(NODE, OLD)
    cluster.add("w-prod-1", OLD, master=False)
    initialise.upload_configuration(cluster.api, configured, "kind: KubeletConfiguration\n")
    addons.ensure(cluster.api, configured)
    return cluster


@pytest.fixture
def short(tmp_path: Path) -> Path:
    """A configuration that waits for nothing long."""
    path = tmp_path / "upgrade.yaml"
    timeouts = {"upgradeManifests": "0.2s", "kubernetesAPICall": "0.1s"}
    document = {"apiVersion": configuration.API, "kind": "UpgradeConfiguration", "timeouts": timeouts}
    path.write_text(yaml.safe_dump(document))
    return path


class TestApply:
    def test_the_control_plane_its_configuration_and_addons_are_at_the_version(
        self, cluster: Cluster, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = certificates.LEAVES[0].load()
        upgrade.apply(NEW, None, yes=True)
        assert cluster.versions() == {**dict.fromkeys(manifests.COMPONENTS, NEW), "etcd": Release(NEW).etcd}
        kept = yaml.safe_load(cluster.objects.get(CONFIG_MAPS, "kubeadm-config")["data"]["ClusterConfiguration"])
        assert kept["kubernetesVersion"] == NEW
        assert cluster.deployed().endswith(f":{NEW}")
        assert (cluster.folder / "config.yaml").read_text() == "kind: KubeletConfiguration\n"
        assert certificates.LEAVES[0].load().not_valid_after_utc > before.not_valid_after_utc
        said = capsys.readouterr().out
        order = [line.split('"')[1] for line in said.splitlines() if line.startswith("[upgrade/staticpods] Preparing")]
        assert order == ["etcd", *manifests.COMPONENTS]
        assert f'[upgrade] SUCCESS! A control plane node of your cluster was upgraded to "{NEW}".' in said

    def test_what_it_wrote_over_is_kept_for_ever(self, cluster: Cluster) -> None:
        upgrade.apply(NEW, None, yes=True)
        names = sorted(path.name.partition("-20")[0] for path in (cluster.folder / "tmp").iterdir())
        assert names == ["kubeadm-backup-etcd", "kubeadm-backup-manifests", "kubeadm-kubelet-config"]
        (data,) = (cluster.folder / "tmp").glob("kubeadm-backup-etcd-*/etcd/member")
        assert data.read_text() == "data"

    def test_addons_wait_for_the_last_master(self, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
        cluster.add(OTHER, OLD)
        cluster.show_api_server(OTHER, OLD)
        upgrade.apply(NEW, None, yes=True)
        skipped = f"Skipping upgrade of addons because control plane instances [{OTHER}] have not been upgraded"
        assert f"[upgrade/addon] {skipped}" in capsys.readouterr().out
        assert cluster.deployed().endswith(f":{OLD}")

    def test_once_more_changes_nothing_and_is_no_failure(
        self, cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        upgrade.apply(NEW, None, yes=True)
        monkeypatch.setattr(scratch.time, "strftime", lambda form: "later")
        upgrade.apply(NEW, None, yes=True)
        assert capsys.readouterr().out.count("are equal, skipping upgrade") == 4

    def test_who_is_killed_between_two_moves_leaves_no_manifest_and_it_cannot_be_run_again(
        self, cluster: Cluster, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (cluster.folder / "manifests/kube-scheduler.yaml").unlink()
        with pytest.raises(StandInError, match="error execution phase preflight: preflight checks failed"):
            upgrade.apply(NEW, None, yes=True)
        assert "[ERROR StaticPodManifest]: manifest files not found: [" in capsys.readouterr().err

    def test_a_pod_that_does_not_come_back_takes_all_of_them_back_but_etcd(
        self, cluster: Cluster, short: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moves: list[str] = []
        real = static_upgrade.StaticUpgrade._move

        def move(self: static_upgrade.StaticUpgrade, name: str, new: Path) -> None:
            moves.append(name)
            cluster.kubelet_runs = name != "kube-controller-manager"
            real(self, name, new)

        monkeypatch.setattr(static_upgrade.StaticUpgrade, "_move", move)
        told = "static Pod hash for component kube-controller-manager on Node m-prod-1 did not change after 0.2s"
        with pytest.raises(StandInError, match=told) as caught:
            upgrade.apply(NEW, short, yes=True)
        assert moves == ["etcd", "kube-apiserver", "kube-controller-manager"]
        assert cluster.versions() == {**dict.fromkeys(manifests.COMPONENTS, OLD), "etcd": Release(NEW).etcd}
        assert static_upgrade.RECOVERED in str(caught.value)

    def test_it_asks_unless_it_is_told_not_to(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", StringIO())
        with pytest.raises(StandInError, match="won't proceed; the user didn't answer"):
            upgrade.apply(NEW, None, yes=False)
        assert cluster.versions()["kube-apiserver"] == OLD

    def test_two_within_a_second_are_one_too_many(self, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(scratch.time, "strftime", lambda form: "now")
        upgrade.apply(NEW, None, yes=True)
        with pytest.raises(StandInError, match=r"could not create timestamp directory: mkdir .*: file exists"):
            upgrade.apply(NEW, None, yes=True)

    def test_without_a_version_there_is_nothing_to_do(self, cluster: Cluster) -> None:
        with pytest.raises(StandInError, match=r"Required arguments: \[version\]"):
            upgrade.apply("", None, yes=True)


class TestClusterHealth:
    def errors(self, capsys: pytest.CaptureFixture[str]) -> str:
        with pytest.raises(StandInError, match="preflight checks failed"):
            upgrade.apply(NEW, None, yes=True)
        return capsys.readouterr().err

    def test_every_master_has_to_be_ready(self, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
        cluster.add(OTHER, OLD)
        cluster.edit(OTHER, ready="False", spec={"unschedulable": True})
        problem = f"[ERROR ControlPlaneNodesReady]: there are NotReady control-planes in the cluster: [{OTHER}]"
        assert problem in self.errors(capsys)

    def test_where_who_takes_pods_is_silent_the_job_waits_in_vain(
        self, cluster: Cluster, capsys: pytest.CaptureFixture[str]
    ) -> None:
        cluster.edit(NODE, spec={"unschedulable": True})
        cluster.edit("w-prod-1", ready="Unknown")
        assert "did not complete in 1m0s: no condition of type Complete" in self.errors(capsys)

    def test_where_no_node_takes_pods_there_is_no_job(self, cluster: Cluster, capsys: pytest.CaptureFixture[str]) -> None:
        for name in (NODE, "w-prod-1"):
            cluster.edit(name, spec={"unschedulable": True})
        upgrade.apply(NEW, None, yes=True)
        assert upgrade_checks.SKIPPED in capsys.readouterr().err


@pytest.mark.parametrize(
    ("cluster_version", "kubeadm", "target", "fatal", "skippable"),
    [
        ("v1.37.1", "v1.37.2", "v1.37.2", "", ""),
        ("v1.37.1", "v1.38.0", "v1.38.0", "", ""),
        ("v1.37.2", "v1.37.2", "v1.37.1", "", ""),  # it goes back by a patch without a word
        ("v1.37.1", "v1.39.0", "v1.39.0", "too high; kubeadm can upgrade only 1 minor version at a time", ""),
        ("v1.37.1", "v1.37.1", "v1.38.0", r"higher than the kubeadm minor release \(38 > 37\)", ""),
        ("v1.37.1", "v1.38.0", "v1.38.1", "", 'higher than the kubeadm version "v1.38.0". Upgrade kubeadm first'),
        ("v1.37.1", "v1.38.0", "v1.37.2", "", "Kubeadm version v1.38.0 can only be used to upgrade to Kubernetes"),
        ("v1.40.0", "v1.40.0", "v1.38.0", "is too low; kubeadm can downgrade only 1 minor version at a time", "."),
    ],
)
def test_versions_follow_one_another_by_a_minor_at_most(
    cluster_version: str, kubeadm: str, target: str, fatal: str, skippable: str
) -> None:
    found = Versions(Release(cluster_version), Release(kubeadm), {"w-prod-1": Release("v1.37.1")})
    fatals, skippables = upgrade_checks.faults(found, Release(target))
    for said, expected in ((fatals, fatal), (skippables, skippable)):
        assert bool(said) == bool(expected)
        assert not expected or any(re.search(expected, line) for line in said)


def test_kubelets_may_be_three_minors_behind() -> None:
    found = Versions(Release("v1.40.0"), Release("v1.41.0"), {"w-prod-1": Release("v1.37.1")})
    assert "too old that have these versions [v1.37.1]" in upgrade_checks.faults(found, Release("v1.41.0"))[1][0]


class TestNode:
    def test_a_master_goes_where_the_clusters_configuration_is(
        self, cluster: Cluster, capsys: pytest.CaptureFixture[str]
    ) -> None:
        initialise.upload_configuration(cluster.api, {"kubernetesVersion": NEW}, "kind: KubeletConfiguration\n")
        upgrade.node(None)
        assert cluster.versions()["kube-apiserver"] == NEW
        assert cluster.deployed().endswith(f":{NEW}")
        assert "[upgrade] SUCCESS!" not in capsys.readouterr().out

    def test_a_worker_has_its_kubelet_configured_and_nothing_else(
        self, cluster: Cluster, capsys: pytest.CaptureFixture[str]
    ) -> None:
        for path in (cluster.folder / "manifests").iterdir():
            path.unlink()
        (cluster.folder / "kubelet.conf").touch()
        upgrade.node(None)
        said = capsys.readouterr().out
        assert "[upgrade/control-plane] Skipping phase. Not a control plane node." in said
        assert (cluster.folder / "config.yaml").read_text() == "kind: KubeletConfiguration\n"

    def test_a_master_whose_api_server_has_no_manifest_is_taken_for_a_worker(self, cluster: Cluster) -> None:
        (cluster.folder / "manifests/kube-apiserver.yaml").unlink()
        (cluster.folder / "kubelet.conf").touch()
        upgrade.node(None)
        assert cluster.versions()["kube-scheduler"] == OLD

    def test_certificates_are_left_where_that_is_said(self, cluster: Cluster, short: Path) -> None:
        document = yaml.safe_load(short.read_text()) | {"node": {"certificateRenewal": False}}
        short.write_text(yaml.safe_dump(document))
        initialise.upload_configuration(cluster.api, {"kubernetesVersion": NEW}, "kind: KubeletConfiguration\n")
        before = (cluster.folder / "pki/apiserver.crt").read_bytes()
        upgrade.node(short)
        assert cluster.versions()["kube-apiserver"] == NEW
        assert (cluster.folder / "pki/apiserver.crt").read_bytes() == before


@pytest.mark.parametrize("name", ["kubeadm-config", "kubelet-config"])
def test_what_a_cluster_keeps_for_kubeadm_has_to_be_there(cluster: Cluster, name: str) -> None:
    cluster.objects.delete(CONFIG_MAPS, name)
    with pytest.raises(StandInError, match=f'FATAL: the ConfigMap "{name}" in the "kube-system" namespace was not found'):
        upgrade.apply(NEW, None, yes=True)


def test_an_administrators_kubeconfig_has_to_be_there(cluster: Cluster) -> None:
    (cluster.folder / "admin.conf").unlink()
    with pytest.raises(StandInError, match="couldn't create a Kubernetes client from file"):
        upgrade.apply(NEW, None, yes=True)


def test_a_master_is_known_by_its_api_servers_pod(cluster: Cluster, short: Path) -> None:
    cluster.kubelet_runs = False
    cluster.objects.delete(PODS, f"kube-apiserver-{NODE}")
    with pytest.raises(StandInError, match='API server pod for node name "m-prod-1" has 0 entries, only one was expected'):
        upgrade.apply(NEW, short, yes=True)


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"aply": {}}, "aply"),
        ({"apply": {"version": "v1"}}, "apply.version"),
        ({"node": {"kubernetesVersion": "v1"}}, "node.kubernetesVersion"),
        ({"timeouts": {"upgrade": "1m"}}, "timeouts.upgrade"),
    ],
)
def test_what_its_configuration_does_not_know_is_refused(tmp_path: Path, document: dict[str, Any], field: str) -> None:
    path = tmp_path / "upgrade.yaml"
    path.write_text(yaml.safe_dump({"apiVersion": configuration.API, "kind": "UpgradeConfiguration", **document}))
    with pytest.raises(StandInError, match=f'unknown field "{field}"'):
        configuration.read(path, "UpgradeConfiguration")


def test_a_node_is_called_what_its_kubelets_certificate_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair = sign_client(create_pki("prod").authority("ca"), f"system:node:{NODE}", "system:nodes", timedelta(days=1))
    (tmp_path / "kubelet.pem").write_bytes(pair.certificate + pair.key)
    monkeypatch.setattr(upgrade_checks, "KUBELET_CERTIFICATE", tmp_path / "kubelet.pem")
    assert upgrade_checks.own_name() == NODE


def test_workloads_are_told_as_rolled_out(cluster: Cluster) -> None:
    status = cluster.api.expect("GET", f"{DAEMON_SETS}/kube-proxy")["status"]
    assert status["desiredNumberScheduled"] == status["updatedNumberScheduled"] == 2
    assert cluster.api.expect("GET", f"{DEPLOYMENTS}/coredns")["status"]["updatedReplicas"] == 2


def test_pods_go_with_their_node(cluster: Cluster) -> None:
    cluster.show_api_server(OTHER, OLD)
    call = Call("DELETE", f"{NODES}/{OTHER}", {}, {}, "admin", frozenset(), "")
    upkeep.collect(call, cluster.objects)
    assert f"kube-apiserver-{OTHER}" not in cluster.objects.all(PODS)
