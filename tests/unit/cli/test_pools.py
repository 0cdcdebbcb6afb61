"""Pools from the configuration to the machines, and `--pool` on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kube_provision_core import NodeStatus, Role, Stage

BEFORE = """
masters: 1
workers: 1
seed_manifests: []
"""
POOLS = """
pools:
  edge: 1
  gpu: {count: 2, cpu: 8, memory_pool: fast, kubelet: {maxPods: 40}, taints: ["acme/gpu=a100:NoSchedule"]}
"""
GPU, EDGE = Role.of_pool("gpu"), Role.of_pool("edge")


@pytest.fixture
def plain(world):
    path = Path("config.yml")
    path.write_text(path.read_text() + BEFORE)
    return world


@pytest.fixture
def pooled(plain):
    path = Path("config.yml")
    path.write_text(path.read_text() + POOLS)
    return plain


@pytest.fixture
def made(run, pooled):
    """A cluster with pools, whose machines have finished their boots."""
    provision(run, pooled)
    return pooled


def provision(run, world) -> None:
    ran = run("provision", "-c", "config.yml", "--no-wait")
    assert ran.code == 0, ran.err
    world.statuses |= dict.fromkeys(world.vms, NodeStatus(Stage.FINISH, "done"))


def planned(run, *arguments: str) -> dict[str, str]:
    """Mark by the key of each action that makes a machine, or takes one away."""
    ran = run("plan", *arguments, "-c", "config.yml", "-o", "json")
    assert ran.code == 0, ran.err
    actions = json.loads(ran.out)["actions"]
    return {f"{it['action']} {it['subject']}": it["mark"] for it in actions if it["action"] in ("create", "destroy")}


def status(run, *arguments: str) -> dict[str, str]:
    """Role by name."""
    ran = run("status", "-c", "config.yml", "-o", "json", *arguments)
    assert ran.code == 0, ran.err
    return {it["name"]: it["role"] for it in json.loads(ran.out)["nodes"]}


def test_machines_are_named_and_stamped_by_their_pool_and_made_as_it_says(made) -> None:
    assert {name: vm.stamp.role for name, vm in made.vms.items()} == {
        "table-prod": Role.DISCOVERY,
        "m-prod-1": Role.MASTER,
        "w-prod-1": Role.WORKER,
        "edge-prod-1": EDGE,
        "gpu-prod-1": GPU,
        "gpu-prod-2": GPU,
    }
    assert {name: pool for name, pool in made.pools.items() if pool != "default"} == {
        "gpu-prod-1": "fast",
        "gpu-prod-2": "fast",
    }


def test_machines_boot_with_what_is_said_of_their_pool(run, pooled) -> None:
    assert run("render", "out", "-c", "config.yml", "--with-secrets").code == 0
    found = {folder.name: [path for path in folder.rglob("*") if path.is_file()] for folder in Path("out").iterdir()}
    texts = {name: "".join(path.read_text() for path in paths) for name, paths in found.items()}
    assert {name for name, text in texts.items() if "maxPods" in text} == {"gpu-prod-1", "gpu-prod-2"}
    assert {name for name, text in texts.items() if "acme/gpu" in text} == {"gpu-prod-1", "gpu-prod-2"}
    roles = {name: set(re.findall(r'"role": "([^"]*)"', text)) for name, text in texts.items()}
    assert roles["gpu-prod-1"] == roles["w-prod-1"] == {"worker"}


def test_nothing_is_to_be_done_once_all_are_there(run, made) -> None:
    assert planned(run) == {}


def test_a_cluster_of_before_gets_its_pools_and_nothing_else(run, plain) -> None:
    provision(run, plain)
    path = Path("config.yml")
    path.write_text(path.read_text() + POOLS)
    assert {key for key in planned(run) if key.startswith("create ")} == {
        "create edge-prod-1",
        "create gpu-prod-1",
        "create gpu-prod-2",
    }
    assert not any("w-prod-1" in key or "m-prod-1" in key for key in planned(run))


def test_status_tells_of_one_pool(run, made) -> None:
    assert status(run)["gpu-prod-1"] == "worker-gpu"
    assert status(run, "--pool", "gpu") == {"gpu-prod-1": "worker-gpu", "gpu-prod-2": "worker-gpu"}
    assert status(run, "--pool", "workers") == {"w-prod-1": "worker"}


def test_a_pool_that_nobody_knows_is_one_line(run, made) -> None:
    ran = run("status", "-c", "config.yml", "--pool", "cpu")
    assert (ran.code, ran.line) == (
        2,
        "kube-provision: --pool cpu: cluster prod has no worker of such a pool; its pools are edge, gpu, workers",
    )


def test_a_pool_that_is_taken_out_of_the_file_is_told_of_and_goes_when_it_is_named(run, made) -> None:
    path = Path("config.yml")
    path.write_text(path.read_text().replace(POOLS, "\npools: {edge: 1}\n"))
    ran = run("plan", "-c", "config.yml")
    assert ran.code == 2
    assert "2 more machine(s) than asked for: gpu-prod-1, gpu-prod-2" in ran.err
    assert status(run, "--pool", "gpu").keys() == {"gpu-prod-1", "gpu-prod-2"}
    ran = run("destroy", "-c", "config.yml", "--pool", "gpu", "--no-drain", "--yes")
    assert ran.code == 0, ran.err
    assert made.vms.keys() == {"table-prod", "m-prod-1", "w-prod-1", "edge-prod-1"}
    assert planned(run) == {}


@pytest.mark.parametrize("verb", ["destroy", "plan destroy"])
def test_what_is_destroyed_is_said_once(run, made, verb: str) -> None:
    yes = () if verb.startswith("plan") else ("--yes",)
    ran = run(*verb.split(), *yes, "-c", "config.yml", "--pool", "gpu", "--node", "w-prod-1")
    assert (ran.code, "--node and --pool: one of the two" in ran.err) == (2, True)


def test_a_plan_tells_which_of_a_pool_would_go(run, made) -> None:
    assert planned(run, "destroy", "--pool", "gpu", "--no-drain") == {"destroy gpu-prod-1": "-", "destroy gpu-prod-2": "-"}


@pytest.mark.parametrize("verb", ["provision", "renew", "bake"])
def test_it_goes_with_the_verbs_that_know_it(run, made, verb: str) -> None:
    ran = run("plan", verb, "-c", "config.yml", "--pool", "gpu")
    assert "--pool goes with `plan replace` and `plan destroy` and `plan upgrade`." in ran.line


@pytest.mark.parametrize("verb", ["upgrade", "plan upgrade"])
def test_a_pool_has_no_masters(run, made, verb: str) -> None:
    ran = run(*verb.split(), "-c", "config.yml", "--pool", "gpu", "--masters-only")
    assert ran.code == 2
    assert "--masters-only and --pool: one of the two" in ran.err


def test_an_empty_name_is_never_taken_for_every_node(run, made) -> None:
    """As a script's variable is that nobody has set: never more than was meant."""
    for verb in (("destroy", "--yes"), ("replace", "--yes"), ("upgrade",), ("plan", "destroy"), ("status",)):
        ran = run(*verb, "-c", "config.yml", "--pool", "")
        assert (ran.code, "--pool" in ran.err) == (2, True), verb
