"""Membership and quorum, on Debian's real etcd under the cluster's real PKI."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator

import pytest
from servers.etcd import EtcdServers

from kube_provision_core.control_plane import ControlPlane
from kube_provision_core.control_plane.etcd import EtcdMember, EtcdQuorum
from kube_provision_core.errors import ControlPlaneError
from kube_provision_core.pki import Pki, create_pki

pytestmark = pytest.mark.integration

MASTERS = {"m-1": "127.63.0.1", "m-2": "127.63.0.2", "m-3": "127.63.0.3"}


@pytest.fixture(scope="module")
def pki() -> Pki:
    return create_pki("prod")


@pytest.fixture
def three(pki: Pki) -> Iterator[EtcdServers]:
    with EtcdServers(pki, MASTERS) as etcd:
        yield etcd


@pytest.fixture
def api(pki: Pki) -> Iterator[ControlPlane]:
    with ControlPlane(list(MASTERS.values()), pki, timeout=5) as api:
        yield api


def ids(api: ControlPlane) -> dict[str, str]:
    return {member.name: member.id for member in api.etcd_members()}


def trouble(call: Callable[[], object]) -> str:
    with pytest.raises(ControlPlaneError) as raised:
        call()
    return str(raised.value)


def test_a_member_that_is_gone_for_good_is_removed_through_a_survivor(three: EtcdServers, api: ControlPlane) -> None:
    members = api.etcd_members()
    assert {member.name: member.hosts for member in members} == {name: {host} for name, host in MASTERS.items()}
    gone = ids(api)["m-1"]
    three.kill("m-1")
    api.remove_etcd_member(gone)
    api.remove_etcd_member(gone)
    assert set(ids(api)) == {"m-2", "m-3"}
    api.check_quorum()


def test_a_member_can_be_removed_right_after_another_one_has_come_back(three: EtcdServers, api: ControlPlane) -> None:
    """etcd itself refuses that for some seconds."""
    three.kill("m-3")
    three.start("m-3")
    three.wait_until_healthy("m-3")
    api.remove_etcd_member(ids(api)["m-2"])
    assert set(ids(api)) == {"m-1", "m-3"}


def test_a_member_whose_leaving_would_cost_the_quorum_is_not_removed(three: EtcdServers, api: ControlPlane) -> None:
    three.kill("m-3")
    assert (
        "would lose its quorum: 1 of 2 voters follow a leader (no answer: m-3), 2 are needed. Nothing was changed"
        in trouble(lambda: api.remove_etcd_member(ids(api)["m-2"]))
    )
    assert set(ids(api)) == set(MASTERS)


def test_without_a_quorum_nothing_is_changed_then_or_later(three: EtcdServers, api: ControlPlane) -> None:
    gone = ids(api)["m-3"]
    three.kill("m-2")
    three.kill("m-3")
    begin = time.monotonic()
    message = trouble(lambda: api.remove_etcd_member(gone))
    assert time.monotonic() - begin < 20
    assert message.startswith(
        "etcd has lost its quorum: 0 of 3 voters follow a leader (no answer: m-2, m-3), 2 are needed. Nothing was changed"
    )
    three.start("m-2")
    three.wait_until_healthy("m-1", "m-2")
    assert set(ids(api)) == set(MASTERS)


def test_a_learner_that_never_started_is_seen_counts_for_nothing_and_can_be_removed(
    three: EtcdServers, api: ControlPlane
) -> None:
    three.announce_learner("127.63.0.4")
    (learner,) = (member for member in api.etcd_members() if member.learner)
    assert learner.name == ""
    assert learner.hosts == {"127.63.0.4"}
    assert api.etcd_quorum().needed == 2
    api.remove_etcd_member(learner.id)
    assert set(ids(api)) == set(MASTERS)


def test_the_last_member_is_not_removed(pki: Pki) -> None:
    with EtcdServers(pki, {"m-1": MASTERS["m-1"]}), ControlPlane([MASTERS["m-1"]], pki) as api:
        assert "would lose its quorum" in trouble(lambda: api.remove_etcd_member(ids(api)["m-1"]))


def test_another_clusters_etcd_is_told(pki: Pki) -> None:
    with EtcdServers(pki, {"m-1": MASTERS["m-1"]}), ControlPlane([MASTERS["m-1"]], create_pki("prod")) as api:
        assert "another cluster answers there" in trouble(api.etcd_members)


def test_if_no_master_answers_each_is_named(pki: Pki) -> None:
    with ControlPlane(list(MASTERS.values()), pki) as api:
        message = trouble(api.etcd_members)
    assert all(f"{host}:2379 cannot be reached" in message for host in MASTERS.values())


@pytest.mark.parametrize(
    ("voters", "following", "holds"), [(1, 1, True), (1, 0, False), (2, 1, False), (3, 2, True), (4, 2, False), (5, 3, True)]
)
def test_a_quorum_is_more_than_half_of_the_voters(voters: int, following: int, holds: bool) -> None:
    members = tuple(EtcdMember(str(number), f"m-{number}", ()) for number in range(voters))
    learner = EtcdMember("learner", "", (), learner=True)
    leaders = {str(number): "0" if number < following else "" for number in range(voters)} | {"learner": "0"}
    assert EtcdQuorum((*members, learner), leaders).holds is holds


def test_etcds_own_client_agrees_about_the_members(pki: Pki) -> None:
    with EtcdServers(pki, {"m-1": MASTERS["m-1"]}) as etcd, ControlPlane([MASTERS["m-1"]], pki) as api:
        listed = subprocess.run(etcd.etcdctl("member", "list"), capture_output=True, text=True, timeout=20, check=True)
        assert [f"{int(member.id):x}" for member in api.etcd_members()] == [listed.stdout.split(", ")[0]]
