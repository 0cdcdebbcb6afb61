"""What stdout gets."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tty
from pathlib import Path

import pytest
import yaml

from kube_provision_core.cli.output import columns, emit, write

PROGRAM = Path(sys.executable).with_name("kube-provision")
DATA = {"cluster": "prod", "nodes": [{"name": "m-prod-1", "address": None, "scrubbed": True}]}


def refuse() -> str:
    pytest.fail("nobody asked for a table")


@pytest.mark.parametrize(("form", "parse"), [("json", json.loads), ("yaml", yaml.safe_load)])
def test_programs_read_back_what_was_there(form, parse, capsys) -> None:
    emit(DATA, form, refuse)
    assert parse(capsys.readouterr().out) == DATA


def test_keys_keep_their_order(capsys) -> None:
    emit(DATA, "yaml", refuse)
    assert capsys.readouterr().out.startswith("cluster: prod\nnodes:")


SAY = "from kube_provision_core.cli.output import write_told; write_told(b'a\\xff\\x1b[2J\\n\\tb\\n')"


def test_what_a_machine_says_goes_as_it_is_to_a_pipe() -> None:
    said = subprocess.run([sys.executable, "-c", SAY], capture_output=True, check=True).stdout
    assert said == b"a\xff\x1b[2J\n\tb\n"


def test_what_a_machine_says_steers_no_terminal() -> None:
    ours, theirs = os.openpty()
    tty.setraw(theirs)
    subprocess.run([sys.executable, "-c", SAY], stdout=theirs, check=True)
    assert os.read(ours, 100) == b"a\\xff [2J\n\tb\n"
    os.close(ours)
    os.close(theirs)


def test_yaml_has_no_anchors(capsys) -> None:
    shared = {"help": "text"}
    emit({"one": shared, "two": shared}, "yaml", refuse)
    assert capsys.readouterr().out == "one:\n  help: text\ntwo:\n  help: text\n"


def test_a_terminal_that_cannot_show_a_character_gets_its_escape(monkeypatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", stdout)
    write("Wörk")
    assert stdout.buffer.getvalue() == b"W\\xf6rk\n"


def test_a_table_has_aligned_columns_and_no_trailing_blanks() -> None:
    table = columns([("NAME", "ADDRESS", "SCRUBBED"), ("m-prod-1", None, True), ("w-prod-10", "10.0.0.1", False)])
    assert table.splitlines() == [
        "NAME       ADDRESS   SCRUBBED",
        "m-prod-1   -         yes",
        "w-prod-10  10.0.0.1  no",
    ]


def test_what_a_node_says_cannot_steer_the_terminal() -> None:
    assert columns([("\x1b[2Jno\nroute",)]) == "[2Jno route"


def test_a_reader_that_goes_away_ends_the_program_quietly() -> None:
    program = "from kube_provision_core.cli.output import *\nimport click\n"
    program += (
        "try: [write('x' * 100_000) for _ in range(100)]\nexcept click.exceptions.Exit as end: sys.exit(end.exit_code)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as writer:
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait(60) == 141


def test_a_full_disk_is_one_line() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ran = subprocess.run([PROGRAM, "plugins"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert ran.returncode == 74
    assert ran.stderr.startswith("kube-provision: stdout cannot be written to: No space left on device")
    assert len(ran.stderr.splitlines()) == 1


def test_talk_that_nobody_hears_stops_nothing() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123 - a device
        ran = subprocess.run([PROGRAM, "plann"], stdout=subprocess.PIPE, stderr=full, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (2, b"")


@pytest.mark.parametrize(("closed", "code"), [("<&-", 2), ("2>&-", 2), (">&-", 0), ("<&- >&- 2>&-", 2)])
def test_streams_may_be_closed(closed: str, code: int) -> None:
    arguments = "destroy" if code else "plugins"
    script = f'exec "$0" {arguments} {closed}'
    ran = subprocess.run(["/bin/sh", "-c", script, PROGRAM], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (code, "")
    assert "Traceback" not in ran.stderr
