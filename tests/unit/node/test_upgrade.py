"""A node that is upgraded, on a disk of its own, by a program in kubeadm's place that moves manifests as kubeadm does.

etcd is asked by `leadership` and `etcd`, which have tests of their own on real ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kube_provision_core.boot.tasks.upgrade import CONTROL_PLANE_LIMIT
from kube_provision_node import etcd, leadership, patience, upgrade, upgrading
from kube_provision_node.kubeadm import KubeadmError
from kube_provision_node.settings import Places
from kube_provision_node.static_pods import PODS, StaticPod, StaticPods
from kube_provision_node.upgrade import Upgrade, UpgradeError
from kube_provision_node.upgrading import UpgradingKubeadm

OLD, NEW = "1.36.4", "1.37.2"
OWN, OTHERS = "10.77.0.11", ["10.77.0.12", "10.77.0.13"]

KUBEADM = """#!/bin/bash
# Each pod's old manifest is moved away, and then the new one in. `die` names the place where everything is killed.
cd {root}
[ "$1" = version ] && {{ cat installed; exit; }}
echo "kubeadm $*" | sed 's/ --config.*//' >>events
[ ! -e refuse ] || {{ echo 'error: error execution phase preflight: preflight checks failed' >&2; exit 1; }}
[ -e etc/kubernetes/manifests/kube-apiserver.yaml ] || exit 0  # a worker, it believes
place=0
at() {{ place=$((place + 1)); if [ "$(cat die)" = $place ]; then kill -9 $PPID; exit 1; fi; }}
copies=$(mktemp -d etc/kubernetes/tmp/kubeadm-backup-manifests-$(date +%F-%H-%M-%S-%N)XXX)
mktemp -d etc/kubernetes/tmp/kubeadm-backup-etcd-XXXX >/dev/null
at
for pod in etcd kube-apiserver kube-controller-manager kube-scheduler; do
  manifest=etc/kubernetes/manifests/$pod.yaml
  sed 's/:v1.*/:v{new}/' $manifest >etc/kubernetes/tmp/new
  cmp --silent $manifest etc/kubernetes/tmp/new && continue
  mv $manifest $copies/
  at
  mv etc/kubernetes/tmp/new $manifest
  at
done
"""
PLACES = range(1, 9)
"""Of `at`: the first, and two for each pod whose manifest changes; then the end, where nothing is killed."""


class Unavailable(Exception):
    """Discovery is gone."""


@dataclass
class Discovery:
    """On the disk, so that it outlives whoever is killed."""

    root: Path
    there: bool = True
    others: list[str] = field(default_factory=lambda: list(OTHERS))
    stubborn: bool = False
    """It goes on naming who has withdrawn."""

    def address(self) -> str:
        return OWN

    @contextmanager
    def lock(self, limit: float) -> Iterator[None]:
        if not self.there:
            raise Unavailable("the Consul agent does not answer")
        self.tell("locked")
        try:
            yield
        finally:
            self.tell("unlocked")

    def register(self) -> None:
        self.tell("registered")
        (self.root / "listed").touch()

    def withdraw(self) -> None:
        self.tell("withdrawn")
        if not self.stubborn:
            (self.root / "listed").unlink(missing_ok=True)

    def masters(self, index: str, wait: float) -> tuple[str, list[str]]:
        return "1", [*self.others, *([OWN] if (self.root / "listed").exists() else [])]

    def tell(self, event: str) -> None:
        with (self.root / "events").open("a") as file:
            file.write(f"{event}\n")


class Mute(Discovery):
    """Its client was made before there was `withdraw`."""

    withdraw = None  # type: ignore[assignment]


@dataclass(frozen=True)
class Pods(StaticPods):
    """Whatever has a manifest runs, but for those named in `ill`."""

    ill: tuple[str, ...] = ()

    def answer(self, pod: StaticPod) -> str:
        return f"port {pod.port}: Connection refused" if self.is_ill(pod) else ""

    def trouble(self, pod: StaticPod) -> str:
        return "it has not been started again yet" if self.is_ill(pod) else ""

    def is_ill(self, pod: StaticPod) -> bool:
        return pod.name in self.ill or not self.manifest(pod).exists() or (self.places.root / "down").exists()


@dataclass
class Node:
    root: Path
    discovery: Any
    ill: tuple[str, ...] = ()
    slept: list[float] = field(default_factory=list)

    @property
    def upgrade(self) -> Upgrade:
        places = Places(self.root)
        kubeadm, pods = UpgradingKubeadm(places), Pods(places, ill=self.ill)
        return Upgrade(places, self.discovery, Unavailable, kubeadm, pods, self.sleep)

    def run(self, verb: str = "node") -> None:
        self.upgrade.run(verb, NEW)

    def sleep(self, seconds: float) -> None:
        assert len(self.slept) < 20, "it waits for what does not come"
        self.slept.append(seconds)

    def run_and_be_killed(self, verb: str) -> int:
        """By SIGKILL, in a process of its own; its exit status."""
        child = os.fork()
        if child == 0:
            try:
                self.run(verb)
            finally:
                os._exit(0)
        return os.waitpid(child, 0)[1]

    @property
    def events(self) -> list[str]:
        return (self.root / "events").read_text().splitlines()

    @property
    def versions(self) -> set[str]:
        manifests = [self.root / f"etc/kubernetes/manifests/{pod.name}.yaml" for pod in PODS if pod.name != "etcd"]
        return {upgrading.image_version(path.read_text()) for path in manifests}


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    """The first of three masters."""
    for name in ("bin", "etc/kubernetes/manifests", "etc/kubernetes/tmp", "var/lib/kube-provision"):
        (tmp_path / name).mkdir(parents=True)
    for pod in PODS:
        version = "3.6.6-0" if pod.name == "etcd" else f"v{OLD}"
        text = f"metadata:\n  name: {pod.name}\nspec:\n  containers:\n  - image: registry.k8s.io/{pod.name}:{version}\n"
        (tmp_path / f"etc/kubernetes/manifests/{pod.name}.yaml").write_text(text)
    (tmp_path / "bin/kubeadm").write_text(KUBEADM.format(root=tmp_path, new=NEW))
    (tmp_path / "bin/kubeadm").chmod(0o755)
    for name, text in {"installed": f"v{NEW}\n", "die": "0\n", "listed": "", "events": ""}.items():
        (tmp_path / name).write_text(text)
    discovery = Discovery(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(patience, "is_emulated", lambda: False)
    monkeypatch.setattr(etcd, "masters", lambda _: [OWN, *OTHERS])
    monkeypatch.setattr(leadership, "move_away", lambda *_, **__: discovery.tell("follows another leader"))
    return Node(tmp_path, discovery)


AROUND = (["locked", "withdrawn", "follows another leader"], ["registered", "unlocked"])


@pytest.mark.parametrize(("verb", "command"), [("apply", f"upgrade apply v{NEW} --yes"), ("node", "upgrade node")])
def test_a_master_leaves_is_upgraded_and_comes_back(node: Node, verb: str, command: str) -> None:
    before, after = AROUND
    node.run(verb)
    assert node.events == [*before, f"kubeadm {command}", *after]
    assert node.versions == {NEW}
    assert not [*(node.root / "etc/kubernetes/tmp").glob("kubeadm-*")]


def test_followers_are_given_time_to_lead_elsewhere(node: Node) -> None:
    node.run()
    assert node.slept == [upgrade.SETTLING]


def test_it_says_what_it_does(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    node.run("apply")
    doing = [line.removeprefix("now: ") for line in caplog.messages if line.startswith("now: ")]
    assert doing == [
        "waits for its turn",
        "leaves the list of masters",
        f"upgrades the control plane to {NEW}",
        "comes back to the list of masters",
    ]


def test_done_again_it_changes_nothing(node: Node) -> None:
    for _ in range(2):
        node.run("apply")
    assert node.versions == {NEW}
    assert (node.root / "listed").exists()


@pytest.mark.parametrize("verb", ["apply", "node"])
@pytest.mark.parametrize("place", PLACES)
def test_it_goes_on_wherever_it_was_killed(node: Node, place: int, verb: str) -> None:
    (node.root / "die").write_text(f"{place}\n")
    status = node.run_and_be_killed(verb)
    assert os.WIFSIGNALED(status) == (place < PLACES[-1])
    (node.root / "die").write_text("0\n")
    node.run(verb)
    assert node.versions == {NEW}
    assert (node.root / "listed").exists()
    assert len([*(node.root / "etc/kubernetes/manifests").iterdir()]) == len(PODS)
    assert not [*(node.root / "etc/kubernetes/tmp").glob("kubeadm-*")]


def test_it_goes_on_however_often_it_is_killed(node: Node) -> None:
    for place in (3, 2, 2, 1):
        (node.root / "die").write_text(f"{place}\n")
        assert os.WIFSIGNALED(node.run_and_be_killed("apply"))
    (node.root / "die").write_text("0\n")
    node.run("apply")
    assert node.versions == {NEW}


def test_where_kubeadm_fails_a_master_that_serves_comes_back(node: Node) -> None:
    (node.root / "refuse").touch()
    with pytest.raises(KubeadmError, match="preflight checks failed"):
        node.run("apply")
    assert node.events[-2:] == ["registered", "unlocked"]
    assert (node.root / "listed").exists()


def test_one_that_does_not_serve_does_not_come_back(node: Node) -> None:
    script = f"#!/bin/sh\n[ $1 = version ] && echo v{NEW} && exit\ntouch {node.root}/down\nexit 1\n"
    (node.root / "bin/kubeadm").write_text(script)
    with pytest.raises(KubeadmError, match="exit code 1"):
        node.run()
    assert node.events == [*AROUND[0], "unlocked"]


def test_a_success_that_has_not_come_to_pass_is_a_failure(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a configuration of the cluster is still of the old version."""
    monkeypatch.setattr(patience, "wait", lambda _: 0.0)
    monkeypatch.setattr(upgrading, "_limit", lambda: 60.0)
    (node.root / "bin/kubeadm").write_text(f"#!/bin/sh\n[ $1 != version ] || echo v{NEW}\n")
    with pytest.raises(UpgradeError, match=rf"waits for kube-apiserver: its manifest is of {OLD}, not {NEW}$"):
        node.run()
    assert node.events[-2:] == ["registered", "unlocked"]


def test_nobody_is_left_to_a_master_that_others_would_miss(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.discovery.others = OTHERS[:1]
    monkeypatch.setattr(upgrade, "TURN_LIMIT", 0.0)
    with pytest.raises(UpgradeError, match=rf"waits until all masters are healthy: discovery does not see {OTHERS[1]}$"):
        node.run()
    assert set(node.events) == {"locked", "unlocked"}
    assert node.versions == {OLD}


def test_one_that_was_killed_while_it_was_away_does_not_wait_for_itself(node: Node) -> None:
    (node.root / "listed").unlink()
    node.run()
    assert node.versions == {NEW}


def test_discovery_is_waited_for_and_nothing_is_touched(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.discovery.there = False
    monkeypatch.setattr(upgrade, "TURN_LIMIT", 0.0)
    with pytest.raises(UpgradeError, match=r"discovery unreachable: the Consul agent does not answer$"):
        node.run()
    assert node.events == []


def test_a_list_that_goes_on_naming_it_keeps_it_from_going(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.discovery.stubborn = True
    monkeypatch.setattr(upgrade, "LIST_LIMIT", 0.0)
    with pytest.raises(UpgradeError, match="waits until discovery no longer names this master"):
        node.run()
    assert node.events == ["locked", "withdrawn", "registered", "unlocked"]


def test_discovery_that_is_gone_afterwards_makes_no_failure(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_: Discovery) -> None:
        raise Unavailable("the Consul agent does not answer")

    monkeypatch.setattr(Discovery, "register", gone)
    node.run()
    assert node.versions == {NEW}


def test_the_only_master_is_led_to_whatever_discovery_says(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "masters", lambda _: [OWN])
    node.run("apply")
    assert node.events == ["locked", f"kubeadm upgrade apply v{NEW} --yes", "unlocked"]


def test_a_client_of_an_earlier_version_is_told(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    node.discovery = Mute(node.root)
    node.run()
    assert any("before it could withdraw" in line for line in caplog.messages)
    assert "withdrawn" not in node.events
    assert node.versions == {NEW}


def test_what_is_ill_beforehand_is_waited_for(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.ill = ("kube-scheduler",)
    monkeypatch.setattr(patience, "wait", lambda _: 0.0)
    with pytest.raises(UpgradeError, match=r"waits for kube-scheduler: port 10259: Connection refused$"):
        node.run()
    assert node.events == []


def test_a_renewal_that_was_broken_off_comes_first(node: Node) -> None:
    """kubeadm would read half a certificate, and the renewal would put older ones over newer ones."""
    (node.root / "var/lib/kube-provision/certificates-before").mkdir()
    with pytest.raises(UpgradeError, match="a renewal of certificates was broken off here"):
        node.run()
    assert node.events == []


@pytest.mark.parametrize("verb", ["apply", "node", "worker"])
def test_another_kubeadm_changes_nothing(node: Node, verb: str) -> None:
    (node.root / "installed").write_text(f"v{OLD}\n")
    with pytest.raises(KubeadmError, match="nothing was changed"):
        node.run(verb)
    assert node.events == []


def test_a_worker_asks_nobody_for_its_turn(node: Node) -> None:
    for path in (node.root / "etc/kubernetes/manifests").iterdir():
        path.unlink()
    node.discovery.there = False
    node.run("worker")
    assert node.events == ["kubeadm upgrade node"]


@pytest.mark.parametrize("emulated", [False, True])
def test_all_waits_end_before_the_step(emulated: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "is_emulated", lambda: emulated)
    waits = [upgrade.TURN_LIMIT, upgrade.LOCK_LIMIT, 2 * upgrade.LIST_LIMIT, leadership.LIMIT, upgrade.SETTLING]
    assert sum(waits) + 2 * patience.wait(upgrade.HEALTH) + upgrading._limit() < CONTROL_PLANE_LIMIT


def test_a_master_that_is_about_to_be_started_anew_leaves_and_returns(node: Node) -> None:
    for _ in range(2):  # it may be killed anywhere
        node.upgrade.leave()
    assert node.events == [*AROUND[0], "unlocked"] * 2
    assert not (node.root / "listed").exists()
    node.upgrade.come_back()
    assert node.events[-1] == "registered"
    assert (node.root / "listed").exists()
    assert node.versions == {OLD}


def test_one_that_others_would_miss_does_not_leave(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.discovery.others = OTHERS[:1]
    monkeypatch.setattr(upgrade, "TURN_LIMIT", 0.0)
    with pytest.raises(UpgradeError, match="waits until all masters are healthy"):
        node.upgrade.leave()
    assert (node.root / "listed").exists()


def test_the_only_master_has_nobody_to_leave_to(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etcd, "masters", lambda _: [OWN])
    node.upgrade.leave()
    assert node.events == ["locked", "unlocked"]


@pytest.mark.parametrize("what", ["leave", "come_back"])
def test_an_ill_master_neither_leaves_nor_returns(node: Node, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    node.ill = ("kube-scheduler",)
    monkeypatch.setattr(patience, "wait", lambda _: 0.0)
    with pytest.raises(UpgradeError, match=r"waits for kube-scheduler: port 10259: Connection refused$"):
        getattr(node.upgrade, what)()
    assert node.events == []
