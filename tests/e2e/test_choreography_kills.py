"""Runners and services are killed, machines lose power, in every stage of a first boot: all end where they would have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from machines import leaks
from machines.lab import Lab, until
from machines.nspawn import Host

from kube_provision_node.runner import STAGES

RUNNER = "kube-provision.service"
SERVICES = ("kube-provision-consul", "kube-provision-proxy", "kube-provision-follower", "containerd", "kubelet")
FAULTS = "/var/lib/kubeadm-faults"
PAUSE = ["sleep 3"]
"""Long enough for a stage to be seen that would be over in a moment."""
DPKG = r"dpkg .*--(unpack|configure)"
LIMIT = 900.0
"""Seconds until a host comes to the moment at which something is done to it."""
END_LIMIT = 1200.0
WORKERS = 3


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), {"pre_commands": PAUSE, "commands": PAUSE}) as lab:
        yield lab


# --- what is done to a host -----------------------------------------------------------------------------------------


def kill_runner(lab: Lab, name: str) -> None:
    """With all that it has started. systemd starts it again after a minute."""
    lab.hosts[name].run("systemctl", "kill", "--signal=KILL", RUNNER)


def kill_runner_and_hurry(lab: Lab, name: str) -> None:
    """As an operator does who does not want to wait for that minute."""
    kill_runner(lab, name)
    lab.hosts[name].run("systemctl", "start", "--no-block", RUNNER)


def restart_runner(lab: Lab, name: str) -> None:
    """As an upgrade or an impatient operator does: it is told to end."""
    lab.hosts[name].run("systemctl", "restart", "--no-block", RUNNER)


def kill_services(lab: Lab, name: str) -> None:
    """Those that run at that moment, or as soon as there are any."""
    host = lab.hosts[name]
    until(lambda: running_services(host) != [], LIMIT, f"{name}: a service runs")
    host.run("systemctl", "kill", "--signal=KILL", *running_services(host))


def running_services(host: Host) -> list[str]:
    units = [f"{service}.service" for service in SERVICES]
    return [unit for unit in units if host.succeeds("systemctl", "is-active", "--quiet", unit)]


def cut_power(lab: Lab, name: str) -> None:
    lab.hosts[name].kill()
    lab.hypervisor.start(name)


Act = Callable[[Lab, str], None]


@dataclass(frozen=True)
class Strike:
    """Something that is done to a host as soon as it is in a certain stage, phase of kubeadm, or in the midst of dpkg."""

    moment: str
    act: Act

    def carry_out(self, lab: Lab, host: Host) -> None:
        what = f"{host.name}: {self.moment}"
        if self.moment.startswith(("init-", "join-")):
            host.wait_until_booted()
            fault = f"{FAULTS}/{self.moment}"
            host.write(fault, "pause" if self.act is kill_services else "hang")
            until(lambda: not host.succeeds("test", "-e", fault), LIMIT, what)
        elif self.moment == "dpkg":
            until(lambda: host.succeeds("pgrep", "--full", DPKG), LIMIT, what)
        else:
            until(lambda: has_come_to(self.moment, lab.stages()[host.name]), LIMIT, what)
        self.act(lab, host.name)


def has_come_to(moment: str, told: str) -> bool:
    """A host is in a stage, or past one that went by while nobody looked."""
    stage = told.partition(" ")[0]
    return told == f"{moment} running" or (stage in STAGES and STAGES.index(stage) > STAGES.index(moment))


PLAN = {
    "consul-prod": [Strike("discover", cut_power), Strike("finish", kill_runner_and_hurry)],
    "m-prod-1": [Strike("init-control-plane", kill_services), Strike("init-upload-certs", kill_runner_and_hurry)],
    "m-prod-2": [Strike("join-etcd", restart_runner), Strike("join-mark-control-plane", kill_services)],
    "m-prod-3": [Strike("discover", cut_power), Strike("join-mark-control-plane", cut_power)],
    "w-prod-1": [
        Strike("prepare", kill_runner),
        *(Strike(moment, kill_runner_and_hurry) for moment in ("dpkg", "discover", "join-kubelet-start", "finish")),
    ],
    "w-prod-2": [Strike(moment, cut_power) for moment in ("prepare", "dpkg", "discover", "join-kubelet-start", "finish")],
    "w-prod-3": [Strike(moment, kill_services) for moment in ("discover", "join", "join-kubelet-start", "finish")],
}
"""Strikes on each host, one after another."""


def strikes(name: str, *acts: Act) -> int:
    return sum(strike.act in acts for strike in PLAN[name])


def strike_all(lab: Lab, name: str) -> None:
    until(lambda: name in lab.hosts and lab.hosts[name].on, LIMIT, f"{name} is there")
    for strike in PLAN[name]:
        strike.carry_out(lab, lab.hosts[name])


# --- what comes of it -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster(lab: Lab) -> Lab:
    """Struck on every host while it came to be."""
    with ThreadPoolExecutor(len(PLAN)) as pool:
        futures = [pool.submit(strike_all, lab, name) for name in PLAN]
        run = lab.provision("--no-wait", workers=WORKERS)
        assert run.code == 0, run.errors
        for future in futures:
            future.result()
    try:
        until(lambda: set(lab.stages().values()) == {"finish done"}, END_LIMIT, "all have finished")
    except AssertionError as error:
        said = (f"{name}: {host.read_channel('status.json')}\n{host.journal(lines=15)}" for name, host in lab.hosts.items())
        pytest.fail("\n".join([str(error), *said]))
    return lab


def test_every_machine_comes_to_the_end(cluster: Lab) -> None:
    until(lambda: len(cluster.ready()) == 3 + WORKERS, LIMIT, "all are ready")


def test_every_machine_was_really_struck(cluster: Lab) -> None:
    assert {name: host.boots for name, host in cluster.hosts.items()} == {
        name: 1 + strikes(name, cut_power) for name in PLAN
    }
    expected = {name: strikes(name, kill_runner, kill_runner_and_hurry) for name in PLAN}
    assert {name: killed(host, RUNNER) for name, host in cluster.hosts.items()} == expected
    assert {name for name, host in cluster.hosts.items() if killed(host, "kube-provision-proxy.service")} == {
        name for name in PLAN if strikes(name, kill_services)
    }


def test_an_initialisation_that_was_killed_is_undone_and_begun_again(cluster: Lab) -> None:
    assert [name for name, _, _ in cluster.calls("init")] == ["m-prod-1"]
    assert "m-prod-1" in [name for name, _, _ in cluster.calls("reset")]


def test_a_join_that_was_interrupted_leaves_no_member_too_many(cluster: Lab) -> None:
    assert "m-prod-2" in [name for name, _, _ in cluster.calls("reset")]
    with cluster.control_plane() as api:
        members = sorted((member.name, member.learner) for member in api.etcd.members())
    assert members == [(f"m-prod-{number}", False) for number in range(1, 4)]


@pytest.fixture(scope="module")
def scrubbed(cluster: Lab) -> Lab:
    """A run scrubs what it finds finished."""
    run = cluster.provision("--no-wait", workers=WORKERS)
    assert run.code == 0, run.errors
    return cluster


@pytest.mark.parametrize("name", sorted(PLAN))
def test_no_secret_is_left(scrubbed: Lab, name: str) -> None:
    assert leaks.on_host(scrubbed.hosts[name], leaks.needles(scrubbed.secrets)) == []


def killed(host: Host, unit: str) -> int:
    """How often that unit's main process was."""
    return host.journal("-u", unit, "--grep=status=9/KILL", lines=1000).count("status=9/KILL")
