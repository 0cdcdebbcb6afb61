"""The program is killed right after any of its calls, and run again: it ends as one that nobody has killed.

A spread of the calls of each verb; all of them where WALK is `all`, from the 17th on where it is `17-`, up to the 40th where
it is `17-40` (`make night`).
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyrage
import pytest
from machines import leaks
from servers.cluster_objects import NODES
from servers.living_cluster import LivingCluster
from servers.simulator import Machine, Simulator

from kube_provision_core.datasources.vmware import GuestInfo

from .conftest import Site, next_network, until

HOOK = Path(__file__).parents[1] / "crash"
WISH = os.environ.get("WALK", "")
RUN_LIMIT = 300.0
NEVER = 0
SPREAD = 2
"""Of each verb's calls, where not all are asked for."""
SIZE = ("--masters", "3", "--workers", "2")
WHOLE = {"consul-prod", "m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2"}
TASK_KEYS = (GuestInfo.TASK, "kube-provision.task")
VOLUME = "[LocalDS_0] fcd/data.vmdk"
"""A disk of somebody else's, attached to the machine that is to go."""


@dataclass(frozen=True)
class Way:
    """A command that is walked along."""

    command: tuple[str, ...]
    node: str = ""
    """Whose machine goes, or bears a disk of somebody else's; empty: the cluster is to be made."""
    cordoned: str = ""
    """A node that somebody else has cordoned."""
    lost: tuple[str, ...] = ()
    """Machines that are gone; the others live."""


WAYS = {
    "provision": Way((*SIZE, "--wait")),
    "restore": Way(("restore", "{folder}/prod.age", "--identity-file", "{folder}/prod.key", *SIZE)),
    "restore masters": Way(
        ("restore", "{folder}/prod.age", "--identity-file", "{folder}/prod.key", "--masters", *SIZE),
        node="w-prod-2",
        lost=("m-prod-1", "m-prod-2", "m-prod-3"),
    ),
    "destroy a worker": Way(("destroy", "--node", "w-prod-2", "--yes"), "w-prod-2"),
    "destroy a master": Way(("destroy", "--node", "m-prod-3", "--yes"), "m-prod-3"),
    "replace a worker": Way(("replace", "w-prod-2", "--yes"), "w-prod-2"),
    "replace a master": Way(("replace", "m-prod-1", "--yes"), "m-prod-1"),
    "renew certificates": Way(("certificates", "renew"), "w-prod-2"),
    "upgrade": Way(("upgrade", "--k8s-version", "1.37.2", "--no-backup"), "w-prod-2", cordoned="w-prod-2"),
}

WALKED = [name for name, way in WAYS.items() if WISH or not way.lost]
"""Where a few calls will do, masters alone are left out: most calls of their restoration are those of any other."""


@dataclass
class World:
    """A site with a cluster that lives, and with what belongs to others."""

    site: Site
    cluster: LivingCluster

    def prepare(self, way: Way) -> None:
        """The cluster is whole, or not there where it is to be made."""
        if not way.node:
            if not self.backup.exists():
                self.back_up()
            self.succeed("destroy", "--yes")
            until(lambda: self.cluster.etcd is None and self.cluster.consul is None)
            return
        if not WHOLE.issubset(self.site.vcenter.machine_names()):
            self.succeed(*SIZE, "--wait")
        if VOLUME not in {disk["file"] for disk in self.site.vcenter.vm(way.node)["disks"]}:
            self.site.vcenter.attach(way.node, VOLUME)
        self.cluster.versions.set_back()
        self.cluster.objects.cordon(way.cordoned)
        if way.lost:
            self.lose(way)
            return
        workloads = self.cluster.objects.workloads
        workloads.clear()
        for node in (way.node, "w-prod-1"):
            workloads.run(f"web-{node}", node, controller="ReplicaSet", labels={"app": "web"})

    def lose(self, way: Way) -> None:
        if not self.backup.exists():
            self.back_up()
        for name in way.lost:
            self.site.vcenter.destroy(name)
        until(lambda: self.cluster.etcd is None)

    @property
    def backup(self) -> Path:
        return self.site.folder / "prod.age"

    def back_up(self) -> None:
        key = pyrage.x25519.Identity.generate()
        self.backup.with_suffix(".key").write_text(f"{key}\n")
        self.succeed("backup", str(self.backup), "--recipient", str(key.to_public()))

    def command(self, way: Way) -> list[str]:
        return [word.format(folder=self.site.folder) for word in way.command]

    def succeed(self, *command: str) -> None:
        run = self.site.run(*command)
        assert run.code == 0, run.errors

    def run_until_crash(self, way: Way, call: int) -> tuple[int, list[str]]:
        """Exit code, and whom the program has asked, call by call."""
        log, temporary = self.site.folder / "calls", self.site.folder / "tmp"
        log.write_text("")
        temporary.mkdir(exist_ok=True)
        crash = {"PYTHONPATH": str(HOOK), "CRASH_AFTER": str(call), "CRASH_LOG": str(log), "TMPDIR": str(temporary)}
        done = subprocess.run(
            self.site.command(*self.command(way)),
            env=self.site.env | crash,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RUN_LIMIT,
            check=False,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode, log.read_text().splitlines()

    def pass_time(self) -> None:
        """As much as the lock of a run that was killed needs to end."""
        if self.cluster.consul:
            for session in self.ask_consul("/v1/session/list"):
                self.cluster.consul.request("PUT", f"/v1/session/destroy/{session['ID']}")

    def ask_consul(self, path: str) -> Any:
        assert self.cluster.consul
        return json.loads(self.cluster.consul.request("GET", path))

    def state(self) -> dict[str, Any]:
        """All that there is, without ids: of two runs that end the same it is the same."""
        assert self.cluster.problem is None, self.cluster.problem
        vcenter = self.site.vcenter
        machines = {vm["name"]: vm for vm in vcenter.vms().values()}
        nodes, versions = self.cluster.objects.all(NODES), self.cluster.versions
        return {
            "machines": {name: (vm["power"], vm["path"], len(vm["disks"])) for name, vm in machines.items()},
            "disks": len(vcenter.disks()),
            "rules": {rule["name"]: sorted(rule["vms"]) for rule in vcenter.clusters()["DC0_C0"]["rules"]},
            "stranger": machines["stranger"],
            "volume": VOLUME in vcenter.disks(),
            "nodes": {name: (readiness(node), node.get("spec", {})) for name, node in nodes.items()},
            "versions": {"cluster": versions.cluster, "addons": versions.addons, "kubelets": versions.kubelets},
            "control planes": versions.control_planes,
            "away": list(versions.away()),
            "tasks": [name for name, vm in machines.items() if any(vm["extra_config"].get(key) for key in TASK_KEYS)],
            "members": sorted(self.members()),
            "keys": sorted(self.ask_consul("/v1/kv/?keys")),
            "secrets left": self.secrets_left(),
        }

    def members(self) -> Iterator[str]:
        assert self.cluster.etcd
        command = self.cluster.etcd.etcdctl("member", "list")
        for line in subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.splitlines():
            _, state, name, _, _, learner = line.split(", ")
            yield f"{name} {state}, learner: {learner}"

    def secrets_left(self) -> list[str]:
        wanted = leaks.needles(self.site.secrets)
        guestinfo = {vm["name"]: vm["extra_config"] for vm in self.site.vcenter.vms().values()}
        files = [path for path in (self.site.folder / "tmp").rglob("*") if path.is_file()]
        kept = {str(path): {"content": path.read_text(errors="replace")} for path in files}
        found = leaks.in_guestinfo(guestinfo | kept, wanted)
        return found + leaks.in_consul(self.site.secrets, self.site.server_address, wanted)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    network = next_network()
    with Simulator(clone_time=0.3, machines=[Machine("stranger", power_on=True)]) as vcenter:
        site = Site(tmp_path_factory.mktemp("site"), vcenter, network)
        vcenter.set_guests(*site.guests())
        with LivingCluster(vcenter, site.state, "prod", network) as cluster:
            world = World(site, cluster)
            world.succeed(*SIZE, "--wait")
            yield world


@pytest.mark.parametrize("name", WALKED)
def test_killed_after_any_call_and_run_again_it_ends_the_same(
    world: World, name: str, record_property: Callable[[str, object], None]
) -> None:
    way = WAYS[name]
    world.prepare(way)
    world.site.vcenter.reset_counts()
    code, calls = world.run_until_crash(way, NEVER)
    assert code == 0
    assert calls.count(world.site.vcenter.address) == sum(world.site.vcenter.counts().values()), "not every call is counted"
    undisturbed = world.state()
    assert (undisturbed["secrets left"], undisturbed["tasks"], undisturbed["away"]) == ([], [], [])
    record_property("calls", len(calls))
    killed = []
    for call in crash_points(len(calls)):
        world.prepare(way)
        code, asked = world.run_until_crash(way, call)
        if code == 0:
            break  # its last call was an earlier one
        killed.append(call)
        world.pass_time()
        world.succeed(*world.command(way))
        assert world.state() == undisturbed, f"killed after call {call}, of {asked[-1]}"
    assert killed, "no run has made so many calls"
    record_property("killed", f"{len(killed)} times, after calls {killed[0]} to {killed[-1]}")


def readiness(node: Mapping[str, Any]) -> str:
    return next(str(it["status"]) for it in node["status"]["conditions"] if it["type"] == "Ready")


def crash_points(calls: int) -> Iterable[int]:
    """The calls after which the program is killed, where an undisturbed run has made so many."""
    if WISH:
        first, _, last = WISH.partition("-")
        return itertools.count(1) if WISH == "all" else range(int(first), int(last or 10**6) + 1)
    return sorted({1 + index * (calls - 1) // (SPREAD + 1) for index in range(1, SPREAD + 1)})
