"""The runner with real scripts on a node that is a temporary folder."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kube_provision_core.folder.pki import create_certificate_key, create_token
from kube_provision_node import runner

PUBLISHER = "#!/bin/bash\nset -eu\ncat >>{root}/published\necho >>{root}/published\n"


class Machine:
    """A node with steps, a publisher that writes down what it is given, and a cloud-init that has finished."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.steps: list[dict[str, Any]] = []
        self.pauses: list[float] = []
        self.write("run/cloud-init/result.json", "{}")
        self.publisher(PUBLISHER.format(root=root))
        self.write("etc/kube-provision/steps.json", "[]")

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def publisher(self, script: str) -> None:
        self.write("usr/local/lib/kube-provision/publish", script).chmod(0o755)

    def step(self, stage: str, script: str, *, name: str = "one", attempts: int = 1, timeout: float = 20) -> Path:
        path = f"usr/local/lib/kube-provision/steps/{len(self.steps):02}-{stage}/test-{name}.sh"
        entry = {"stage": stage, "plugin": "test", "name": name, "path": f"/{path}"}
        self.steps.append({**entry, "timeout": timeout, "attempts": attempts})
        self.write("etc/kube-provision/steps.json", json.dumps(self.steps))
        return self.write(path, script)

    def say(self, word: str) -> str:
        """A script line that leaves a trace."""
        return f"echo {word} >>{self.root}/said\n"

    @property
    def said(self) -> list[str]:
        file = self.root / "said"
        return file.read_text().split() if file.exists() else []

    @property
    def published(self) -> list[tuple[str, str]]:
        return [(status["stage"], status["state"]) for status in self.statuses]

    @property
    def statuses(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.root / "published").read_text().splitlines()]

    def run(self) -> int:
        return runner.run(self.root, sleep=self.pauses.append)

    def start(self, preparation: str = "") -> subprocess.Popen[bytes]:
        """The runner as a process of its own."""
        begin = f"import pathlib\nfrom kube_provision_node import runner\n{preparation}"
        return subprocess.Popen([sys.executable, "-c", f"{begin}\nrunner.run(pathlib.Path({str(self.root)!r}))"])


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_stages_run_in_their_order_whatever_the_order_of_the_list(machine: Machine) -> None:
    for stage in ("finish", "join", "discover", "install", "prepare"):
        machine.step(stage, machine.say(stage))
    assert machine.run() == 0
    assert machine.said == list(runner.STAGES)


def test_steps_begin_in_the_root_folder_wherever_the_runner_does(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(machine.root)
    machine.step("prepare", f"pwd >>{machine.root}/said\n")
    assert machine.run() == 0
    assert machine.said == ["/"]


def test_steps_of_one_stage_keep_the_order_of_the_list(machine: Machine) -> None:
    for name in ("b", "a", "c"):
        machine.step("install", machine.say(name), name=name)
    machine.run()
    assert machine.said == ["b", "a", "c"]


def test_every_stage_is_published_and_the_end_too(machine: Machine) -> None:
    machine.step("prepare", "true")
    machine.step("join", "true")
    machine.run()
    assert machine.published == [("prepare", "running"), ("join", "running"), ("finish", "done")]


def test_a_step_that_fails_at_first_is_tried_again(machine: Machine) -> None:
    machine.step("install", f"{machine.say('try')}[ $(wc -l <{machine.root}/said) -ge 3 ]", attempts=5)
    assert machine.run() == 0
    assert machine.said == ["try"] * 3


def test_pauses_grow_and_are_capped(machine: Machine) -> None:
    machine.step("install", "false", attempts=9)
    machine.run()
    assert len(machine.pauses) == 8
    assert machine.pauses[0] <= 5
    assert all(30 <= pause <= 60 for pause in machine.pauses[-3:])


def test_attempts_used_up_mean_failed_and_exit_code_one(machine: Machine) -> None:
    machine.step("install", "echo 'no such mirror' >&2; exit 4", attempts=2)
    machine.step("join", machine.say("joined"))
    assert machine.run() == 1
    last = machine.statuses[-1]
    assert (last["stage"], last["state"]) == ("install", "failed")
    assert last["error"] == "test/one: exit code 4: no such mirror"
    assert machine.said == []


def test_between_attempts_the_error_is_published_while_running(machine: Machine) -> None:
    machine.step("install", "echo 'no such mirror' >&2; exit 4", attempts=2)
    machine.run()
    again = machine.statuses[1]
    assert (again["state"], again["step"], again["attempt"], again["attempts"]) == ("running", "test/one", 2, 2)
    assert "no such mirror" in again["error"]


def test_the_error_is_what_kubeadm_says_itself_and_not_what_its_libraries_log(machine: Machine) -> None:
    said = (
        'E1128 13:08:14.570161    1187 log.go:32] "RuntimeConfig from runtime service failed" err="rpc error: unknown"',
        "error: failed to pull image registry.lan/pause:3.10: not found",
        "To see the stack trace of this error execute with --v=5 or higher",
    )
    machine.step("discover", "".join(f"echo {shlex.quote(line)} >&2\n" for line in said) + "exit 1")
    machine.run()
    assert machine.statuses[-1]["error"] == (
        "test/one: exit code 1: failed to pull image registry.lan/pause:3.10: not found"
    )


def test_the_last_lines_of_a_failed_step_are_published_from_both_streams(machine: Machine) -> None:
    machine.step("install", "echo looking; echo '<6>by a program of ours'; sleep 0.2; echo 'no such mirror' >&2; exit 4")
    machine.run()
    assert machine.statuses[-1]["log"] == ["looking", "by a program of ours", "no such mirror"]


@pytest.mark.usefixtures("network_of_the_machine")
def test_a_cause_that_is_recognised_is_published_with_what_to_do(machine: Machine) -> None:
    machine.step("install", "echo 'curl: (6) Could not resolve host: mirror.lan' >&2; exit 6")
    machine.run()
    last = machine.statuses[-1]
    assert last["diagnosis"] == "repository-unreachable"
    assert "mirror.lan" in last["cause"]
    assert "package_repositories" in last["advice"]


def test_a_hopeless_step_is_not_tried_in_vain(machine: Machine) -> None:
    said = "error decoding secret data with provided key"
    machine.step("join", f"{machine.say('try')}echo '{said}' >&2; exit 1", attempts=5)
    assert machine.run() == 1
    assert machine.said == ["try"]
    assert machine.statuses[-1]["replace"] is True


def test_a_runner_that_starts_again_still_says_why_it_does(machine: Machine) -> None:
    machine.step("install", f"echo 'no such mirror' >&2; [ -e {machine.root}/mirror ]")
    machine.run()
    (machine.root / "published").unlink()
    machine.run()
    first = machine.statuses[0]
    assert first["state"] == "running"
    assert "no such mirror" in first["error"]


def test_a_step_that_succeeds_is_no_longer_blamed(machine: Machine) -> None:
    machine.step("install", f"echo 'no such mirror' >&2; [ -e {machine.root}/mirror ]", attempts=1)
    machine.step("join", "true")
    machine.run()
    machine.write("mirror", "")
    assert machine.run() == 0
    assert [status["error"] for status in machine.statuses[-2:]] == ["", ""]


def test_what_a_step_says_is_published_while_it_runs(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_node.process._TICK", 0.05)
    machine.step("join", "echo 'waiting: discovery unreachable: no leader'; sleep 0.5")
    assert machine.run() == 0
    said = machine.statuses[1]
    assert (said["state"], said["log"]) == ("running", ["waiting: discovery unreachable: no leader"])
    assert said["diagnosis"] == "discovery-unreachable"


def test_what_a_step_does_now_is_published_however_much_it_says_besides(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_provision_node.process._TICK", 0.05)
    machine.step("join", "echo '<6>now: waits for its turn'; echo '<6>now: joins the cluster'; seq 100; sleep 0.5")
    assert machine.run() == 0
    assert machine.statuses[1]["doing"] == "joins the cluster"
    assert "doing" not in machine.statuses[-1]


def test_what_hinders_a_step_now_is_told_once(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_node.process._TICK", 0.05)
    machine.step("join", "echo 'now: discovery unreachable: no leader'; sleep 0.5")
    assert machine.run() == 0
    assert machine.statuses[1]["diagnosis"] == "discovery-unreachable"
    assert "doing" not in machine.statuses[1]


def test_a_step_that_says_nothing_new_publishes_nothing_new(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_node.process._TICK", 0.05)
    machine.step("join", "sleep 0.5")
    machine.run()
    assert machine.published == [("join", "running"), ("finish", "done")]


def test_secrets_that_a_step_prints_are_not_published(machine: Machine) -> None:
    token, key = create_token(), create_certificate_key()
    machine.step("join", f"echo 'kubeadm join --token {token}'; echo 'certificateKey: {key}' >&2; exit 1", attempts=2)
    machine.run()
    published = (machine.root / "published").read_text()
    assert token not in published
    assert key not in published


def test_a_diagnosis_that_fails_stops_no_boot(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "diagnose", lambda *_: 1 / 0)
    machine.step("install", f"{machine.say('try')}[ $(wc -l <{machine.root}/said) -ge 2 ]", attempts=2)
    assert machine.run() == 0


def test_a_published_error_is_of_bounded_length(machine: Machine) -> None:
    machine.step("install", "printf 'x%.0s' {1..9000} >&2; exit 1")
    machine.run()
    assert len(machine.statuses[-1]["error"]) <= 800


def test_an_undefined_variable_ends_a_step(machine: Machine) -> None:
    machine.step("install", f'echo "$nothing"\n{machine.say("went-on")}')
    assert machine.run() == 1
    assert machine.said == []


def test_a_failed_runner_goes_on_where_it_was(machine: Machine) -> None:
    machine.step("prepare", machine.say("prepared"))
    machine.step("install", f"{machine.say('installed')}[ -e {machine.root}/mirror ]")
    assert machine.run() == 1
    machine.write("mirror", "")
    assert machine.run() == 0
    assert machine.said == ["prepared", "installed", "installed"]


def test_a_step_whose_content_has_changed_runs_again(machine: Machine) -> None:
    script = machine.step("prepare", machine.say("old"))
    machine.run()
    script.write_text(machine.say("new"))
    machine.run()
    assert machine.said == ["old", "new"]


def test_a_later_boot_does_nothing_but_say_that_it_is_done(machine: Machine) -> None:
    machine.step("prepare", machine.say("prepared"))
    machine.run()
    (machine.root / "published").unlink()
    assert machine.run() == 0
    assert machine.said == ["prepared"]
    assert machine.published == [("finish", "done")]


def test_a_time_limit_ends_all_that_a_step_has_started(machine: Machine) -> None:
    machine.step("install", f"sleep 300 & echo $! >{machine.root}/child; wait", timeout=3)
    assert machine.run() == 1
    assert "not done after" in machine.statuses[-1]["error"]
    assert not _alive(int((machine.root / "child").read_text()))


def test_what_a_failed_step_leaves_behind_is_ended_before_the_next_attempt(machine: Machine) -> None:
    machine.step("install", f"sleep 300 2>/dev/null & echo $! >{machine.root}/child; exit 1")
    machine.run()
    assert not _alive(int((machine.root / "child").read_text()))


def test_a_daemon_that_keeps_stderr_open_does_not_hold_a_successful_step(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kube_provision_node.process._GRACE", 0.2)
    machine.step("install", f"sleep 20 & echo $! >{machine.root}/child")
    began = time.monotonic()
    assert machine.run() == 0
    assert time.monotonic() - began < 10
    os.kill(int((machine.root / "child").read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    "break_publisher",
    [
        lambda machine: (machine.root / "usr/local/lib/kube-provision/publish").unlink(),
        lambda machine: machine.publisher("#!/bin/bash\nexit 9\n"),
        lambda machine: machine.publisher("#!/bin/bash\nexec 0<&-; exit 0\n"),
        lambda machine: machine.publisher("no program at all"),
    ],
    ids=["missing", "failing", "deaf", "garbage"],
)
def test_a_publisher_that_does_not_work_never_stops_the_boot(
    machine: Machine, break_publisher: Callable[[Machine], None]
) -> None:
    break_publisher(machine)
    machine.step("prepare", machine.say("prepared"))
    assert machine.run() == 0
    assert machine.said == ["prepared"]


def test_a_publisher_that_hangs_is_ended(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_node.publishing._LIMIT", 0.2)
    machine.publisher("#!/bin/bash\nsleep 300\n")
    machine.step("prepare", machine.say("prepared"))
    assert machine.run() == 0
    assert machine.said == ["prepared"]


def test_a_runner_that_is_told_to_end_ends_its_step_and_resumes_later(machine: Machine) -> None:
    machine.step("prepare", machine.say("prepared"))
    machine.step("install", f"echo $$ >{machine.root}/child; sleep 300")
    process = machine.start("import signal, sys; signal.signal(15, lambda *_: sys.exit(143))")
    child = machine.root / "child"
    _wait_for(lambda: child.exists() and child.read_text().strip())
    process.terminate()
    assert process.wait(60) == 143
    assert not _alive(int(child.read_text()))
    (machine.root / machine.steps[1]["path"].lstrip("/")).write_text(machine.say("installed"))
    assert machine.run() == 0
    assert machine.said == ["prepared", "installed"]


TOLD_WHILE_A_STEP_STARTS = """
import os, signal, subprocess, sys, time
class Popen(subprocess.Popen):
    def __init__(self, command, **options):
        super().__init__(command, **options)
        if command[0] == "bash":
            while not os.path.exists({child!r}) and self.poll() is None: time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)
subprocess.Popen = Popen
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
"""


def test_a_step_that_was_just_starting_is_ended_too(machine: Machine) -> None:
    child = machine.root / "child"
    machine.step("install", f"echo $$ >{child}.part; mv {child}.part {child}; sleep 300")
    assert machine.start(TOLD_WHILE_A_STEP_STARTS.format(child=str(child))).wait(60) == 143
    assert not _alive(int(child.read_text()))


def test_a_killed_runner_resumes_with_the_step_that_it_was_in(machine: Machine) -> None:
    machine.step("prepare", machine.say("prepared"))
    machine.step(
        "install", f"echo $$ >{machine.root}/child; {machine.say('installing')}[ -e {machine.root}/mirror ] || sleep 300"
    )
    process = machine.start()
    _wait_for(lambda: machine.said == ["prepared", "installing"])
    process.kill()
    process.wait(60)
    os.killpg(int((machine.root / "child").read_text()), signal.SIGKILL)  # as systemd does with what a unit has started
    machine.write("mirror", "")
    assert machine.run() == 0
    assert machine.said == ["prepared", "installing", "installing"]


def test_cloud_init_that_does_not_finish_is_published(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    (machine.root / "run/cloud-init/result.json").unlink()
    (machine.root / "var/lib/cloud").mkdir(parents=True)
    monkeypatch.setattr("kube_provision_node.scrub.scrub.__defaults__", (0.1,))
    assert machine.run() == 1
    assert machine.published == [("finish", "failed")]


def _alive(pid: int) -> bool:
    for _ in range(3000):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
