"""Whole command lines on a target in memory."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import pytest
import yaml
from doubles.memory import World

from kube_provision_core import Endpoint, NodeStatus, Stage

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
    assert world.vms["m-prod-1"].scrubbed


def test_an_existing_consul_needs_no_machine(run, world) -> None:
    run(*PROVISION, "--consul-ip=10.200.200.1")
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
    assert list(plan) == ["cluster", "changes", "actions", "notes"]
    assert list(plan["actions"][0]) == ["mark", "action", "subject", "reason", "after"]
    assert plan["actions"][1]["after"] == ["create table-prod"]


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
    assert "no [2J route" in row


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
    assert status["initialised"]
    assert "no master can be asked" in status["kubernetes_error"]
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
    assert list(why) == [*place, *told, "discovery", "kubernetes", "log"]
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
    assert ran.line == f"kube-provision: w-prd-1: no such machine in cluster prod; it has {', '.join(NAMES)}"


def test_a_plan_names_a_machine_that_cannot_join_any_more(run, world) -> None:
    run(*PROVISION)
    world.statuses["w-prod-1"] = STUCK
    ran = run("plan", *PROVISION)
    assert (
        "note: w-prod-1 failed: stage join: its join token expired before it joined. What helps: replace it: "
        "kube-provision destroy --name prod --node w-prod-1 --config config.yml, then provision again" in ran.err
    )


def test_status_has_the_documented_keys(run, world) -> None:
    run(*PROVISION)
    status = yaml.safe_load(run("status", "-c", "config.yml", "-o", "yaml").out)
    facts = ["cluster", "cluster_id", "initialised", "discovery_address", "discovery_error", "nodes", "folder", "kubeconfig"]
    assert list(status) == [*facts, "kubernetes_error", "hints"]
    keys = ["name", "role", "power", "address", "stage", "error", "scrubbed", "drifted", "healthy", "ready", "cause"]
    assert list(status["nodes"][0]) == [*keys, "reach"]
    assert Path(status["kubeconfig"]).exists()


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
    site = ["--config", "my cluster.yml", "--state", "kept here", "--consul-ip", "10.200.200.1", "--no-wait"]
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
    refused = run(*PROVISION, "--consul-ip", "10.200.200.1").line
    ran = run(*shlex.split(refused.partition("remove it: ")[2])[1:], "--yes")
    assert ran.code == 0, ran.err
    assert "table-prod" not in world.vms
