"""Runners that are killed, machines that lose power, in every stage of their first boot: all end where they would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from machines import leaks
from machines.lab import Lab, until

pytestmark = pytest.mark.e2e

RUNNER = "kube-provision.service"
FAULTS = "/var/lib/kubernetes-stand-in"
PAUSE = ["sleep 2"]
"""Long enough for a stage to be seen that would be over in a moment."""
STAGES = ("prepare", "install", "discover", "join", "finish")
LIMIT = 300.0
"""Seconds until a host comes to the moment at which something is done to it."""
END_LIMIT = 300.0
WORKERS = 7


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), {"pre_commands": PAUSE, "commands": PAUSE}) as lab:
        yield lab


def kill_runner(lab: Lab, name: str) -> None:
    """With all that it has started. systemd starts it again after a minute."""
    lab.hosts[name].run("systemctl", "kill", "--signal=KILL", RUNNER)


def kill_runner_and_hurry(lab: Lab, name: str) -> None:
    """As an operator does who does not want to wait for that minute."""
    kill_runner(lab, name)
    lab.hosts[name].run("systemctl", "start", "--no-block", RUNNER)


def cut_power(lab: Lab, name: str) -> None:
    lab.hosts[name].kill()
    lab.hypervisor.start(name)


@dataclass(frozen=True)
class Sabotage:
    """Something that is done to a host as soon as it is in a certain stage, phase of kubeadm, or program."""

    name: str
    moment: str
    act: Callable[[Lab, str], None]

    def carry_out(self, lab: Lab) -> None:
        until(lambda: self.name in lab.hosts and lab.hosts[self.name].on, LIMIT, f"{self.name} is there")
        host = lab.hosts[self.name]
        if self.moment in STAGES:
            until(lambda: lab.stages()[self.name] == f"{self.moment} running", LIMIT, f"{self.name}: {self.moment}")
        elif self.moment.startswith(("init-", "join-")):
            host.wait_until_booted()
            host.write(f"{FAULTS}/{self.moment}", "hang")
            until(lambda: not host.succeeds("test", "-e", f"{FAULTS}/{self.moment}"), LIMIT, f"{self.name} hangs")
        else:
            until(lambda: host.succeeds("pgrep", "--exact", self.moment), LIMIT, f"{self.name} runs {self.moment}")
        self.act(lab, self.name)


def provision(lab: Lab, workers: int, *plans: Sabotage) -> None:
    """A run of the program, and all that is done to its machines meanwhile."""
    with ThreadPoolExecutor(len(plans)) as pool:
        futures = [pool.submit(plan.carry_out, lab) for plan in plans]
        run = lab.provision("--no-wait", workers=workers)
        assert run.code == 0, run.errors
        for future in futures:
            future.result()


def wait_until_finished(lab: Lab) -> None:
    try:
        until(lambda: set(lab.stages().values()) == {"finish done"}, END_LIMIT, "all have finished")
    except AssertionError as error:
        said = (f"{name}: {host.read_channel('status.json')}\n{host.journal(lines=15)}" for name, host in lab.hosts.items())
        pytest.fail("\n".join([str(error), *said]))


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Lab:
    """Every machine was struck once: each in another stage, masters in the midst of kubeadm."""
    provision(
        lab,
        WORKERS,
        Sabotage("consul-prod", "finish", kill_runner_and_hurry),
        Sabotage("m-prod-1", "init-upload-certs", kill_runner_and_hurry),
        Sabotage("m-prod-2", "join-etcd-learner", kill_runner_and_hurry),
        Sabotage("m-prod-3", "join-control-plane-join", cut_power),
        Sabotage("w-prod-1", "dpkg", kill_runner),
        Sabotage("w-prod-2", "discover", kill_runner_and_hurry),
        Sabotage("w-prod-3", "prepare", cut_power),
        Sabotage("w-prod-4", "dpkg", cut_power),
        Sabotage("w-prod-5", "discover", cut_power),
        Sabotage("w-prod-6", "join-kubelet-start", cut_power),
        Sabotage("w-prod-7", "finish", cut_power),
    )
    wait_until_finished(lab)
    return lab


def test_every_machine_comes_to_the_end(cluster: Lab) -> None:
    until(lambda: len(cluster.ready()) == 3 + WORKERS, 30, "all are ready")


def test_every_machine_was_really_struck(cluster: Lab) -> None:
    cut = {name for name, host in cluster.hosts.items() if host.boots == 2}
    assert cut == {"m-prod-3", "w-prod-3", "w-prod-4", "w-prod-5", "w-prod-6", "w-prod-7"}
    killed = {name for name, host in cluster.hosts.items() if "status=9/KILL" in host.journal("-u", RUNNER, lines=2000)}
    assert killed == set(cluster.hosts) - cut


def test_an_initialisation_that_was_killed_is_undone_and_begun_again(cluster: Lab) -> None:
    assert [name for name, _, _ in cluster.calls("init")] == ["m-prod-1"]
    assert "m-prod-1" in [name for name, _, _ in cluster.calls("reset")]


def test_a_join_that_was_killed_leaves_no_member_too_many(cluster: Lab) -> None:
    assert members(cluster) == [(f"m-prod-{number}", False) for number in range(1, 4)]


@pytest.mark.parametrize("name", ["m-prod-1", "m-prod-3", "w-prod-1", "w-prod-4"])
def test_no_secret_is_left(cluster: Lab, name: str) -> None:
    """A run scrubs what it finds finished."""
    run = cluster.provision("--no-wait", workers=WORKERS)
    assert run.code == 0, run.errors
    assert leaks.on_host(cluster.hosts[name], leaks.needles(cluster.secrets)) == []


def members(lab: Lab) -> list[tuple[str, bool]]:
    """Of etcd, and whether they are learners."""
    with lab.control_plane() as api:
        return sorted((member.name, member.learner) for member in api.etcd_members())
