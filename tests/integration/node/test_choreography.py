"""Who initialises a cluster and who joins, decided by real processes against a real Consul."""

from __future__ import annotations

import itertools
import re
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from servers.consul_agents import eventually
from servers.nodes import Lab, ended

RACES = 100


def test_races_have_one_winner_and_joins_come_one_at_a_time(lanes: list[Iterator[Lab]]) -> None:
    """Harder than any run makes it: all three masters start at once, and all three may initialise."""
    with ThreadPoolExecutor(len(lanes)) as pool:
        list(pool.map(race, lanes, [RACES // len(lanes)] * len(lanes)))


def race(lane: Iterator[Lab], times: int) -> None:
    for lab in itertools.islice(lane, times):
        processes = [lab.machine(number, may_init=True).start() for number in (1, 2, 3)]
        assert [ended(process) for process in processes] == [(0, "")] * 3
        assert_one_cluster(lab)


def assert_one_cluster(lab: Lab) -> None:
    calls = lab.calls("init", "join", "reset")
    assert [call.verb for call in calls] == ["init", "join", "join"]
    assert len({call.node for call in calls}) == 3
    assert all(before.end <= after.begin for before, after in itertools.pairwise(calls))
    assert lab.record() == {
        "state": "initialised",
        "node": calls[0].node,
        "instance_id": f"{calls[0].node}-first",
        "cluster_id": "id-1",
    }
    assert lab.registered() == {"consul-1", "consul-2", "consul-3"}
    assert not any(machine.has("var/lib/kube-provision/ca") for machine in lab.machines)


def test_everyone_waits_for_the_one_that_carries_the_authorities(lab: Lab) -> None:
    waiting = [lab.machine(2).start(), lab.machine(3, role="worker").start()]
    assert not eventually(lambda: lab.calls("init", "join"), timeout=1.5)
    first = lab.machine(1, may_init=True)
    assert first.run() == (0, "")
    assert [ended(process) for process in waiting] == [(0, "")] * 2
    assert [call.node for call in lab.calls("init")] == [first.name]
    assert len(lab.calls("join")) == 2


def test_everyone_says_what_it_does_and_for_whom_it_waits(lab: Lab) -> None:
    first, second, worker = lab.machine(1, may_init=True), lab.machine(2), lab.machine(3, role="worker")
    early = Heard(second.start())
    assert eventually(lambda: early.doings == ["waits for a master to initialise the cluster"])
    early.process.terminate()
    hangs = first.touch("init-hangs")
    first.start()
    assert eventually(lambda: lab.calls("init"))
    waiting = [Heard(machine.start()) for machine in (second, worker)]
    begun = [f"waits for {first.name} to initialise the cluster"]
    assert eventually(lambda: all(it.doings == begun for it in waiting))
    assert not lab.calls("join")
    first.kill()
    hangs.unlink()
    lab.agents[0].end_sessions()
    assert first.run() == (0, "")
    assert [it.whole()[-1] for it in waiting] == ["joins the cluster"] * 2


def test_a_master_whose_turn_it_is_not_says_after_whom(lab: Lab) -> None:
    lab.machine(1, may_init=True).run()
    second, third = lab.machine(2), lab.machine(3)
    busy = second.touch("busy")
    joining = second.start()
    assert eventually(lambda: lab.calls("join"))
    waiting = Heard(third.start())
    told = ["waits for its turn", f"waits for its turn after {second.name}"]
    assert eventually(lambda: waiting.doings == told)
    busy.unlink()
    assert waiting.whole() == [*told, "joins the cluster"]
    assert ended(joining) == (0, "")


class Heard:
    """What a node says that it does, also while it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.append(line)

    @property
    def doings(self) -> list[str]:
        return re.findall(r"^<6>now: (.*)$", "".join(self._lines), re.MULTILINE)

    def whole(self) -> list[str]:
        """Once it has ended."""
        self.process.wait(timeout=120)
        self._reader.join(timeout=120)
        return self.doings


def test_only_masters_are_registered(lab: Lab) -> None:
    lab.machine(1, may_init=True).run()
    lab.machine(2, role="worker").run()
    assert lab.registered() == {"consul-1"}


def test_kubeadm_is_told_address_and_version_and_the_secrets_are_gone_afterwards(lab: Lab) -> None:
    master, worker = lab.machine(1, may_init=True), lab.machine(2, role="worker")
    master.run()
    worker.run()
    told = [(master.root / "init-configuration").read_text(), (worker.root / "join-configuration").read_text()]
    assert told == [f"address: {machine.agent.address}\nversion: v1.37.1\n" for machine in (master, worker)]
    assert (master.root / "init-ca.crt").read_bytes() == lab.pki.files["ca.crt"]
    left = [path for machine in lab.machines for path in machine.root.rglob("kubeadm-*.yaml")]
    assert left == []


def test_the_master_that_initialises_points_its_proxy_at_itself(lab: Lab) -> None:
    master = lab.machine(1, may_init=True)
    master.run()
    assert (
        f"server {master.agent.address}:{lab.endpoint.port} " in (master.root / "etc/kube-provision/nginx.conf").read_text()
    )


def test_seed_manifests_are_applied_once_and_by_the_initialiser(lab: Lab) -> None:
    first, second = lab.machine(1, may_init=True), lab.machine(2)
    for machine in (first, second, first, second):
        assert machine.run() == (0, "")
    assert lab.applied() == [(first.name, "https://example.org/network.yaml")]


def test_a_node_that_is_a_member_does_not_join_again(lab: Lab) -> None:
    machines = [lab.machine(1, may_init=True), lab.machine(2), lab.machine(3, role="worker")]
    for machine in [*machines, *machines]:
        assert machine.run() == (0, "")
    assert len(lab.calls("init", "join", "reset")) == 3


def test_a_lock_that_a_slow_init_loses_again_and_again_lets_nobody_else_initialise(lab: Lab) -> None:
    """As an emulated machine was seen to: its first attempt is in vain, and loses the lock as its second one does."""
    first, *others = (lab.machine(number, may_init=True) for number in (1, 2, 3))
    busy, fails = first.touch("busy"), first.touch("init-fails")
    attempt = first.start()
    assert eventually(lambda: len(lab.calls("init")) == 1)
    assert lab.agents[0].end_sessions() == 1
    waiting = [Heard(machine.start()) for machine in others]
    begun = [f"waits for {first.name} to initialise the cluster"]
    assert eventually(lambda: all(it.doings == begun for it in waiting))
    busy.unlink()
    assert ended(attempt)[0] == 1
    fails.unlink()
    first.touch("busy")
    attempt = first.start()
    assert eventually(lambda: len(lab.calls("init")) == 2)
    assert lab.agents[0].end_sessions() == 1
    busy.unlink()
    assert ended(attempt) == (0, "")
    assert [it.whole()[0] for it in waiting] == begun * 2
    calls = lab.calls()
    assert [call.verb for call in calls] == ["init", "reset", "init", "join", "join"]
    assert {call.node for call in calls[:3]} == {first.name}
    assert all(before.end <= after.begin for before, after in itertools.pairwise(calls[2:]))


def test_an_initialiser_that_was_killed_begins_anew_with_the_same_authorities(lab: Lab) -> None:
    first, second = lab.machine(1, may_init=True), lab.machine(2)
    hangs = first.touch("init-hangs")
    first.start()
    waiting = second.start()
    assert eventually(lambda: first.has("etc/kubernetes/manifests/kube-apiserver.yaml"))
    first.kill()
    (first.root / "etc/kubernetes/pki/ca.key").unlink()
    hangs.unlink()
    lab.agents[0].end_sessions()
    assert first.run() == (0, "")
    assert ended(waiting) == (0, "")
    assert [call.verb for call in lab.calls()] == ["init", "reset", "init", "join"]
    assert (first.root / "init-ca.crt").read_bytes() == lab.pki.files["ca.crt"]


def test_an_initialiser_that_is_told_to_end_frees_the_lock_at_once(lab: Lab) -> None:
    first = lab.machine(1, may_init=True)
    first.touch("init-hangs")
    process = first.start()
    assert eventually(lambda: lab.calls("init"))
    process.terminate()
    assert ended(process)[0] == 128 + 15
    assert lab.agents[0].ask("GET", "/v1/session/list") == []


def test_a_machine_created_anew_takes_over_the_initialisation_that_its_name_began(lab: Lab) -> None:
    old = {"state": "initialising", "node": f"m-{lab.name}-1", "instance_id": "the-old-one", "cluster_id": "id-1"}
    lab.agents[0].put(f"kube-provision/{lab.name}/record", old)
    assert lab.machine(1, may_init=True).run() == (0, "")
    assert lab.record() == {**old, "state": "initialised", "instance_id": f"m-{lab.name}-1-first"}


def test_an_initialisation_that_was_taken_over_is_undone(lab: Lab) -> None:
    first = lab.machine(1, may_init=True)
    busy = first.touch("busy")
    process = first.start()
    assert eventually(lambda: lab.calls("init"))
    other = {"state": "initialised", "node": "m-other", "instance_id": "other", "cluster_id": "id-1"}
    lab.agents[0].put(f"kube-provision/{lab.name}/record", other)
    busy.unlink()
    assert ended(process) == (0, "")
    assert [call.verb for call in lab.calls()] == ["init", "reset", "join"]
    assert lab.record() == other


def test_an_initialiser_killed_after_the_record_carries_on_without_a_reset(lab: Lab) -> None:
    first = lab.machine(1, may_init=True)
    first.run()
    for marker in ("member", "initialiser", "seeded"):
        (first.root / "var/lib/kube-provision" / marker).unlink()
    assert first.run() == (0, "")
    assert [call.verb for call in lab.calls("init", "reset", "join")] == ["init"]


def test_a_join_that_failed_is_reset_and_tried_again(lab: Lab) -> None:
    lab.machine(1, may_init=True).run()
    second = lab.machine(2)
    second.touch("join-fails")
    code, error = second.run()
    assert (code, error) == (
        1,
        "kubeadm join: exit code 1: error execution phase control-plane-join/etcd: etcdserver: too many learner members",
    )
    assert second.run() == (0, "")
    assert [call.verb for call in lab.calls()] == ["init", "join", "reset", "join"]


@pytest.mark.parametrize("role", ["master", "worker"])
@pytest.mark.parametrize("state", ["initialising", "initialised"])
def test_another_cluster_of_the_same_name_is_never_joined(lab: Lab, role: str, state: str) -> None:
    dead = {"state": state, "node": f"m-{lab.name}-1", "instance_id": "x", "cluster_id": "id-of-the-dead"}
    lab.agents[0].put(f"kube-provision/{lab.name}/record", dead)
    lab.endpoint.flag.touch()
    code, error = lab.machine(1, role=role, may_init=role == "master").run()
    assert code == 1
    assert "discovery remembers another cluster of this name" in error
    assert lab.calls() == []


def test_authorities_that_do_not_match_the_pin_initialise_nothing(lab: Lab) -> None:
    first = lab.machine(1, may_init=True)
    (first.root / "var/lib/kube-provision/ca/ca.crt").write_bytes(lab.pki.files["etcd/ca.crt"])
    code, error = first.run()
    assert code == 1
    assert "this cluster's is" in error
    assert lab.calls("init") == []


def test_a_consul_that_has_lost_its_data_learns_the_cluster_again(lab: Lab) -> None:
    first, second = lab.machine(1, may_init=True), lab.machine(2)
    first.run()
    second.run()
    lab.agents[0].ask("DELETE", f"/v1/kv/kube-provision/{lab.name}?recurse")
    lab.agents[1].ask("PUT", f"/v1/agent/service/deregister/kube-provision-{lab.name}")
    assert second.run("record") == (0, "")
    assert lab.record() == {
        "state": "initialised",
        "node": second.name,
        "instance_id": f"{second.name}-first",
        "cluster_id": "id-1",
    }
    assert eventually(lambda: lab.registered() == {"consul-1", "consul-2"})


def test_only_members_whose_api_server_is_ready_speak_for_the_cluster(lab: Lab) -> None:
    master, worker = lab.machine(1, may_init=True), lab.machine(2, role="worker")
    master.run()
    worker.run()
    lab.agents[0].ask("DELETE", f"/v1/kv/kube-provision/{lab.name}?recurse")
    lab.endpoint.flag.unlink()
    for machine in (master, worker, lab.machine(3)):
        assert machine.run("record") == (0, "")
    assert lab.record() is None


def test_a_member_never_overwrites_another_clusters_record(lab: Lab) -> None:
    first = lab.machine(1, may_init=True)
    first.run()
    other = {"state": "initialised", "node": "m", "instance_id": "x", "cluster_id": "id-of-another"}
    lab.agents[0].put(f"kube-provision/{lab.name}/record", other)
    code, error = first.run("record")
    assert code == 1
    assert "another cluster of this name" in error
    assert lab.record() == other


def test_a_node_waits_while_consul_cannot_be_asked(lab: Lab) -> None:
    first = lab.machine(1, may_init=True)
    own = first.root / "etc/kube-provision/discovery.json"
    right = own.read_text()
    own.write_text(right.replace(":8500", ":1"))
    process = first.start()
    assert not eventually(lambda: process.poll() is not None or lab.calls(), timeout=1.0)
    process.terminate()
    ended(process)
