"""`kube-provision bake`, whole command lines on a target in memory."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doubles.memory import World
from doubles.templates import DONE, RUNNING, Shelf

from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.machines import Role
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.executor import Interrupt
from kube_provision_core.engine.watch import PATIENCE
from kube_provision_core.folder.on_disk import lock_templates

Run = Callable[..., Any]
SUMMARY = "2026-11-27: kubeadm 1.37.1-1.1"
BAKE = ("bake", "--config", "config.yml", "--progress", "plain")


def test_a_template_is_baked_and_told_of(run: Run, shelf: Shelf) -> None:
    ran = run(*BAKE)
    assert ran.code == 0, ran.err
    assert shelf.finished == ["nodes"]
    header, row = ran.out.splitlines()
    assert header.split() == ["TEMPLATE", "ROLES", "STATE", "DONE", "SECONDS", "TEXT"]
    assert row.split()[:5] == ["nodes", "discovery,", "master,", "worker", "done"]
    assert row.endswith(SUMMARY)


def test_progress_says_what_the_machine_does(run: Run, shelf: Shelf) -> None:
    ran = run(*BAKE)
    assert f"bake: nodes await running: {RUNNING.progress}" in ran.err.splitlines()


def test_progress_says_what_the_driver_does_before_a_machine_bakes(run: Run, shelf: Shelf) -> None:
    ran = run(*BAKE)
    assert "bake: nodes bake running: looks for plain-1" in ran.err.splitlines()


@pytest.mark.parametrize("command", [["plan"], ["provision", "--no-wait"]])
def test_a_template_that_is_yet_to_be_baked_is_told_once_with_the_command(
    run: Run, shelf: Shelf, command: list[str]
) -> None:
    ran = run(*command, "--config", "config.yml", "--name", "prod", "-e", "cpu=200")
    assert ran.code == 2
    told = ran.err.splitlines()
    makes_it = "kube-provision bake --config config.yml --extra cpu=200"
    assert told[0] == f"kube-provision: template nodes is yet to be baked: {makes_it}"
    assert all("too large" in line for line in told[1:])


OTHERS = (
    "vm_dir: nodes-of-others has no room",
    "template nodes-old is corrupt",
    "template /vm/nodes is corrupt",
    "template nodes.qcow2 is corrupt",
    "m-nodes-1: no address is free",
    "network nodes: cannot be found",
)


@pytest.mark.parametrize("other", OTHERS)
def test_what_only_sounds_like_the_name_of_a_template_is_told_all_the_same(run: Run, shelf: Shelf, other: str) -> None:
    shelf.objects = ("template: nodes: does not exist", "there is no template 'nodes', or nobody may see it", other)
    told = run("plan", "--config", "config.yml", "--name", "prod").err.splitlines()
    assert "yet to be baked" in told[0]
    assert [line.removeprefix("kube-provision: ").strip() for line in told[1:]] == [other]


def test_what_hinders_a_bake_is_told_beside_the_command(run: Run, shelf: Shelf) -> None:
    shelf.hinders = ("/vm has 0.1 GiB left",)
    told = run("plan", "--config", "config.yml", "--name", "prod").err.splitlines()
    assert [("yet to be baked" in line, "GiB left" in line) for line in told] == [(True, False), (False, True)]


def test_what_is_named_badly_is_told_beside_what_the_target_says(run: Run, shelf: Shelf) -> None:
    shelf.misnamed = "bake_from: there is no 'plain'"
    told = run("plan", "--config", "config.yml", "--name", "prod").err.splitlines()
    assert [line.removeprefix("kube-provision: ").strip() for line in told] == [
        "there is no template nodes",
        "config.yml:5: bake_from: there is no 'plain'",
    ]


def test_what_hinders_a_bake_is_told_before_it_begins(run: Run, shelf: Shelf) -> None:
    shelf.hinders = ("/vm has 0.1 GiB left",)
    ran = run(*BAKE)
    assert (ran.code, ran.line, shelf.images) == (2, "kube-provision: /vm has 0.1 GiB left", [])


def test_what_hinders_a_bake_hinders_no_template_that_holds_what_is_wanted(run: Run, shelf: Shelf) -> None:
    run(*BAKE)
    shelf.hinders = ("/vm has 0.1 GiB left",)
    assert run(*BAKE).code == 0


def test_a_template_that_nobody_bakes_is_told_in_the_targets_own_words(run: Run, shelf: Shelf) -> None:
    ran = run("plan", "--config", "config.yml", "--name", "prod", "-e", "bake_from=")
    assert ran.line == "kube-provision: there is no template nodes"


def test_no_cluster_name_is_needed_and_no_folder_is_made(run: Run, shelf: Shelf, tmp_path: Path) -> None:
    assert run(*BAKE).code == 0
    assert list((tmp_path / "state").rglob("*")) == []


def test_a_second_run_changes_nothing(run: Run, shelf: Shelf) -> None:
    run(*BAKE)
    ran = run(*BAKE)
    assert ran.code == 0
    assert len(shelf.images) == 1
    assert f"template nodes holds what is wanted ({SUMMARY}); --again bakes it anew" in ran.err


def test_a_bake_can_be_planned_and_applied_as_it_was_planned(run: Run, shelf: Shelf) -> None:
    Path("plan.json").write_text(run("plan", "bake", "--config", "config.yml", "-o", "json").out)
    plan = json.loads(Path("plan.json").read_text())
    assert [action["action"] for action in plan["actions"]] == ["bake", "await", "finish"]
    assert shelf.images == []
    assert run("apply", "plan.json", "--config", "config.yml", "-e", "packages=[htop]").code == 2
    assert shelf.images == []
    ran = run("apply", "plan.json", "--config", "config.yml")
    assert ran.code == 0, ran.err
    assert ran.out.split()[:2] == ["TEMPLATE", "ROLES"]
    assert shelf.finished == ["nodes"]
    assert "bake nodes: is no longer to be done" in run("apply", "plan.json", "--config", "config.yml").err


def test_again_bakes_it_anew(run: Run, shelf: Shelf) -> None:
    run(*BAKE)
    assert run(*BAKE, "--again").code == 0
    assert len(shelf.images) == 2


def test_a_change_of_what_is_installed_bakes_it_anew(run: Run, shelf: Shelf) -> None:
    run(*BAKE)
    assert run(*BAKE, "-e", "packages=[htop]").code == 0
    first, second = shelf.images
    assert first.spec != second.spec
    assert "htop" in second.script


def test_a_change_of_its_source_bakes_it_anew(run: Run, shelf: Shelf) -> None:
    run(*BAKE)
    run(*BAKE, "-e", "bake_from=plain-2")
    assert len({image.spec for image in shelf.images}) == 2


def test_each_distinct_template_is_baked_once_for_the_roles_that_use_it(run: Run, shelf: Shelf) -> None:
    with Path("config.yml").open("a") as file:
        file.write("table: {template: servers}\nworkers: {packages: [htop]}\n")
    assert run(*BAKE).code == 0
    by_name = {name: template.baked.spec for name, template in shelf.templates.items() if template.baked}
    scripts = {image.spec: image.script for image in shelf.images}
    assert sorted(by_name) == ["nodes", "servers"]
    assert "kubeadm" in scripts[by_name["nodes"]]
    assert "htop" in scripts[by_name["nodes"]]
    assert "kubeadm config images pull" not in scripts[by_name["servers"]]


def test_the_report_is_data_too(run: Run, shelf: Shelf) -> None:
    ran = run(*BAKE, "--output", "json")
    (template,) = json.loads(ran.out)["templates"]
    assert template["baked"]["versions"] == {"kubeadm": "1.37.1-1.1"}
    assert template["actions"] == ["bake", "await", "finish"]


def test_a_machine_that_fails_is_told_of_and_leaves_no_template(run: Run, shelf: Shelf) -> None:
    shelf.endings["nodes"] = NodeStatus(Stage.INSTALL, "failed", "plain/packages: no such package")
    ran = run(*BAKE)
    assert ran.code != 0
    assert "stage install: plain/packages: no such package" in ran.out
    assert shelf.finished == []
    assert not shelf.templates["nodes"].exists


def test_the_run_after_a_failure_bakes_anew(run: Run, shelf: Shelf) -> None:
    shelf.endings["nodes"] = NodeStatus(Stage.INSTALL, "failed", "no such package")
    run(*BAKE)
    shelf.endings["nodes"] = DONE
    assert run(*BAKE).code == 0
    assert shelf.finished == ["nodes"]


def test_the_run_after_an_interrupt_goes_on_with_the_machine_that_bakes(
    run: Run, shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt = Interrupt()
    with monkeypatch.context() as patch:
        patch.setattr("kube_provision_core.cli.running.Interrupt", lambda: interrupt)
        patch.setattr("kube_provision_core.engine.watch.Watcher.__call__", lambda *_: interrupt.request() or {})
        assert run(*BAKE).code == 130
    assert run(*BAKE).code == 0
    assert len(shelf.images) == 1
    assert shelf.finished == ["nodes"]


def test_what_cannot_be_made_is_one_line(run: Run, shelf: Shelf) -> None:
    shelf.refuses = "the shelf is full"
    ran = run(*BAKE)
    assert ran.code == 3
    assert "the shelf is full" in ran.out


def test_a_target_that_is_out_of_reach_for_a_moment_does_not_end_the_wait(run: Run, shelf: Shelf) -> None:
    shelf.silent = PATIENCE - 1
    assert run(*BAKE).code == 0


def test_a_target_that_stays_out_of_reach_does(run: Run, shelf: Shelf) -> None:
    shelf.silent = 1000
    ran = run(*BAKE)
    assert ran.code != 0
    assert "the shelf is out of reach" in ran.err


def test_bad_templates_are_refused_before_anything_is_made(run: Run, shelf: Shelf) -> None:
    ran = run(*BAKE, "-e", "bake_from=")
    assert (ran.code, shelf.images) == (2, [])
    assert ran.line.startswith("kube-provision: template nodes (discovery, master, worker): the configuration does not say")


def test_a_target_that_bakes_nothing_is_told_of_in_one_line(run: Run, world: World) -> None:
    ran = run("bake", "--config", "config.yml")
    assert ran.code == 2
    assert ran.line == (
        "kube-provision: target memory does not answer list_templates, which this command needs; nothing was changed"
    )


def test_two_runs_at_once_are_one_too_many(run: Run, shelf: Shelf, tmp_path: Path) -> None:
    with lock_templates(tmp_path / "state/kube-provision"):
        ran = run(*BAKE)
    assert ran.code == 2
    assert "another run is at work on templates" in ran.line


class TestTheScript:
    def test_is_printed_by_targets_that_bake_nothing_too(self, run: Run, world: World) -> None:
        ran = run("bake", "--config", "config.yml", "--script")
        assert ran.code == 0
        assert ran.out.startswith("#!/usr/bin/env bash\n")
        assert ran.err == ""

    def test_is_for_all_roles_unless_some_are_named(self, run: Run, world: World) -> None:
        everything = run("bake", "--config", "config.yml", "--script").out
        server = run("bake", "--config", "config.yml", "--script", "--role", "discovery").out
        assert "kubeadm config images pull" in everything
        assert "kubeadm config images pull" not in server

    def test_is_the_same_every_time(self, run: Run, world: World) -> None:
        command = ("bake", "--config", "config.yml", "--script")
        assert run(*command).out == run(*command).out

    def test_is_one_that_bash_can_read(self, run: Run, world: World) -> None:
        script = run("bake", "--config", "config.yml", "--script").out
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=60, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")

    def test_workers_of_pools_are_workers(self, run: Run, world: World) -> None:
        pool = ("-e", "pools={gpu: 1}", "--workers", "0")
        script = run("bake", "--config", "config.yml", "--script", "--role", "workers", *pool)
        assert (script.code, script.err) == (0, "")
        assert "kubeadm config images pull" in script.out

    def test_a_role_without_machines_is_refused(self, run: Run, world: World) -> None:
        ran = run("bake", "--config", "config.yml", "--script", "--role", "workers", "--workers", "0")
        assert ran.code == 2
        assert ran.line == f"kube-provision: the configuration asks for no machine of role {Role.WORKER}"

    def test_roles_are_for_the_script_alone(self, run: Run, shelf: Shelf) -> None:
        ran = run("bake", "--config", "config.yml", "--role", "masters")
        assert ran.code == 2
        assert "--role goes with --script" in ran.line
