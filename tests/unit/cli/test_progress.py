"""Progress, as a real run of the executor tells it."""

from __future__ import annotations

import io
import json
import re

import pytest
from rich.console import Console

from kube_provision_core import ConfigError, TargetError
from kube_provision_core.cli.live import LiveView, live_view
from kube_provision_core.cli.progress import JsonLines, PlainLines, errors_told, view
from kube_provision_core.contract.errors import BusyError
from kube_provision_core.engine.executor import Event, Interrupt, Sight, State, apply


def perform(action) -> str:
    if action.subject == "m-prod-2":
        raise TargetError("no\nspace")
    return "/dc/vm"


def watch(awaited):
    return {action.key: Sight(State.DONE, "10.0.0.1") for action in awaited}


def play(actions, listen) -> None:
    apply(actions, perform, watch, parallel=1, listen=listen, interrupt=Interrupt())


@pytest.fixture
def actions(boots):
    return boots("m-prod-1", "m-prod-2")


def test_plain_lines_say_every_change(actions, capfd) -> None:
    with view("plain", "prod", actions) as shown:
        play(actions, shown.show)
    assert set(capfd.readouterr().err.splitlines()) == {
        "prod: m-prod-1 create running",
        "prod: m-prod-1 create done: /dc/vm",
        "prod: m-prod-1 await running",
        "prod: m-prod-1 await done: 10.0.0.1",
        "prod: m-prod-2 create running",
        "prod: m-prod-2 create failed: no space",
        "prod: m-prod-2 await skipped: because of: create m-prod-2",
    }


def test_json_lines_have_the_documented_keys(actions, capfd) -> None:
    with view("json", "prod", actions) as shown:
        play(actions, shown.show)
    lines = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert all(list(line) == ["time", "cluster", "action", "subject", "state", "text"] for line in lines)
    failed = next(line for line in lines if line["state"] == "failed")
    assert (failed["subject"], failed["action"], failed["text"]) == ("m-prod-2", "create", "no\nspace")


@pytest.mark.parametrize(
    ("error", "exit_code", "retryable"), [(BusyError("held"), 2, True), (ConfigError("a", "b"), 2, False)]
)
def test_json_lines_tell_of_an_error_without_a_report_whether_another_try_may_help(
    error, exit_code, retryable, capfd
) -> None:
    with pytest.raises(type(error)), errors_told("json"):
        raise error
    (line,) = map(json.loads, capfd.readouterr().err.splitlines())
    assert line.pop("time")
    assert line == {"error": str(error), "exit_code": exit_code, "retryable": retryable}


def test_json_lines_show_no_more_of_an_error_than_plain_ones(capfd) -> None:
    with pytest.raises(TargetError), errors_told("json"):
        raise TargetError("no way through http://ada:hunter2@proxy:3128\nor \x1b[2Jelsewhere")
    said = json.loads(capfd.readouterr().err)
    assert said["error"] == "no way through http://(secret)@proxy:3128\nor [2Jelsewhere"


@pytest.mark.parametrize("mode", ["auto", "plain", "live"])
def test_others_are_told_of_an_error_once(mode, capfd) -> None:
    with pytest.raises(TargetError), errors_told(mode):
        raise TargetError("no way")
    assert capfd.readouterr().err == ""


def test_an_error_s_line_is_the_last_but_for_what_is_told_to_people(run, world) -> None:
    ran = run("provision", "--config", "absent.yml", "--progress", "json")
    *_, line, plain = ran.err.splitlines()
    assert ran.code == 2
    assert json.loads(line)["error"] in plain


@pytest.mark.parametrize(("form", "lines"), [("json", 2), ("yaml", 1), ("table", 1)])
def test_a_plan_for_programs_tells_of_an_error_too(run, world, form: str, lines: int) -> None:
    ran = run("plan", "--config", "absent.yml", "--output", form)
    told = ran.err.splitlines()
    assert (ran.code, ran.out, len(told)) == (2, "", lines)
    if form == "json":
        assert json.loads(told[0])["retryable"] is False


@pytest.mark.parametrize("mode", ["auto", "live"])
def test_what_is_no_terminal_gets_plain_lines(mode, actions, capfd) -> None:
    with view(mode, "prod", actions) as shown:
        assert isinstance(shown, PlainLines)


@pytest.mark.parametrize("lines", [PlainLines, JsonLines])
def test_a_reader_of_progress_who_goes_away_does_not_stop_the_run(lines, actions, monkeypatch) -> None:
    monkeypatch.setattr("os.write", broken_pipe)
    lines("prod").show(Event(actions[0], State.RUNNING))


def broken_pipe(*_: object) -> int:
    raise BrokenPipeError


def screen(shown: LiveView, *, height: int = 24, width: int = 80, **settings: object) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, height=height, width=width, **settings)
    console.print(shown)
    return console.file.getvalue()


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_the_live_view_has_a_row_per_machine(actions) -> None:
    shown = LiveView("prod", actions)
    play(actions, shown.show)
    headline, first, second = [line.rstrip() for line in plain(screen(shown)).splitlines()]
    assert headline == "prod  0:00  1 failed  1 done"
    assert re.fullmatch(r"m-prod-1 +done +await +10\.0\.0\.1", first)
    assert re.fullmatch(r"m-prod-2 +failed +create +no space", second)


@pytest.mark.parametrize("height", [3, 10, 24])
def test_two_hundred_machines_fit_on_the_screen(height, boots) -> None:
    shown = LiveView("prod", boots(*(f"w-prod-{index}" for index in range(200))))
    shown.notice("stopping")
    lines = plain(screen(shown, height=height)).splitlines()
    assert len(lines) < height + 1
    assert any("more" in line for line in lines)


CAUSE = (
    "stage join: swap is on (/dev/sda2), and the kubelet refuses to run with it. What helps: take swap out of the template: "
    "its line in /etc/fstab. More: kube-provision why m-prod-1 --name prod"
)


@pytest.mark.parametrize("width", [40, 60, 80, 100])
@pytest.mark.parametrize("state", [State.RUNNING, State.FAILED])
def test_a_text_is_shown_whole_however_narrow_the_terminal(width, state, actions) -> None:
    shown = LiveView("prod", actions)
    shown.show(Event(actions[0], state, CAUSE))
    lines = plain(screen(shown, width=width)).splitlines()
    row = " ".join(lines[1:-1])
    words = re.sub(r"^m-prod-1 +(running|failed)( +create)?( +0:00)? ", "", row).split()
    assert words == CAUSE.split()
    assert all(len(line.rstrip()) <= width - 4 for line in lines)


def test_a_text_that_is_higher_than_the_screen_is_cut_and_says_so(actions) -> None:
    shown = LiveView("prod", actions)
    shown.show(Event(actions[0], State.RUNNING, "x" * 5000))
    lines = plain(screen(shown, height=10)).splitlines()
    assert len(lines) < 10
    assert any(line.strip() == "…" for line in lines)


@pytest.mark.parametrize("width", [1, 4, 5, 20])
def test_a_narrow_terminal_does_no_harm(width, actions) -> None:
    assert screen(LiveView("prod", actions), width=width)


def test_text_from_elsewhere_is_no_markup(actions) -> None:
    shown = LiveView("prod", actions)
    shown.show(Event(actions[0], State.RUNNING, "[red]\x1b[2Jred[/red]"))
    assert "[red] [2Jred[/red]" in plain(screen(shown))


def test_no_color_is_honoured(actions, monkeypatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    shown = LiveView("prod", actions)
    play(actions, shown.show)
    assert "\x1b[31m" not in screen(shown)
    assert "31m" not in screen(shown)


def test_the_live_view_disappears_when_the_run_is_over(actions) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, height=10, width=60)
    with live_view("prod", actions, console) as shown:
        play(actions, shown.show)
    assert console.file.getvalue().endswith("\x1b[2K")


class Terminal(io.StringIO):
    gone = False

    def write(self, text: str) -> int:
        if self.gone:
            raise OSError("Input/output error")
        return super().write(text)


def test_a_terminal_that_goes_away_does_not_stop_the_run(actions) -> None:
    terminal = Terminal()
    with live_view("prod", actions, Console(file=terminal, force_terminal=True, height=10, width=60)) as shown:
        play(actions, shown.show)
        terminal.gone = True
