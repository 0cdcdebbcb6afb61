"""Membership and quorum, on Debian's real etcd under the cluster's real PKI."""

from __future__ import annotations

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from queue import Queue

import pytest
from servers.etcd import EtcdServers

from kube_provision_core.cluster import quorum
from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.cluster.etcd import EtcdMember, EtcdQuorum
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.cluster.quorum import leaders
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.contract.machines import Cluster, Endpoint, Power, Role, Stamp, Vm
from kube_provision_core.folder.pki import Pki, create_pki

MASTERS = {"m-1": "127.63.0.1", "m-2": "127.63.0.2", "m-3": "127.63.0.3"}


@pytest.fixture
def three(pki: Pki) -> Iterator[EtcdServers]:
    with EtcdServers(pki, MASTERS) as etcd:
        yield etcd


@pytest.fixture
def api(pki: Pki) -> Iterator[ControlPlane]:
    with ControlPlane(list(MASTERS.values()), pki) as api:
        yield api


def ids(api: ControlPlane) -> dict[str, str]:
    return {member.name: member.id for member in api.etcd.members()}


def trouble(call: Callable[[], object]) -> str:
    with pytest.raises(ControlPlaneError) as raised:
        call()
    return str(raised.value)


def test_a_member_that_is_gone_for_good_is_removed_through_a_survivor(three: EtcdServers, api: ControlPlane) -> None:
    members = api.etcd.members()
    assert {member.name: member.hosts for member in members} == {name: {host} for name, host in MASTERS.items()}
    gone = ids(api)["m-1"]
    three.kill("m-1")
    api.etcd.remove(gone)
    api.etcd.remove(gone)
    assert set(ids(api)) == {"m-2", "m-3"}
    api.etcd.check_quorum()


def test_a_member_can_be_removed_right_after_another_one_has_come_back(three: EtcdServers, api: ControlPlane) -> None:
    """etcd itself refuses that for some seconds."""
    three.kill("m-3")
    three.start("m-3")
    three.wait_until_healthy("m-3")
    api.etcd.remove(ids(api)["m-2"])
    assert set(ids(api)) == {"m-1", "m-3"}


def test_an_etcd_that_is_slow_is_none_that_is_off(three: EtcdServers, pki: Pki) -> None:
    """Every answer takes 4 s to arrive, that of the handshake too."""
    with ExitStack() as ways:
        ports = {host: ways.enter_context(slow_way(host, seconds=4)) for host in MASTERS.values()}
        endpoint = lambda host, port: Endpoint("127.63.0.9", ports[host])  # noqa: E731
        with ControlPlane(list(MASTERS.values()), pki, endpoint=endpoint) as api:
            assert api.etcd.quorum().holds
            api.etcd.remove(ids(api)["m-3"])
            assert set(ids(api)) == {"m-1", "m-2"}


@contextmanager
def slow_way(host: str, seconds: float) -> Iterator[int]:
    """A port that leads to the member there, and holds back what it says."""
    opened: Queue[tuple[int, Callable[[], object]]] = Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_member, to_member = await asyncio.open_connection(host, 2379)
        await asyncio.gather(pass_on(reader, to_member, 0), pass_on(from_member, writer, seconds))

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        try:
            while said := await reader.read(65536):
                await asyncio.sleep(delay)
                writer.write(said)
        finally:
            writer.close()

    async def listen() -> None:
        closed = asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(serve, "127.63.0.9", 0)
        opened.put((server.sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(closed.set)))
        await closed.wait()
        server.close()

    thread = threading.Thread(target=lambda: asyncio.run(listen()))
    thread.start()
    port, close = opened.get(timeout=60)
    yield port
    close()
    thread.join()


def test_a_member_whose_leaving_would_cost_the_quorum_is_not_removed(three: EtcdServers, api: ControlPlane) -> None:
    three.kill("m-3")
    said = trouble(lambda: api.etcd.remove(ids(api)["m-2"]))
    silence = "m-3: 127.63.0.3:2379 cannot be reached (Connection refused)"
    assert f"lose its quorum: 1 of 2 voters follow a leader (no answer: {silence}), 2 are needed. Nothing was" in said
    assert set(ids(api)) == set(MASTERS)


def test_without_a_quorum_nothing_is_changed_then_or_later(three: EtcdServers, api: ControlPlane) -> None:
    gone = ids(api)["m-3"]
    three.kill("m-2")
    three.kill("m-3")
    begin = time.monotonic()
    message = trouble(lambda: api.etcd.remove(gone))
    assert time.monotonic() - begin < 60
    silences = (f"{name}: {MASTERS[name]}:2379 cannot be reached (Connection refused)" for name in ("m-2", "m-3"))
    lost = f"0 of 3 voters follow a leader (no answer: {', '.join(silences)}), 2 are needed"
    assert message.startswith(f"etcd has lost its quorum: {lost}. Nothing was changed")
    three.start("m-2")
    three.wait_until_healthy("m-1", "m-2")
    assert set(ids(api)) == set(MASTERS)


def test_a_quorum_is_lost_where_every_master_that_may_run_says_that_it_follows_nobody(
    three: EtcdServers, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quorum, "PAUSE", 0.1)
    masters = tuple(master(name, address) for name, address in MASTERS.items())
    assert all(leader and isinstance(leader, str) for leader in leaders(seen(*masters), pki).values())
    three.kill("m-2")
    three.kill("m-3")
    off = [replace(vm, power=Power.OFF) for vm in masters[1:]]
    wait_until(lambda: leaders(seen(masters[0], *off), pki) == {"m-1": ""})
    said = leaders(seen(*masters[:2], replace(masters[2], addresses=())), pki)
    assert said["m-1"] == ""
    assert "cannot be reached" in str(said["m-2"])
    assert str(said["m-3"]) == "it tells no address"
    assert leaders(seen(*off), pki) == {}
    assert str(leaders(seen(replace(masters[0], addresses=())), pki)["m-1"]) == "it tells no address"


def test_those_who_are_about_to_elect_a_leader_have_a_quorum(
    three: EtcdServers, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where two of three live they follow nobody for a moment, or one who has died."""
    monkeypatch.setattr(quorum, "LOOKS", 60)  # a starved host elects as slowly as it likes
    masters = {name: master(name, address) for name, address in MASTERS.items()}
    with ControlPlane(list(MASTERS.values()), pki) as api:
        leader = api.etcd.standing_at(MASTERS["m-1"]).leader
        members = {member.name: member.id for member in api.etcd.members()}
    name = next(name for name, member in members.items() if member == leader)
    three.kill(name)
    said = leaders(seen(*(replace(vm, power=Power.OFF) if vm.name == name else vm for vm in masters.values())), pki)
    assert set(said.values()) & (set(members.values()) - {leader})


def master(name: str, address: str) -> Vm:
    return Vm(name, name, Power.ON, Stamp("prod", "id-1", Role.MASTER, "spec"), (address,))


def seen(*vms: Vm) -> Observation:
    return Observation(Cluster("prod", "id-1", "1.37", frozenset(vm.name for vm in vms)), vms)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline


def test_a_learner_that_never_started_is_seen_counts_for_nothing_and_can_be_removed(
    three: EtcdServers, api: ControlPlane
) -> None:
    three.announce_learner("127.63.0.4")
    (learner,) = (member for member in api.etcd.members() if member.learner)
    assert learner.name == ""
    assert learner.hosts == {"127.63.0.4"}
    assert api.etcd.quorum().needed == 2
    api.etcd.remove(learner.id)
    assert set(ids(api)) == set(MASTERS)


def test_the_last_member_is_not_removed(pki: Pki) -> None:
    with EtcdServers(pki, {"m-1": MASTERS["m-1"]}), ControlPlane([MASTERS["m-1"]], pki) as api:
        assert "would lose its quorum" in trouble(lambda: api.etcd.remove(ids(api)["m-1"]))


def test_another_clusters_etcd_is_told(pki: Pki) -> None:
    with EtcdServers(pki, {"m-1": MASTERS["m-1"]}), ControlPlane([MASTERS["m-1"]], create_pki("prod")) as api:
        assert "another cluster answers there" in trouble(api.etcd.members)


def test_if_no_master_answers_each_is_named(pki: Pki) -> None:
    with ControlPlane(list(MASTERS.values()), pki) as api:
        message = trouble(api.etcd.members)
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
        listed = subprocess.run(etcd.etcdctl("member", "list"), capture_output=True, text=True, timeout=60, check=True)
        assert [f"{int(member.id):x}" for member in api.etcd.members()] == [listed.stdout.split(", ")[0]]
