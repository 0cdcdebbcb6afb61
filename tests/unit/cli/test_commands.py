"""Whole command lines on a target in memory."""

from __future__ import annotations

import io
import json
import shlex
import tarfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard
from doubles.memory import World

from kube_provision_core import Endpoint, NodeStatus, Power, Stage, TargetError

OLDEST = ["--config", "config.yml", "--masters", "3", "--workers", "2", "--name", "prod"]
PROVISION = [*OLDEST, "--no-wait"]
NAMES = ["m-prod-1", "m-prod-2", "m-prod-3", "table-prod", "w-prod-1", "w-prod-2"]


# --- provision ------------------------------------------------------------------------------------------------------


def test_the_oldest_command_line_makes_a_cluster_and_waits_for_it(run, world: World) -> None:
    world.statuses.update(dict.fromkeys(NAMES, NodeStatus(Stage.FINISH, "done")))
    ran = run(*OLDEST)
    assert ran.code == 0, ran.err
    assert sorted(world.vms) == NAMES
    assert f"kubeconfig: {Path('state/kube-provision/prod/kubeconfig').resolve()}" in ran.out
    assert "the secrets in its boot data are left for the next run to take away: no master can be asked" in ran.out


def test_an_existing_discovery_service_needs_no_machine(run, world) -> None:
    run(*PROVISION, "--extra=table_address=10.200.200.1")
    assert "table-prod" not in world.vms


def test_the_report_is_data_and_progress_is_talk(run, world) -> None:
    ran = run(*PROVISION, "--output", "json", "--progress", "json")
    report = json.loads(ran.out)
    assert [node["name"] for node in report["nodes"]] == NAMES
    assert {node["state"] for node in report["nodes"]} == {"done"}
    events = [json.loads(line) for line in ran.err.splitlines() if line.startswith("{")]
    assert {event["subject"] for event in events} == {*NAMES, "prod"}


def test_a_second_run_has_nothing_to_do(run, world) -> None:
    run(*PROVISION)
    ran = run(*PROVISION, "--progress", "json")
    assert ran.code == 0
    plan, *progress = ran.err.splitlines()
    assert plan == "nothing to change"
    assert {json.loads(line)["action"] for line in progress} == {"arrange"}


def test_partly_done_exits_with_4_and_the_report_names_the_machine(run, world) -> None:
    world.breaks.add("w-prod-2")
    ran = run(*PROVISION, "-o", "json")
    assert ran.code == 4
    failed = [node for node in json.loads(ran.out)["nodes"] if node["state"] == "failed"]
    assert [(node["name"], node["text"]) for node in failed] == [("w-prod-2", "creating w-prod-2: no space left")]


def test_without_waiting_an_address_is_enough(run, world) -> None:
    assert run(*PROVISION).code == 0
    assert not world.vms["m-prod-1"].scrubbed


def test_waiting_is_bounded_and_says_where_to_ask(run, world) -> None:
    world.statuses["m-prod-1"] = NodeStatus(Stage.FINISH, "done")
    ran = run(*OLDEST, "--wait-timeout", "1", "--masters", "1", "--workers", "1")
    assert ran.code == 4
    assert "kube-provision why w-prod-1 --name prod --config config.yml" in ran.out


def test_bad_input_touches_nothing(run, world) -> None:
    ran = run(*PROVISION, "-e", "cpuu=4", "--masters", "0")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 2
    assert all(line.startswith("kube-provision: ") for line in ran.err.splitlines())
    assert not world.vms
    assert not Path("state").exists()


def test_a_boot_that_the_target_refuses_touches_nothing(run, world) -> None:
    ran = run(*PROVISION, "-e", "cpu=200")
    assert ran.code == 2
    assert "m-prod-1: too large" in ran.err
    assert not world.vms


# --- plan and status ------------------------------------------------------------------------------------------------


def test_plan_shows_and_changes_nothing(run, world) -> None:
    ran = run("plan", *PROVISION)
    assert ran.code == 0
    assert "+  create   m-prod-1    it may initialise the cluster" in ran.out
    assert not world.vms
    assert not Path("state").exists()


def test_plan_refuses_what_provisioning_would_refuse(run, world) -> None:
    ran = run("plan", *PROVISION, "-e", "cpu=200")
    assert ran.code == 2
    assert "m-prod-1: too large" in ran.err
    assert not ran.out


def test_plan_has_the_documented_keys(run, world) -> None:
    plan = json.loads(run("plan", *PROVISION, "-o", "json").out)
    assert list(plan) == ["verb", "cluster", "options", "digest", "changes", "actions", "notes", "facts"]
    assert list(plan["actions"][0]) == ["mark", "action", "subject", "reason", "after", "details"]
    assert plan["actions"][1]["after"] == ["create table-prod"]


def test_all_plans_have_one_shape(run, world) -> None:
    run(*PROVISION)
    plans = [json.loads(run("plan", *verb, *OLDEST, "-o", "json").out) for verb in ([], ["destroy"])]
    assert [plan["verb"] for plan in plans] == ["provision", "destroy"]
    assert list(plans[0]) == list(plans[1])
    assert "-  destroy" in run("plan", "destroy", *OLDEST).out
    assert sorted(world.vms) == NAMES


@pytest.mark.parametrize(
    "wrong",
    [
        ("--node", "w-prod-1"),
        ("--again",),
        ("--no-drain",),
        ("bake", "--node", "w-prod-1"),
        ("destroy", "--drifted"),
        ("renew", "--wait"),
        ("destroy", "--node", "w-prod-1", "--burn-in", "0"),
        ("replace", "--drifted", "--again"),
    ],
)
def test_an_option_of_another_verb_is_bad_input(run, world, wrong) -> None:
    ran = run("plan", *wrong, *PROVISION)
    assert ran.code == 2
    assert "goes with `plan" in ran.line


# --- apply ----------------------------------------------------------------------------------------------------------


def test_what_was_planned_is_applied_and_nobody_is_asked(run, world) -> None:
    Path("plan.json").write_text(run("plan", *PROVISION, "-o", "json").out)
    assert run("apply", "plan.json", *OLDEST).code == 0
    assert sorted(world.vms) == NAMES
    Path("plan.json").write_text(run("plan", "destroy", "--node", "w-prod-2", *OLDEST, "-o", "json").out)
    assert run("apply", "plan.json", *OLDEST).code == 0
    assert sorted(world.vms) == NAMES[:-1]


def test_what_is_no_longer_the_plan_is_refused_with_what_has_changed(run, world) -> None:
    run(*PROVISION)
    Path("plan.json").write_text(run("plan", "destroy", *OLDEST, "-o", "json").out)
    del world.vms["w-prod-2"]
    ran = run("apply", "plan.json", *OLDEST)
    assert (ran.code, sorted(world.vms)) == (2, NAMES[:-1])
    assert ran.err.splitlines() == [
        "kube-provision: destroy would no longer do what was planned, and nothing was touched. Plan anew; what has changed:",
        "kube-provision: machines w-prod-2: was memory-w-prod-2, is absent",
        "kube-provision: destroy w-prod-2: is no longer to be done",
    ]


@pytest.mark.parametrize("content", [None, b"", b"\xff", b"cluster: prod\n", b'{"verb": "why"}'])
def test_a_file_that_is_no_plan_is_one_line(run, world, content) -> None:
    if content is not None:
        Path("plan.json").write_bytes(content)
    ran = run("apply", "plan.json", *OLDEST)
    assert (ran.code, ran.line.startswith("kube-provision: plan.json: ")) == (2, True)


def test_plan_notes_are_talk(run, world) -> None:
    ran = run("plan", "-c", "config.yml", "-m", "2")
    assert "kube-provision: note: " in ran.err
    assert "note" not in ran.out


def test_status_of_what_exists(run, world) -> None:
    run(*PROVISION)
    world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "failed", "no\x1b[2J route")
    ran = run("status", "-c", "config.yml", "-w", "2")
    row = next(line for line in ran.out.splitlines() if line.startswith("w-prod-1"))
    assert "join failed" in row
    assert "w-prod-1: stage join: no [2J route. More: kube-provision why w-prod-1 --name prod --config config.yml" in ran.out


def test_status_shows_the_cause_instead_of_the_error_where_it_is_known(run, world) -> None:
    run(*PROVISION)
    world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "failed", "kubeadm: exit code 1", cause="swap is on")
    ran = run("status", "-c", "config.yml", "-w", "2")
    assert "swap is on" in ran.out
    assert "exit code 1" not in ran.out


def test_status_of_a_cluster_that_does_not_answer_is_no_error(run, world) -> None:
    run(*PROVISION)
    world.statuses["m-prod-1"] = NodeStatus(Stage.FINISH, "done")
    ran = run("status", "-c", "config.yml", "-o", "json")
    status = json.loads(ran.out)
    assert ran.code == 0
    assert not status["initialised"], "a machine's own word proves nothing"
    assert status["kubernetes_error"].startswith("m-prod-1 told that the boot has finished, and no master can be asked")
    assert {node["ready"] for node in status["nodes"]} == {None}


REACH = {
    "m-prod-1": {22: Endpoint("127.0.0.1", 20022), 2379: Endpoint("127.0.0.1", 22379), 6443: Endpoint("127.0.0.1", 26443)},
    "table-prod": {22: Endpoint("127.0.0.1", 20023), 7000: Endpoint("127.0.0.1", 27000)},
    "w-prod-1": {22: Endpoint("127.0.0.1", 20024), 30080: Endpoint("127.0.0.1", 20080)},
}


def test_status_tells_where_this_host_reaches_machines_that_it_does_not_reach_at_their_addresses(run, world) -> None:
    run(*PROVISION)
    world.reach = REACH
    lines = run("status", "-c", "config.yml", "-m", "3", "-w", "2").out.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith("FROM THIS HOST"))
    assert [line.split() for line in lines[begin : begin + 5]] == [
        ["FROM", "THIS", "HOST", "SSH", "ETCD", "API", "SERVER", "DISCOVERY", "30080"],
        ["m-prod-1", "127.0.0.1:20022", "127.0.0.1:22379", "127.0.0.1:26443", "-", "-"],
        ["table-prod", "127.0.0.1:20023", "-", "-", "127.0.0.1:27000", "-"],
        ["w-prod-1", "127.0.0.1:20024", "-", "-", "-", "127.0.0.1:20080"],
        [],
    ]


def test_status_of_machines_that_are_reached_at_their_addresses_says_nothing_about_it(run, world) -> None:
    run(*PROVISION)
    assert "FROM THIS HOST" not in run("status", "-c", "config.yml", "-w", "2").out
    status = json.loads(run("status", "-c", "config.yml", "-w", "2", "-o", "json").out)
    assert [node["reach"] for node in status["nodes"]] == [[]] * len(NAMES)


@pytest.mark.parametrize(("form", "read"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_are_told_the_same_with_each_ports_service(run, world, form, read) -> None:
    run(*PROVISION)
    world.reach = REACH
    reach = {node["name"]: node["reach"] for node in read(run("status", "-c", "config.yml", "-o", form).out)["nodes"]}
    assert reach["table-prod"] == [
        {"service": "ssh", "port": 22, "host": "127.0.0.1", "host_port": 20023},
        {"service": "discovery", "port": 7000, "host": "127.0.0.1", "host_port": 27000},
    ]
    assert [port["service"] for port in reach["m-prod-1"]] == ["ssh", "etcd", "api-server"]
    assert [port["service"] for port in reach["w-prod-1"]] == ["ssh", ""]


# --- why ------------------------------------------------------------------------------------------------------------

STUCK = NodeStatus(
    Stage.JOIN,
    "failed",
    "kubeadm/membership: exit code 1",
    step="kubeadm/membership",
    attempt=5,
    attempts=5,
    diagnosis="expired-token",
    cause="its join token expired before it joined",
    replace=True,
    log=("[preflight] Running pre-flight checks", "error \x1b[31mexecution phase preflight"),
)


def test_why_says_the_cause_what_helps_and_the_last_lines(run, world) -> None:
    run(*PROVISION)
    world.statuses["w-prod-1"] = STUCK
    ran = run("why", "w-prod-1", "-c", "config.yml", "-w", "2")
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert "verdict:     its join token expired before it joined" in lines
    replace = "kube-provision destroy --name prod --node w-prod-1 --config config.yml, then provision again"
    assert f"what helps:  replace it: {replace}" in lines
    assert "it says:     join failed, attempt 5 of 5 (kubeadm/membership)" in lines
    assert lines[-2:] == ["  [preflight] Running pre-flight checks", "  error [31mexecution phase preflight"]


def test_why_has_the_documented_keys(run, world) -> None:
    run(*PROVISION)
    world.statuses["w-prod-1"] = STUCK
    why = yaml.safe_load(run("why", "w-prod-1", "-c", "config.yml", "-w", "2", "-o", "yaml").out)
    place = ["cluster", "name", "role", "well", "verdict", "advice", "power", "address", "where"]
    told = ["stage", "state", "step", "attempt", "attempts", "error", "diagnosis", "cause"]
    assert list(why) == [*place, *told, "discovery", "kubernetes", "log", "doing"]
    assert (why["well"], why["diagnosis"], why["kubernetes"]) == (
        False,
        "expired-token",
        "not asked: the cluster is not initialised",
    )


def test_why_of_a_machine_that_is_on_its_way(run, world) -> None:
    run(*PROVISION)
    world.statuses["m-prod-2"] = NodeStatus(Stage.INSTALL, "running")
    ran = run("why", "-c", "config.yml", "m-prod-2", "-o", "json")
    assert json.loads(ran.out)["verdict"] == "it is on its way: install"


def test_why_of_a_machine_that_was_never_made(run, world) -> None:
    run(*PROVISION)
    ran = run("why", "w-prod-3", "-c", "config.yml", "-w", "3")
    assert "verdict:     it does not exist" in ran.out


def test_why_of_an_unknown_name_says_the_known_ones(run, world) -> None:
    run(*PROVISION)
    ran = run("why", "w-prd-1", "-c", "config.yml", "-w", "2")
    assert ran.code == 2
    assert ran.line == f"kube-provision: no machine w-prd-1 in cluster prod; it has {', '.join(NAMES)}"


def test_a_plan_names_a_machine_that_cannot_join_any_more(run, world) -> None:
    run(*PROVISION)
    world.statuses["w-prod-1"] = STUCK
    ran = run("plan", *PROVISION)
    assert (
        "note: w-prod-1 failed: stage join: its join token expired before it joined. What helps: replace it: "
        "kube-provision destroy --name prod --node w-prod-1 --config config.yml, then provision again" in ran.err
    )


KNOWN = NodeStatus(Stage.JOIN, "failed", "kubeadm: exit code 1", cause="swap is on", advice="take swap out of the template")


@pytest.mark.parametrize(
    ("lives", "anew"), [(False, "destroy --name prod --node w-prod-1"), (True, "replace w-prod-1 --name prod")]
)
@pytest.mark.parametrize("told", [STUCK, KNOWN, NodeStatus(Stage.INSTALL, "failed", "E: no such package")])
def test_plan_status_and_why_give_one_advice(run, world, told, lives: bool, anew: str) -> None:
    run(*PROVISION)
    if lives:
        Path("state/kube-provision/prod/initialised").touch()
    world.statuses["w-prod-1"] = told
    note = next(line for line in run("plan", *PROVISION).err.splitlines() if "w-prod-1 failed: " in line)
    trouble = note.partition(" failed: ")[2]
    assert f"w-prod-1: {trouble}" in run("status", "-c", "config.yml", "-w", "2").out.splitlines()
    advice = json.loads(run("why", "w-prod-1", "-c", "config.yml", "-w", "2", "-o", "json").out)["advice"]
    assert advice in trouble or "kube-provision why w-prod-1" in trouble
    assert run("plan", *PROVISION).err.count(f"kube-provision {anew}") == int(told.replace)


def test_a_machine_that_has_said_nothing_yet_is_told_with_how_long_that_usually_takes(run, world) -> None:
    run(*PROVISION)
    silent = "nothing heard from it since it was powered on (usually within"
    assert f"w-prod-1: {silent}" in run("status", "-c", "config.yml", "-w", "2").out
    why = json.loads(run("why", "w-prod-1", "-c", "config.yml", "-w", "2", "-o", "json").out)
    assert f"told nothing yet: {silent}" in why["verdict"]


def test_status_has_the_documented_keys(run, world) -> None:
    run(*PROVISION)
    status = yaml.safe_load(run("status", "-c", "config.yml", "-o", "yaml").out)
    facts = ["cluster", "cluster_id", "initialised", "discovery_address", "discovery_error", "nodes", "folder", "kubeconfig"]
    assert list(status) == [*facts, "kubernetes_error", "hints"]
    keys = ["name", "role", "power", "address", "stage", "error", "scrubbed", "drifted", "changes", "healthy", "ready"]
    assert list(status["nodes"][0]) == [*keys, "version", "cause", "reach", "text"]
    assert Path(status["kubeconfig"]).exists()


def test_status_names_what_has_changed_since_machines_were_made(run, world) -> None:
    Path("config.yml").write_text(Path("config.yml").read_text() + "kubelet: {maxPods: 110}\n")
    run(*PROVISION)
    Path("config.yml").write_text(Path("config.yml").read_text().replace("110", "200"))
    lines = run("status", "-c", "config.yml").out.splitlines()
    (line,) = (line for line in lines if "drifted: " in line)
    names = line.removesuffix(": drifted: kubelet.maxPods: 110 → 200").split(", ")
    nodes = json.loads(run("status", "-c", "config.yml", "-o", "json").out)["nodes"]
    changes = [{"key": "kubelet.maxPods", "old": 110, "new": 200}]
    drift = {node["name"]: (node["drifted"], node["changes"]) for node in nodes if node["drifted"]}
    assert drift == dict.fromkeys(names, (True, changes))
    assert (
        "was made from another configuration (kubelet.maxPods: 110 → 200). To make it anew:" in run("plan", *PROVISION).err
    )


# --- destroy --------------------------------------------------------------------------------------------------------


def test_destroy_asks_on_a_terminal_only(run, world, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    ran = run("destroy", "-c", "config.yml")
    assert ran.code == 2
    assert "--yes" in ran.line


def test_destroy_with_yes_removes_the_cluster(run, world) -> None:
    run(*PROVISION)
    assert run("destroy", "-c", "config.yml", "--yes").code == 0
    assert not world.vms
    assert not Path("state/kube-provision/prod").exists()


def test_destroy_of_nothing_is_done(run, world) -> None:
    ran = run("destroy", "-c", "config.yml", "--yes")
    assert (ran.code, ran.out) == (0, "nothing there, nothing done\n")


def test_destroy_of_single_nodes(run, world) -> None:
    run(*PROVISION)
    assert run("destroy", "-c", "config.yml", "-w", "2", "--node", "w-prod-2", "--yes").code == 0
    assert sorted(world.vms) == NAMES[:-1]


class Terminal(io.StringIO):
    """A user who has typed already."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("typed", "code", "left"), [("prod\n", 0, []), ("prd\n", 2, NAMES), ("", 130, NAMES)])
def test_destroy_shows_what_goes_and_asks_for_the_name(run, world, monkeypatch, typed, code, left) -> None:
    run(*PROVISION)
    monkeypatch.setattr("sys.stdin", Terminal(typed))
    ran = run("destroy", "-c", "config.yml")
    assert ran.code == code
    assert sorted(world.vms) == left
    assert ran.err.index("-  destroy") < ran.err.index("Type the cluster's name, prod")


# --- render and validate --------------------------------------------------------------------------------------------


def test_render_writes_boot_files_without_secrets(run, world) -> None:
    ran = run("render", "out", "-c", "config.yml", "-w", "1", "-o", "json")
    assert ran.code == 0, ran.err
    assert [row["name"] for row in json.loads(ran.out)] == ["table-prod", "m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1"]
    text = "".join(path.read_text() for path in Path("out").rglob("*") if path.is_file())
    assert "PRIVATE KEY" not in text
    assert "(secret)" in Path("out/m-prod-1/user-data").read_text()
    assert Path("out/w-prod-1/rootfs/etc/kube-provision/steps.json").exists()
    assert not Path("state").exists()


def test_rendered_user_data_is_cloud_config_with_all_files(run, world) -> None:
    run("render", "out", "-c", "config.yml")
    text = Path("out/m-prod-1/user-data").read_text()
    assert text.startswith("#cloud-config\n")
    paths = {entry["path"] for entry in yaml.safe_load(text)["write_files"]}
    assert paths == {f"/{path.relative_to('out/m-prod-1/rootfs')}" for path in files_below("out/m-prod-1/rootfs")}


def files_below(folder: str) -> list[Path]:
    return [path for path in Path(folder).rglob("*") if path.is_file()]


def test_render_with_secrets_is_for_nobody_else(run, world) -> None:
    run("render", "out", "-c", "config.yml", "--with-secrets")
    assert "PRIVATE KEY" in Path("out/m-prod-1/user-data").read_text()
    assert {path.stat().st_mode & 0o077 for path in [Path("out"), *Path("out").rglob("*")]} == {0}


def test_only_the_first_master_is_rendered_with_the_authorities(run, world) -> None:
    run("render", "out", "-c", "config.yml", "--with-secrets")
    with_key = {path.name for path in Path("out").iterdir() if "PRIVATE KEY" in (path / "user-data").read_text()}
    assert with_key == {"m-prod-1"}


def test_render_keeps_what_is_there_unless_forced(run, world) -> None:
    run("render", "out", "-c", "config.yml")
    Path("out/m-prod-1/stale").touch()
    ran = run("render", "out", "-c", "config.yml")
    assert (ran.code, ran.line) == (
        2,
        "kube-provision: out: is not empty; name another folder, or replace its content with --force",
    )
    assert run("render", "out", "-c", "config.yml", "--force").code == 0
    assert not Path("out/m-prod-1/stale").exists()


def test_render_to_a_place_that_cannot_be_written(run, world) -> None:
    Path("out").touch()
    ran = run("render", "out/deeper", "-c", "config.yml")
    assert ran.code == 2
    assert "out" in ran.line


def test_validate_renders_every_machine_and_keeps_nothing(run, world) -> None:
    ran = run("validate", "-c", "config.yml", "-w", "1", "-m", "2", "-o", "json")
    data = json.loads(ran.out)
    assert list(data) == ["cluster", "warnings", "machines"]
    assert [machine["name"] for machine in data["machines"]] == ["table-prod", "m-prod-1", "m-prod-2", "w-prod-1"]
    assert all(machine["boot_bytes"] > 1000 for machine in data["machines"])
    assert len(data["warnings"]) == 1
    assert ran.line.startswith("kube-provision: warning: ")
    assert not Path("state").exists()


def test_validate_finds_what_only_rendering_can(run, world) -> None:
    Path("broken.j2").write_text("{{ nobody.knows }}")
    Path("config.yml").write_text(Path("config.yml").read_text() + "templates: {/etc/x: broken.j2}\n")
    ran = run("validate", "-c", "config.yml")
    assert ran.code == 2
    assert "broken.j2" in ran.err


# --- plugins --------------------------------------------------------------------------------------------------------


def test_plugins_are_listed(run, world) -> None:
    rows = json.loads(run("plugins", "-o", "json").out)
    mine = [row for row in rows if row["distribution"] == "kp-cli-doubles"]
    assert [(row["kind"], row["name"], row["version"], row["problem"]) for row in mine] == [
        ("target", "memory", "1.0", ""),
        ("os", "plain", "1.0", ""),
        ("discovery", "table", "1.0", ""),
    ]


def test_a_broken_plugin_is_shown_and_harms_no_other(run, world, monkeypatch, tmp_path) -> None:
    info = tmp_path / "broken" / "kp_broken-0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: kp-broken\nVersion: 0.1\n")
    (info / "entry_points.txt").write_text("[kube_provision.target]\nbroken = kp_no_such_module:Driver\n")
    monkeypatch.syspath_prepend(str(info.parent))
    ran = run("plugins", "-o", "json")
    assert ran.code == 0
    problems = {row["name"]: row["problem"] for row in json.loads(ran.out)}
    assert "kp_no_such_module" in problems["broken"]
    assert problems["memory"] == ""
    unchecked = run("plugins", "--no-check", "-o", "json")
    assert {row["problem"] for row in json.loads(unchecked.out)} == {""}


# --- schema ---------------------------------------------------------------------------------------------------------


def test_the_schema_is_of_the_drivers_that_a_configuration_names(run, world) -> None:
    Path("config.yml").write_text("target: memory\nos: plain\ndiscovery: table\n")  # no name yet: it is being written
    properties = json.loads(run("schema", "-c", "config.yml").out)["properties"]
    assert {"masters", "memory_pool", "table_address"} <= properties.keys()
    assert "vcenter_hostname" not in properties


def test_the_schema_of_named_drivers_in_yaml(run, world) -> None:
    ran = run("schema", "--target", "memory", "--os", "plain", "--discovery", "table", "--output", "yaml")
    assert "memory_pool" in yaml.safe_load(ran.out)["properties"]


def test_a_driver_named_by_a_flag_comes_before_the_configuration_s(run, world) -> None:
    assert run("schema", "-c", "config.yml", "--target", "nobody").code == 2


def test_a_schema_of_one_driver_out_of_several_must_be_chosen(run, world) -> None:
    ran = run("schema", "--discovery", "table", "--os", "plain")
    assert ran.code == 2
    assert "which target? Name it with --target or in the configuration: one of memory" in ran.line


# --- advice ---------------------------------------------------------------------------------------------------------


def test_advice_works_when_it_is_pasted(run, world) -> None:
    Path("config.yml").rename("my cluster.yml")
    site = ["--config", "my cluster.yml", "--state", "kept here", "--extra", "table_address=10.200.200.1", "--no-wait"]
    run(*site, "--workers", "2")
    (line,) = run(*site, "--workers", "1").err.splitlines()
    program, *words = shlex.split(line.partition("To remove them: ")[2])
    assert program == "kube-provision"
    ran = run(*words, "--yes")
    assert ran.code == 0, ran.err
    assert "w-prod-2" not in world.vms
    assert "w-prod-1" in world.vms


def test_advice_to_remove_a_discovery_machine_that_is_not_used_works_too(run, world) -> None:
    run(*PROVISION)
    refused = run(*PROVISION, "--extra", "table_address=10.200.200.1").line
    ran = run(*shlex.split(refused.partition("remove it: ")[2])[1:], "--yes")
    assert ran.code == 0, ran.err
    assert "table-prod" not in world.vms


# --- logs, exec -----------------------------------------------------------------------------------------------------


@pytest.fixture
def told(world, run, monkeypatch) -> list[tuple[object, ...]]:
    """What machines were asked; one answers with three bytes that no text has, the last of more."""
    from kube_provision_core.verbs import asking

    run(*PROVISION)
    asked: list[tuple[object, ...]] = []

    def ask(session, *words) -> asking.Told:
        asked.append(words[:-1])
        return asking.Told(b"a\xff\x1b", 12, 7)

    monkeypatch.setattr(asking, "execute", ask)
    monkeypatch.setattr(asking, "read_journal", ask)
    return asked


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["exec", "w-prod-1", "-c", "config.yml", "--", "ls", "-l", "--", "-c"], ("w-prod-1", ("ls", "-l", "--", "-c"), 60)),
        (["exec", "--timeout", "5", "-c", "config.yml", "w-prod-1", "true"], ("w-prod-1", ("true",), 5)),
        (["logs", "w-prod-1", "-c", "config.yml"], ("w-prod-1", None, 500)),
        (["logs", "w-prod-1", "kubelet", "--lines", "9", "-c", "config.yml"], ("w-prod-1", "kubelet", 9)),
    ],
)
def test_what_a_machine_says_is_printed_byte_for_byte_with_its_exit_code(run, told, words, asked) -> None:
    ran = run(*words)
    assert (ran.code, told, ran.out) == (7, [asked], "a\ufffd\x1b")
    assert "kube-provision: note: w-prod-1 has said 12 bytes more before this" in ran.err


@pytest.mark.parametrize("words", [["exec", "w-prod-1", "--", "true"], ["logs", "w-prod-1"]])
def test_the_page_has_the_exit_code_of_the_command(run, told, words) -> None:
    assert run("-c", "config.yml", words[0], "--report", "run.html", *words[1:]).code == 7
    page = Path("run.html").read_text()
    assert "exit code <b>7</b>" in page
    assert "the program failed" in page
    assert "what was run on the machine has returned 7" in page


@pytest.mark.parametrize("words", [["exec", "w-prod-1", "--", "true"], ["logs", "w-prod-1"], ["ssh", "w-prod-1"]])
def test_who_stops_a_question_has_interrupted_it_and_the_machine_is_not_blamed(run, world, monkeypatch, words) -> None:
    from kube_provision_core.verbs import asking, ssh

    def stopped(*words: Any) -> None:
        words[-1].interrupt.request()
        raise TargetError("w-prod-1: it was not asked: interrupted")

    for module, name in ((asking, "execute"), (asking, "read_journal"), (ssh, "learn_host_keys")):
        monkeypatch.setattr(module, name, stopped)
    run(*PROVISION)
    ran = run("-c", "config.yml", *words)
    assert (ran.code, ran.line) == (130, "kube-provision: interrupted")


@pytest.mark.parametrize("words", [["exec", "w-prod-1", "--", "true"], ["logs", "w-prod-1"]])
def test_a_machine_that_is_off_is_one_line_and_given_nothing(run, world, words) -> None:
    run(*PROVISION)
    world.vms["w-prod-1"] = replace(world.vms["w-prod-1"], power=Power.OFF)
    ran = run("-c", "config.yml", *words)
    assert (ran.code, ran.out, world.tasks) == (2, "", {})
    assert ran.line.startswith(
        "kube-provision: w-prod-1 is off, and can be asked nothing: start it, or ask kube-provision why"
    )


def test_a_command_that_is_missing_is_asked_for(run, world) -> None:
    assert run("exec", "w-prod-1", "-c", "config.yml").code == 2


# --- support-bundle ---------------------------------------------------------------------------------------------------


BUNDLE = ["support-bundle", "it.tar.zst", "-c", "config.yml"]


def test_a_bundle_is_written_and_what_is_not_in_it_is_told(run, world) -> None:
    run(*PROVISION)
    world.vms.update({name: replace(vm, power=Power.OFF) for name, vm in world.vms.items()})
    ran = run(*BUNDLE)
    path = Path("it.tar.zst").absolute()
    assert (ran.code, ran.out, path.stat().st_mode & 0o777) == (0, f"{path}\n", 0o600)
    told = ran.err.splitlines()
    assert all(line.startswith("kube-provision: note: not in it: ") for line in told)
    assert [line for line in told if "w-prod-1/kubelet.txt" in line and line.endswith(": the machine is off")]
    with tarfile.open(fileobj=io.BytesIO(zstandard.ZstdDecompressor().decompress(path.read_bytes()))) as archive:
        missing = archive.extractfile("prod-support/missing.txt")
        assert missing
        assert [f"kube-provision: note: not in it: {line}" for line in missing.read().decode().splitlines()] == told


def test_a_bundle_replaces_nothing_and_that_is_said_before_anybody_is_asked(run, world) -> None:
    Path("it.tar.zst").write_text("mine")
    ran = run(*BUNDLE)
    assert (ran.code, ran.out, world.looks) == (2, "", 0)
    assert ran.line.endswith("it.tar.zst: exists already, and is not replaced; name a new file")


def test_a_bundle_that_is_interrupted_is_not_written(run, world, monkeypatch) -> None:
    from kube_provision_core.verbs import support_bundle

    def collect(session, state, user) -> support_bundle.Bundle:
        user.interrupt.request()
        return support_bundle.Bundle({}, ())

    monkeypatch.setattr(support_bundle, "collect", collect)
    ran = run(*BUNDLE)
    assert (ran.code, ran.out) == (130, "")
    assert ran.line.endswith("it.tar.zst is not written")
    assert not Path("it.tar.zst").exists()


# --- ssh ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def became(world, run, monkeypatch) -> list[list[str]]:
    """Command lines that the program has become, where machines tell this as their host keys."""
    from kube_provision_core.verbs import asking, ssh

    run(*PROVISION)
    became: list[list[str]] = []
    monkeypatch.setattr("os.execvp", lambda program, words: became.append([*words]))
    monkeypatch.setattr(ssh, "ask", lambda *words: asking.Told(b"ssh-ed25519 AAAA root@host\n", 0, 0))
    return became


def test_ssh_becomes_the_systems_own_once_the_host_key_is_known(run, became) -> None:
    assert run("ssh", "w-prod-1", "-c", "config.yml", "-l", "me", "--", "ls", "-l").code == 0
    (words,) = became
    assert (words[:5], words[-2:]) == (["ssh", "-p", "22", "-l", "me"], ["ls", "-l"])
    assert "StrictHostKeyChecking=yes" in words
    assert Path("state/kube-provision/prod/known_hosts").read_text().endswith(" ssh-ed25519 AAAA\n")


def test_ssh_of_what_has_told_no_key_is_refused_unless_that_is_accepted(run, became, world, monkeypatch) -> None:
    vm = world.vms["w-prod-1"]
    world.vms["w-prod-1"] = replace(vm, stamp=replace(vm.stamp, instance=""))
    from kube_provision_core.verbs import asking, ssh

    monkeypatch.setattr(ssh, "ask", asking.ask)
    ran = run("ssh", "w-prod-1", "-c", "config.yml")
    assert (ran.code, became) == (2, [])
    assert ran.line.startswith("kube-provision: w-prod-1 was made by an earlier version and can be given no task.")
    assert ran.line.endswith(". Its host keys are not known; --accept-new trusts those that are shown")
    assert run("ssh", "w-prod-1", "-c", "config.yml", "--accept-new").code == 0
    assert "StrictHostKeyChecking=accept-new" in became[0]
    assert not Path("state/kube-provision/prod/known_hosts").exists()


def test_without_a_program_ssh_that_is_said(run, became, monkeypatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    ran = run("ssh", "w-prod-1", "-c", "config.yml")
    assert (ran.code, ran.line) == (2, "kube-provision: there is no program ssh here: install OpenSSH's client")


# --- kubeconfig -----------------------------------------------------------------------------------------------------


@pytest.fixture
def kubectls(world, run, tmp_path: Path, monkeypatch) -> Path:
    """The file of whoever calls kubectl, where a cluster was made."""
    run(*PROVISION)
    path = tmp_path / "kubectls"
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


KUBECONFIG = ["kubeconfig", "-c", "config.yml", "--server", "api.invalid"]


def test_a_kubeconfig_is_printed_and_nothing_else(run, kubectls: Path) -> None:
    ran = run(*KUBECONFIG)
    assert ran.code == 0
    document = yaml.safe_load(ran.out)
    assert document["clusters"][0]["cluster"]["server"] == "https://api.invalid:6443"
    assert ran.line.startswith("kube-provision: note: no handshake with api.invalid:6443")
    assert not kubectls.exists()


def test_a_kubeconfig_is_merged_and_nothing_printed(run, kubectls: Path) -> None:
    kubectls.write_text("kind: Config\n# mine\n")
    ran = run(*KUBECONFIG, "--merge", "--use", "--user", "jane")
    assert (ran.code, ran.out) == (0, "")
    copy = f"{kubectls}.before-kube-provision"
    assert ran.err.splitlines()[-1] == f"kube-provision: note: context jane@prod is in {kubectls}, and as it was in {copy}"
    assert yaml.safe_load(kubectls.read_text())["current-context"] == "jane@prod"
    assert kubectls.read_text().startswith("kind: Config\n# mine\n")


@pytest.mark.parametrize("words", [["--name", "prod", "--as", "mine"], ["--as", "mine", "--name", "prod"], ["--as", "mine"]])
def test_entries_are_called_otherwise_and_the_cluster_is_the_same(run, kubectls: Path, words) -> None:
    ran = run(*KUBECONFIG, *words)
    assert ran.code == 0, ran.err
    document = yaml.safe_load(ran.out)
    assert [document[kind][0]["name"] for kind in ("clusters", "users", "contexts")] == ["mine"] * 3
    assert document["current-context"] == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--use"], "--use goes with --merge"),
        (["--group", "a"], "--group goes with --user"),
        (["--allow-system"], "--allow-system goes with --user"),
        (["--days", "0"], "0 is not in the range"),
        (["--merge"], "kubectls:1: it is not YAML: mend it, or name another file"),
    ],
)
def test_a_kubeconfig_that_cannot_be_is_refused_and_nothing_is_touched(run, kubectls: Path, words, said: str) -> None:
    kubectls.write_text("{")
    ran = run(*KUBECONFIG, *words)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.err.splitlines()[-1]
    assert (kubectls.read_text(), list(kubectls.parent.glob("kubectls*"))) == ("{", [kubectls])


# --- certificates ---------------------------------------------------------------------------------------------------


def test_certificates_of_masters_and_of_the_folder_are_listed(run, world) -> None:
    run(*PROVISION)
    world.vms["m-prod-3"] = replace(world.vms["m-prod-3"], power=Power.OFF)
    ran = run("certificates", "-c", "config.yml", "-o", "json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert list(told) == ["cluster", "certificates"]
    assert list(told["certificates"][0]) == ["machine", "certificate", "ends", "days", "text"]
    rows = {(row["machine"], row["certificate"]): row for row in told["certificates"]}
    assert (rows["", "kubeconfig"]["days"], rows["", "ca"]["days"]) == (364, 3649)
    assert rows["m-prod-3", "apiserver"]["text"] == "the machine is off"
    assert rows["m-prod-1", "admin.conf"]["ends"] == ""
    assert rows["m-prod-1", "admin.conf"]["text"].startswith("a file of the machine, which no handshake shows")
    assert "w-prod-1" not in {machine for machine, _ in rows}


@pytest.mark.parametrize("words", [[], ["--files"]])
def test_certificates_of_a_cluster_that_is_not_there_are_none(run, world, words: list[str]) -> None:
    ran = run("certificates", *words, "-c", "config.yml", "-o", "json")
    assert (ran.code, json.loads(ran.out)["certificates"]) == (0, [])


def test_status_warns_of_what_ends_soon(run, world, monkeypatch) -> None:
    run(*PROVISION)
    folder = Path("state/kube-provision/prod")
    (folder / "initialised").touch()
    assert "kubeconfig ends on" not in run("status", "-c", "config.yml").out
    monkeypatch.setattr("kube_provision_core.cluster.certificates.SOON", timedelta(days=400))
    out = run("status", "-c", "config.yml").out
    assert f"{folder.resolve()}: kubeconfig ends on 20" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["renew", "w-prod-1"], "w-prod-1: no master of cluster prod; its masters are m-prod-1, m-prod-2, m-prod-3"),
        (["renew", "m-prod-1"], "cluster prod is not initialised, and has no certificates yet: provision it"),
        (["--progress", "json"], "--progress goes with `certificates renew`"),
        (["renew", "--files"], "--files goes with `certificates`, which shows them"),
        (["m-prod-1"], "'m-prod-1' is not 'renew', the one word that `certificates` takes. Names follow it."),
    ],
)
def test_a_renewal_that_cannot_be_is_refused_with_what_to_do(run, world, words: list[str], said: str) -> None:
    run(*PROVISION)
    ran = run("certificates", *words, "-c", "config.yml")
    assert ran.code == 2
    assert said in ran.line
    assert world.tasks == {}


def test_a_renewal_is_planned_master_by_master(run, world) -> None:
    run(*PROVISION)
    (Path("state/kube-provision/prod") / "initialised").touch()
    told = json.loads(run("plan", "renew", "--node", "m-prod-2", "-c", "config.yml", "-o", "json").out)
    assert [(action["action"], action["subject"]) for action in told["actions"]] == [
        ("give-renew", "m-prod-2"),
        ("renew", "m-prod-2"),
        ("clear-renew", "m-prod-2"),
    ]
