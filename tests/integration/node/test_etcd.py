"""A node that takes itself out of Debian's real etcd, before it tries to join again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.etcd import EtcdServers

from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.folder.pki import Pki
from kube_provision_node import etcd

MASTERS = {"m-1": "127.66.0.1", "m-2": "127.66.0.2", "m-3": "127.66.0.3"}
LATE = "127.66.0.4"


@pytest.fixture
def three(pki: Pki) -> Iterator[EtcdServers]:
    with EtcdServers(pki, MASTERS) as servers:
        yield servers


def members(pki: Pki) -> set[tuple[str, ...]]:
    with ControlPlane(list(MASTERS.values()), pki) as api:
        return {tuple(member.hosts) for member in api.etcd.members()}


def hosts(*names: str) -> set[tuple[str, ...]]:
    return {(MASTERS[name],) for name in names}


def test_a_member_that_was_announced_and_never_started_is_removed(three: EtcdServers, pki: Pki, certificates: Path) -> None:
    three.announce_learner(LATE)
    etcd.leave(certificates, "late", LATE, [*MASTERS.values()])
    assert members(pki) == hosts("m-1", "m-2", "m-3")


def test_a_member_that_has_lost_its_data_is_removed_through_whoever_answers(
    three: EtcdServers, pki: Pki, certificates: Path
) -> None:
    three.kill("m-3")
    for _ in range(2):
        etcd.leave(certificates, "m-3", MASTERS["m-3"], ["127.66.0.9", *reversed(MASTERS.values())])
    assert members(pki) == hosts("m-1", "m-2")


def test_a_member_of_an_earlier_address_is_known_by_its_name(three: EtcdServers, pki: Pki, certificates: Path) -> None:
    three.kill("m-3")
    etcd.leave(certificates, "m-3", LATE, [MASTERS["m-1"]])
    assert members(pki) == hosts("m-1", "m-2")


def test_etcd_is_waited_for_while_it_settles(three: EtcdServers, pki: Pki, certificates: Path) -> None:
    three.kill("m-1")
    three.start("m-1")
    three.wait_until_healthy("m-1")
    etcd.leave(certificates, "m-3", MASTERS["m-3"], [MASTERS["m-2"]])
    assert members(pki) == hosts("m-1", "m-2")


@pytest.mark.parametrize("lost", ["etcd/ca.crt", "apiserver-etcd-client.crt", "apiserver-etcd-client.key"])
@pytest.mark.parametrize("content", [None, "-----BEGIN CERTIF"])
def test_nothing_is_asked_without_whole_certificates(certificates: Path, lost: str, content: str | None) -> None:
    (certificates / lost).unlink()
    if content:
        (certificates / lost).write_text(content)
    etcd.leave(certificates, "m-3", MASTERS["m-3"], ["127.66.0.9"], pytest.fail)


@pytest.mark.parametrize(
    ("masters", "why"),
    [
        (["127.66.0.9"], "etcd at 127.66.0.9: .*refused"),
        ([], "knows no healthy master"),
        ([LATE], "knows no healthy master"),
    ],
)
def test_that_nobody_does_it_is_told_in_the_end(
    certificates: Path, monkeypatch: pytest.MonkeyPatch, masters: list[str], why: str
) -> None:
    monkeypatch.setattr(etcd, "SETTLING", 0.0)
    with pytest.raises(etcd.EtcdError, match=f"^etcd's member of an earlier attempt cannot be removed: .*{why}"):
        etcd.leave(certificates, "late", LATE, masters)
