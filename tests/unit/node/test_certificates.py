"""When a master renews its certificates, and what it does wherever it is broken off."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from machines.standins import master

from kube_provision_core.folder.pki import create_pki
from kube_provision_node import etcd
from kube_provision_node.certificates import DAY, Renewal, RenewalError, has_its_day, late, number
from kube_provision_node.choreography import LOCK_LIMIT
from kube_provision_node.kubeadm import Kubeadm, KubeadmError
from kube_provision_node.settings import Node, Places
from kube_provision_node.static_pods import PODS, PodError, StaticPod, StaticPods
from kube_provision_node.validity import Validity, read_validity

TESTS = Path(__file__).parents[2]
KUBEADM = """#!{python}
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from machines.standins import certificates
certificates.KUBERNETES = Path({kubernetes!r})
certificates.PKI = Path({kubernetes!r}, "pki")
def connect():
    raise OSError("no cluster")
certificates.connect = connect
assert sys.argv[1:] == ["certs", "renew", "all"], sys.argv
certificates.renew("all")
"""
YEAR = timedelta(days=365)
NAMES = [f"m-prod-{index}" for index in range(1, 8)]
ADDRESSES = ["10.77.0.11", "10.77.0.12", "10.77.0.13"]


class Unavailable(Exception):
    """Discovery is gone."""


@dataclass
class Discovery:
    """Who holds the lock, whom it sees, and whether it answers."""

    there: bool = True
    healthy: list[str] = field(default_factory=lambda: list(ADDRESSES))
    held: bool = False
    waits: list[float] = field(default_factory=list)
    """For how long whoever took the lock would have waited for it."""
    meanwhile: Callable[[], None] = lambda: None
    """What happens while the lock is held."""

    @contextmanager
    def lock(self, limit: float) -> Iterator[None]:
        if not self.there:
            raise Unavailable("the Consul agent does not answer")
        self.held = True
        self.waits.append(limit)
        try:
            self.meanwhile()
            yield
        finally:
            self.held = False

    def masters(self, index: str, wait: float) -> tuple[str, list[str]]:
        return "", self.healthy


@dataclass
class Master:
    """A master of a cluster of three, on a disk of its own."""

    root: Path
    discovery: Discovery = field(default_factory=Discovery)
    at: float = 0.0
    """Seconds since the first certificate began to be valid."""
    name: str = "m-prod-1"
    broken: str = ""
    """The pod that does not come back."""
    begin: float = 0.0
    started: list[tuple[str, str, bool]] = field(default_factory=list)
    """Pods that were started anew: name, mark, and whether the lock was held."""

    @property
    def kubernetes(self) -> Path:
        return self.root / "etc/kubernetes"

    def end(self, name: str = "pki/apiserver.crt") -> float:
        return read_validity(self.kubernetes / name).end

    def renew(self, *, at_once: bool = False) -> str:
        places = Places(self.root)
        node = Node(self.name, "master", "prod", "id")
        client: Any = self.discovery
        pods = Pods(places, master=self)
        kubeadm = Kubeadm(places)
        return Renewal(places, node, client, Unavailable, kubeadm, pods, self.now).run(at_once=at_once)

    def now(self) -> float:
        return self.begin + self.at


@dataclass(frozen=True)
class Pods(StaticPods):
    master: Master | None = None

    def restart(self, pod: StaticPod, mark: str, limit: float) -> None:
        assert self.master
        if pod.name == self.master.broken:
            raise PodError(f"{pod.name} is not healthy")
        self.master.started.append((pod.name, mark, self.master.discovery.held))


@pytest.fixture
def first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Master:
    """Its certificates live for a year."""
    return make(tmp_path, monkeypatch, YEAR)


def make(root: Path, monkeypatch: pytest.MonkeyPatch, life: timedelta) -> Master:
    kubernetes = root / "etc/kubernetes"
    monkeypatch.setattr(master, "KUBERNETES", kubernetes)
    monkeypatch.setattr(master, "PKI", kubernetes / "pki")
    monkeypatch.setattr(master, "ADMIN", kubernetes / "admin.conf")
    pki = create_pki("prod")
    for path, content in pki.files.items():
        master.write_private(kubernetes / "pki" / path, content)
    master.write_certificates(pki, "m-prod-1", ADDRESSES[0], ["localhost"], life)
    master.write_kubeconfigs(pki, "localhost:8443", ADDRESSES[0], life)
    (root / "var/lib/kube-provision").mkdir(parents=True)
    (root / "var/lib/kube-provision/member").touch()
    program = root / "bin/kubeadm"
    program.parent.mkdir()
    path = [str(TESTS), str(TESTS.parent)]
    program.write_text(KUBEADM.format(python=sys.executable, path=path, kubernetes=str(kubernetes)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(etcd, "masters", lambda _: ADDRESSES)
    return Master(root, begin=read_validity(kubernetes / "pki/apiserver.crt").begin)


class TestTime:
    def test_nothing_happens_while_there_is_time(self, first: Master) -> None:
        first.at = 274 * DAY
        assert first.renew().startswith("nothing to renew: the first certificate ends on ")
        assert not first.started

    def test_ninety_days_before_the_end_all_are_renewed(self, first: Master) -> None:
        first.at = 276 * DAY
        before = first.end()
        assert first.renew() == "renewed"
        assert first.end() >= before
        assert [name for name, _, held in first.started if held] == [pod.name for pod in PODS]

    def test_of_a_short_life_a_third_counts(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        short = make(tmp_path, monkeypatch, timedelta(minutes=55))  # valid for an hour, as it begins in the past
        short.at = 39 * 60
        assert short.renew().startswith("nothing to renew")
        short.at = 41 * 60
        assert short.renew() == "renewed"

    def test_one_that_is_asked_for_happens_at_once(self, first: Master) -> None:
        assert first.renew(at_once=True) == "renewed"

    def test_one_that_is_asked_for_waits_for_all_whose_turn_comes_before(self, first: Master) -> None:
        first.renew(at_once=True)
        first.at = 366 * DAY - 20 * DAY
        first.renew()
        asked, timed = first.discovery.waits
        assert asked == LOCK_LIMIT > timed

    def test_who_is_no_member_has_none(self, first: Master) -> None:
        (first.root / "var/lib/kube-provision/member").unlink()
        first.at = 364 * DAY
        assert first.renew() == "nothing to renew: no member of the control plane yet"


class TestOthers:
    def test_without_discovery_nothing_is_touched_while_there_is_time(self, first: Master) -> None:
        first.discovery.there, first.at = False, 300 * DAY
        before = first.end()
        with pytest.raises(Unavailable):
            first.renew()
        assert (first.end(), first.started) == (before, [])

    def test_without_discovery_masters_have_two_days_of_their_own_in_the_end(self) -> None:
        life = Validity(20_000 * DAY, 20_365 * DAY)
        last = [life.end - 13.5 * DAY + day * DAY for day in range(14)]
        days = {name: {day for day in last if has_its_day(name, day, life)} for name in NAMES}
        assert [len(own) for own in days.values()] == [2] * 7
        assert len(set.union(*days.values())) == 14

    def test_a_day_is_shorter_for_who_lives_shorter(self) -> None:
        life = Validity(1_000_000.0, 1_003_600.0)
        assert late(life) == pytest.approx(187, abs=1)
        turns = [[name for name in NAMES if has_its_day(name, life.end - 1 - second, life)] for second in range(180)]
        assert all(len(turn) == 1 for turn in turns)
        assert {turn[0] for turn in turns} == set(NAMES)

    def test_a_master_waits_for_its_day(self, first: Master) -> None:
        first.discovery.there = False
        for first.at in (351.5 * DAY + day * DAY for day in range(7)):
            said = first.renew()
            if first.started:
                break
            assert said.startswith("waits for this master's day: the first certificate ends on ")
        assert said == "renewed without the cluster's lock"

    def test_what_has_ended_waits_for_no_day(self, first: Master) -> None:
        first.discovery.there = False
        for index in range(1, 8):
            first.name, first.at = f"m-prod-{index}", (366 + 400 * index) * DAY
            assert first.renew() == "renewed without the cluster's lock"

    def test_a_master_that_others_would_miss_is_waited_for(self, first: Master) -> None:
        first.at = 300 * DAY
        first.discovery.healthy.remove(ADDRESSES[2])
        assert first.renew() == "waits until all masters are healthy: discovery does not see 10.77.0.13"
        assert not first.started

    def test_names_tell_masters_apart(self) -> None:
        assert [number(name) for name in ("m-prod-1", "m-prod-12", "odd")] == [1, 12, 0]


class TestBrokenOff:
    def test_while_kubeadm_writes_what_was_before_comes_back_first(self, first: Master) -> None:
        first.at = 300 * DAY
        key, before = first.kubernetes / "pki/etcd/server.key", first.end("pki/etcd/server.crt")
        damage = first.root / "bin/kubeadm"
        real = damage.read_text()
        damage.write_text(f"#!/bin/sh\n: >{first.kubernetes}/pki/etcd/server.crt\n: >{key}\nexit 1\n")
        with pytest.raises(KubeadmError):
            first.renew()
        assert key.read_text() == ""
        damage.write_text(real)
        assert first.renew() == "renewed"
        assert first.end("pki/etcd/server.crt") >= before
        assert key.read_text()
        assert not (first.root / "var/lib/kube-provision/certificates-before").exists()

    def test_while_pods_begin_anew_the_others_follow_with_the_same_mark(self, first: Master) -> None:
        first.at, first.broken = 300 * DAY, "kube-scheduler"
        with pytest.raises(PodError):
            first.renew()
        renewed = first.end()
        first.broken, first.at = "", 301 * DAY
        assert first.renew() == "renewed"
        assert first.end() == renewed
        assert len({mark for _, mark, _ in first.started}) == 1
        assert first.started[-1][0] == "kube-scheduler"

    def test_pods_that_still_use_the_old_ones_do_not_wait_for_discovery_for_ever(self, first: Master) -> None:
        first.at, first.broken = 300 * DAY, "etcd"
        with pytest.raises(PodError):
            first.renew()
        first.broken, first.discovery.there, first.at = "", False, 366 * DAY
        assert first.renew() == "renewed without the cluster's lock"


class TestFaults:
    def test_without_an_authority_nothing_is_touched(self, first: Master) -> None:
        (first.kubernetes / "pki/etcd/ca.key").unlink()
        before = first.end()
        with pytest.raises(RenewalError, match=r"no certificate is renewed: .*/etcd/ca\.key is not on this master"):
            first.renew(at_once=True)
        assert first.end() == before

    def test_what_kubeadm_leaves_out_is_no_success(self, first: Master) -> None:
        (first.root / "bin/kubeadm").write_text("#!/bin/sh\n")
        with pytest.raises(RenewalError, match=r"kubeadm has not renewed apiserver\.crt, "):
            first.renew(at_once=True)
        assert not first.started

    def test_a_certificate_that_is_gone_is_named(self, first: Master) -> None:
        (first.kubernetes / "pki/front-proxy-client.crt").unlink()
        with pytest.raises(FileNotFoundError, match="front-proxy-client"):
            first.renew(at_once=True)


def test_two_never_renew_at_once(first: Master) -> None:
    told: list[str] = []
    first.discovery.meanwhile = lambda: told.append(first.renew())
    assert first.renew(at_once=True) == "renewed"
    assert told == ["another renewal runs on this master"]


def test_what_was_asked_for_and_is_not_done_is_no_success(first: Master) -> None:
    told: list[str] = []

    def ask_too() -> None:
        with pytest.raises(RenewalError) as problem:
            first.renew(at_once=True)
        told.append(str(problem.value))

    first.discovery.meanwhile = ask_too
    first.renew(at_once=True)
    assert told == ["another renewal runs on this master"]
