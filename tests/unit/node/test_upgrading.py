"""How an upgrade calls kubeadm, and what it makes of what one that was killed has left: with a program in its place."""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_provision_node import patience, upgrading
from kube_provision_node.kubeadm import KubeadmError
from kube_provision_node.settings import Places
from kube_provision_node.static_pods import PODS
from kube_provision_node.upgrading import UpgradingKubeadm, image_version

KUBEADM = """#!/bin/sh
if [ "$1" = version ]; then echo v1.37.2; exit; fi
echo "kubeadm $*" >>{root}/told
for last; do :; done
cp "$last" {root}/configuration
"""


class Machine:
    """A master that is a folder."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root, self.kubernetes = root, root / "etc/kubernetes"
        (root / "bin").mkdir()
        (self.kubernetes / "manifests").mkdir(parents=True)
        monkeypatch.setenv("PATH", f"{root / 'bin'}:{os.environ['PATH']}")
        self.program("kubeadm", KUBEADM.format(root=root))
        self.runs_on("none")
        self.kubeadm = UpgradingKubeadm(Places(root))

    def program(self, name: str, script: str) -> None:
        path = self.root / "bin" / name
        path.write_text(script)
        path.chmod(0o755)

    def runs_on(self, hypervisor: str) -> None:
        self.program("systemd-detect-virt", f"#!/bin/sh\necho {hypervisor}\n")

    def manifest(self, name: str, text: str = "new\n") -> Path:
        path = self.kubernetes / f"manifests/{name}.yaml"
        path.write_text(text)
        return path

    def kept(self, folder: str, name: str, text: str) -> Path:
        path = self.kubernetes / "tmp" / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    @property
    def configuration(self) -> dict[str, Any]:
        document: dict[str, Any] = yaml.safe_load((self.root / "configuration").read_text())
        return document


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_kubeadm_is_asked_for_the_exact_version_and_asks_nobody(machine: Machine) -> None:
    machine.kubeadm.upgrade_apply("1.37.2")
    file = machine.root / "run/kube-provision/kubeadm-upgrade.yaml"
    assert (machine.root / "told").read_text() == f"kubeadm upgrade apply v1.37.2 --yes --config {file}\n"
    assert not file.exists()


def test_other_nodes_follow_the_cluster(machine: Machine) -> None:
    machine.kubeadm.upgrade_node()
    file = machine.root / "run/kube-provision/kubeadm-upgrade.yaml"
    assert (machine.root / "told").read_text() == f"kubeadm upgrade node --config {file}\n"


@pytest.mark.parametrize(("hypervisor", "kind", "ignored"), [("vmware", 0, []), ("qemu", 1, ["CreateJob"])])
def test_it_waits_as_long_as_the_machine_needs(machine: Machine, hypervisor: str, kind: int, ignored: list[str]) -> None:
    machine.runs_on(hypervisor)
    machine.kubeadm.upgrade_node()
    told = machine.configuration
    options = {"certificateRenewal": False, "imagePullPolicy": "IfNotPresent", "ignorePreflightErrors": ignored}
    assert (told["apiVersion"], told["kind"]) == ("kubeadm.k8s.io/v1beta4", "UpgradeConfiguration")
    assert (told["apply"], told["node"]) == (options, options)
    assert told["timeouts"] == {name: f"{seconds[kind]}s" for name, seconds in patience.WAITS.items()}


def test_patches_of_the_node_are_applied_again(machine: Machine) -> None:
    """kubeadm remembers none of an init or a join."""
    folder = machine.root / "etc/kubernetes/patches"
    folder.mkdir(parents=True)
    machine.kubeadm.upgrade_node()
    told = machine.configuration
    assert told["apply"]["patches"] == told["node"]["patches"] == {"directory": str(folder)}


def test_all_waits_of_an_upgrade_end_before_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What kubeadm has waited for in vain only kubeadm can say: one for each pod, at least."""
    monkeypatch.setattr(patience, "is_emulated", lambda: False)
    assert upgrading._limit() > sum(patience.wait(name) for name in upgrading.ONE_AFTER_ANOTHER)
    assert upgrading.ONE_AFTER_ANOTHER.count("upgradeManifests") > len(PODS)


@pytest.mark.parametrize("installed", ["v1.36.4", "v1.37.1", "v1.37.3"])
def test_another_kubeadm_is_refused(machine: Machine, installed: str) -> None:
    machine.program("kubeadm", f"#!/bin/sh\necho {installed}\n")
    with pytest.raises(KubeadmError, match=rf"^kubeadm here is {installed}, and v1\.37\.2 is needed: nothing was changed$"):
        machine.kubeadm.require("1.37.2")


CREATE_JOB = r"""\
[preflight] Some fatal errors occurred:
	[ERROR CreateJob]: Job \"upgrade-health-check-1764379000123\" in the namespace \"kube-system\" did not complete in 1m0s
[preflight] If you know what you are doing, you can make a check non-fatal with \`--ignore-preflight-errors=...\`
error: error execution phase preflight: preflight checks failed
To see the stack trace of this error execute with --v=5 or higher"""


def test_what_kubeadm_complains_of_is_told_with_what_helps(machine: Machine) -> None:
    machine.program("kubeadm", f'#!/bin/sh\necho "{CREATE_JOB}" >&2\nexit 1\n')
    with pytest.raises(KubeadmError) as caught:
        machine.kubeadm.upgrade_apply("1.37.2")
    told = str(caught.value)
    assert told.startswith("kubeadm upgrade: exit code 1: error execution phase preflight")
    assert '[ERROR CreateJob]: Job "upgrade-health-check-' in told
    assert told.endswith("kubectl --namespace kube-system get pods")
    assert not (machine.root / "run/kube-provision/kubeadm-upgrade.yaml").exists()


# --- what is left --------------------------------------------------------------------------------------------------


def test_a_manifest_that_was_on_its_way_is_put_back_as_it_was(machine: Machine) -> None:
    """The newest one. With its time, by which it is known whether its pod has begun since."""
    for pod in PODS[1:]:
        machine.manifest(pod.name)
    machine.kept("kubeadm-backup-manifests-2026-11-28-23-59-59", "etcd.yaml", "oldest\n")
    newest = machine.kept("kubeadm-backup-manifests-2026-11-29-00-10-00", "etcd.yaml", "old\n")
    machine.kept("kubeadm-backup-manifests-2026-11-29-00-20-00", "kube-apiserver.yaml", "of another\n")
    os.utime(newest, (1e9, 1e9))
    machine.kubeadm.put_back()
    manifest = machine.kubernetes / "manifests/etcd.yaml"
    assert (manifest.read_text(), manifest.stat().st_mtime) == ("old\n", 1e9)
    assert (machine.kubernetes / "manifests/kube-apiserver.yaml").read_text() == "new\n"


def test_what_is_there_stays(machine: Machine) -> None:
    for pod in PODS:
        machine.manifest(pod.name)
        machine.kept("kubeadm-backup-manifests-2026-11-29-00-10-00", f"{pod.name}.yaml", "old\n")
    machine.kubeadm.put_back()
    assert {path.read_text() for path in (machine.kubernetes / "manifests").iterdir()} == {"new\n"}


def test_a_manifest_that_is_nowhere_is_told(machine: Machine) -> None:
    with pytest.raises(KubeadmError, match=r"manifests/etcd\.yaml is missing, and kubeadm has left no copy"):
        machine.kubeadm.put_back()


def test_copies_of_secrets_go_when_all_is_well(machine: Machine) -> None:
    machine.kept("kubeadm-backup-etcd-2026-11-29-00-10-00", "etcd", "every secret\n")
    machine.kept("kubeadm-backup-manifests-2026-11-29-00-10-00", "etcd.yaml", "old\n")
    machine.kept("kubeadm-upgraded-manifests123", "etcd.yaml", "new\n")
    mine = machine.kept("mine", "notes", "of the administrator's\n")
    machine.kubeadm.tidy()
    assert [path for path in (machine.kubernetes / "tmp").rglob("*") if path.is_file()] == [mine]


def test_room_for_a_copy_of_etcds_data_is_asked_for_before(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "free")
    data = machine.root / "var/lib/etcd/member/snap/db"
    data.parent.mkdir(parents=True)
    with data.open("wb") as file:
        file.truncate(1024 * 2**20)
    monkeypatch.setattr(upgrading.shutil, "disk_usage", lambda _: usage(1100 * 2**20))
    machine.kubeadm.require_room()
    monkeypatch.setattr(upgrading.shutil, "disk_usage", lambda _: usage(1080 * 2**20))
    with pytest.raises(KubeadmError, match=r"needs 1088 MiB there; 1080 MiB are free$"):
        machine.kubeadm.require_room()


@pytest.mark.parametrize(
    ("line", "version"),
    [
        ("    image: registry.k8s.io/kube-apiserver:v1.37.2", "1.37.2"),
        ("    image: mirror.example:5000/k8s/kube-apiserver:v1.37.2", "1.37.2"),
        ('    image: "registry.k8s.io/etcd:3.6.6-0"', "3.6.6-0"),
        ("    image: registry.k8s.io/kube-apiserver:v1.38.0-rc.1", "1.38.0-rc.1"),
        ("  - image: registry.k8s.io/kube-apiserver:v1.37.2", "1.37.2"),
        ("    imagePullPolicy: IfNotPresent", ""),
    ],
)
def test_a_manifest_tells_the_version_that_it_runs(line: str, version: str) -> None:
    assert image_version(f"spec:\n  containers:\n  - command:\n    - kube-apiserver\n{line}\n    name: it\n") == version
