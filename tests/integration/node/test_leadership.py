"""A master that passes the leadership of Debian's real etcd on, before it goes."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.etcd import EtcdServers

from kube_provision_core.folder.pki import Pki
from kube_provision_node import leadership
from kube_provision_node.etcd import EtcdError

MASTERS = {"m-1": "127.68.0.1", "m-2": "127.68.0.2", "m-3": "127.68.0.3"}
LATE = "127.68.0.4"


@pytest.fixture
def three(pki: Pki) -> Iterator[EtcdServers]:
    with EtcdServers(pki, MASTERS) as servers:
        yield servers


def leader(servers: EtcdServers) -> str:
    """Its name, as etcd's own client knows it."""
    command = servers.etcdctl("endpoint", "status", "--cluster", "--write-out=json")
    answer = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)
    names = {f"https://{address}:2379": name for name, address in servers.members.items()}
    return next(names[it["Endpoint"]] for it in answer if it["Status"]["leader"] == it["Status"]["header"]["member_id"])


def test_who_leads_passes_it_on(three: EtcdServers, certificates: Path) -> None:
    for _ in range(3):
        before = leader(three)
        leadership.move_away(certificates, MASTERS[before])
        assert leader(three) != before


def test_who_follows_changes_nothing(three: EtcdServers, certificates: Path) -> None:
    before = leader(three)
    for name in sorted(MASTERS.keys() - {before}):
        leadership.move_away(certificates, MASTERS[name])
        assert leader(three) == before


def test_a_member_that_is_dead_is_passed_over(three: EtcdServers, certificates: Path) -> None:
    before = leader(three)
    dead, alive = sorted(MASTERS.keys() - {before})
    three.kill(dead)
    leadership.move_away(certificates, MASTERS[before])
    three.start(dead)
    three.wait_until_healthy(dead)
    assert leader(three) in (alive, dead)


def test_there_is_nobody_to_pass_it_on_to(pki: Pki, certificates: Path) -> None:
    with EtcdServers(pki, {"m-1": MASTERS["m-1"]}) as one:
        leadership.move_away(certificates, MASTERS["m-1"], pytest.fail)
        assert leader(one) == "m-1"


def test_a_learner_cannot_lead(pki: Pki, certificates: Path) -> None:
    with EtcdServers(pki, {"m-1": MASTERS["m-1"]}) as one:
        one.announce_learner(LATE)
        leadership.move_away(certificates, MASTERS["m-1"], pytest.fail)


def test_that_nobody_else_can_lead_is_told_in_the_end(
    three: EtcdServers, certificates: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leadership, "LIMIT", 0.0)
    before = leader(three)
    for name in MASTERS.keys() - {before}:
        three.kill(name)
    with pytest.raises(EtcdError, match=r"^etcd's leadership cannot be moved away from this master: .+"):
        leadership.move_away(certificates, MASTERS[before])


def test_an_etcd_that_does_not_answer_is_told(certificates: Path) -> None:
    with pytest.raises(EtcdError, match=r"^etcd at 127\.68\.0\.9: .*refused"):
        leadership.move_away(certificates, "127.68.0.9")
