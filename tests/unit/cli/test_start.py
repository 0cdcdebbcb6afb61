"""What a quick command line may import. Start-up time follows from that; it is not measured here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"pydantic", "jinja2", "cryptography", "rich", "yaml", "stevedore", "urllib3", "pyVmomi", "http", "ssl"}
DRIVERS = {"kube_provision_vsphere", "kube_provision_ubuntu", "kube_provision_consul"}
PROGRAM = Path(sys.executable).with_name("kube-provision")

PROBE = """
import json, sys
from kube_provision_core.cli import main
code = main(sys.argv[1:])
print(json.dumps({"code": code, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


def loaded(*arguments: str) -> set[str]:
    """Names of the modules in memory after a command line that succeeded."""
    ran = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True, timeout=60)
    told = json.loads(ran.stderr.splitlines()[-1])
    assert told["code"] == 0, ran.stderr
    return set(told["modules"])


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["provision", "--help"], ["plan", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    roots = {name.partition(".")[0] for name in loaded(*arguments)}
    assert not roots & (HEAVY | DRIVERS)


def test_a_run_loads_what_asks_a_living_cluster_only_where_one_lives() -> None:
    probe = "import sys, kube_provision_core.verbs.run, kube_provision_core.verbs.replace; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert "kube_provision_core.cluster.living" in ran.stdout.split()
    assert not {"kube_provision_core.cluster.https_client", "urllib3"} & set(ran.stdout.split())


def test_a_plan_loads_nothing_that_carries_it_out() -> None:
    probe = "import sys, kube_provision_core.verbs.planning, kube_provision_core.verbs.provision; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    rooms = ("engine.executor", "engine.handlers", "engine.watch", "verbs.run", "cluster.drain")
    assert not {f"kube_provision_core.{room}" for room in rooms} & set(ran.stdout.split())


def test_help_loads_no_other_command() -> None:
    commands = {name for name in loaded("--help") if name.startswith("kube_provision_core.cli.commands.")}
    assert commands == {"kube_provision_core.cli.commands.provision"}


def complete(line: str) -> subprocess.CompletedProcess[str]:
    """What bash asks the program for when TAB is hit at the end of the line."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_KUBE_PROVISION_COMPLETE": "bash_complete"}
    command = [sys.executable, "-X", "importtime", str(PROGRAM)]
    return subprocess.run(command, env={**os.environ, **words}, capture_output=True, text=True, timeout=60)


def test_completion_loads_nothing_heavy() -> None:
    imported = {
        row.rpartition("|")[2].strip().partition(".")[0] for row in complete("kube-provision pl").stderr.splitlines()
    }
    assert not imported & (HEAVY | DRIVERS)


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("kube-provision pl", "plain,plan"),
        ("kube-provision --clus", "plain,--cluster-name"),
        ("kube-provision --config c.yml --prog", "plain,--progress"),
        ("kube-provision --progress js", "plain,json"),
        ("kube-provision plan --output y", "plain,yaml"),
        ("kube-provision --config c.yml st", "plain,status"),
        ("kube-provision --config c.yml ", "plain,status"),
        ("kube-provision --config c.yml plan --wa", "plain,--wait"),
        ("kube-provision plan --config ", "file,"),
    ],
)
def test_completion_offers(line: str, offered: str) -> None:
    assert offered in complete(line).stdout.splitlines()


@pytest.mark.parametrize("line", ["kube-provision provision st", "kube-provision --progress st"])
def test_completion_offers_no_command_where_none_can_stand(line: str) -> None:
    assert "plain,status" not in complete(line).stdout.splitlines()


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_that_cannot_be_written_is_a_line(option: str) -> None:
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run([str(PROGRAM), option], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (74, "kube-provision: stdout cannot be written to: No space left on device\n")


def test_a_folder_that_is_gone_is_a_line(tmp_path: Path) -> None:
    command = f"rmdir {tmp_path} && exec {PROGRAM} status --state here --name prod"
    ran = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (2, "kube-provision: the current folder is gone: change to one that exists\n")
