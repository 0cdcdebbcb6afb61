"""Which command a command line means, and how bad ones are answered."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from importlib import import_module

import click
import pytest

from kube_provision_core import TargetError
from kube_provision_core.cli.commands import provision
from kube_provision_core.cli.input import Input
from kube_provision_core.cli.program import SUMMARIES, program


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[Input]:
    """What provisioning is asked for; it gets no further than that."""
    caught: list[Input] = []
    callback = click.command()(provision.configuration(lambda given, **_: caught.append(given)))
    monkeypatch.setattr(provision.command, "callback", callback.callback)
    return caught


def test_no_command_means_provision(run, given) -> None:
    line = "--config config.yml --masters 3 --workers 5 --name prod --consul-ip=10.200.200.1"
    assert run(*line.split()).code == 0
    assert given[0].flags == {"name": "prod", "masters": 3, "workers": 5, "consul_ip": "10.200.200.1"}
    assert [str(path) for path in given[0].paths] == ["config.yml"]


def test_short_flags_and_old_names(run, given) -> None:
    line = "-c a.yml -c b.yml -m 1 -w 0 --cluster-name prod -p lab- -e cpu=4 -e @more.yml --k8s-version 1.36"
    run(*line.split())
    assert given[0].flags == {
        "name": "prod",
        "masters": 1,
        "workers": 0,
        "host_prefix": "lab-",
        "kubernetes_version": "1.36",
    }
    assert given[0].extra == ("cpu=4", "@more.yml")
    assert len(given[0].paths) == 2


def test_only_given_flags_are_keys(run, given) -> None:
    run("provision", "-c", "config.yml")
    assert given[0].flags == {}


def test_options_may_stand_before_the_command(run, given) -> None:
    run("--name", "plan", "provision", "--masters", "1")
    assert given[0].flags == {"name": "plan", "masters": 1}


def test_nothing_at_all_shows_the_help(run) -> None:
    ran = run()
    assert ran.code == 2
    assert "Commands" in ran.err
    assert not ran.out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--mastrs 3", "No such option '--mastrs'"),
        ("--masters three", "'three' is not a valid integer"),
        ("plann --config c.yml", "No such command 'plann'"),
        ("--config c.yml plann", "No such command 'plann'"),
        ("plan extra", "'extra' is not one of"),
        ("status extra", "unexpected extra argument (extra)"),
        ("plan --output xml", "'xml' is not one of"),
        ("--provisioner vmware", "--provisioner no longer exists: write `target: NAME`"),
        ("plan --host-suffix-format %d", "--host-suffix-format no longer exists: names are"),
        ("--parallel 0", "0 is not in the range"),
        ("status --config=", "it is empty, and a path is meant"),
    ],
)
def test_bad_usage_is_one_line(run, line: str, said: str) -> None:
    ran = run(*line.split())
    assert ran.code == 2
    assert said in ran.line
    assert ran.line.startswith("kube-provision: ")
    assert re.search(r"[^.?][.?] See: kube-provision.* --help$", ran.line)
    assert not ran.out


def fail(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def callback(**_: object) -> None:
        raise error

    monkeypatch.setattr(provision.command, "callback", callback)


def test_an_expected_error_is_its_line_and_its_exit_code(run, monkeypatch) -> None:
    fail(monkeypatch, TargetError("vcenter.lab: it does not answer"))
    ran = run("--name", "prod")
    assert (ran.code, ran.line) == (3, "kube-provision: vcenter.lab: it does not answer")


def test_a_warning_of_a_driver_is_one_line_with_our_name(run, monkeypatch) -> None:
    def warn(**_: object) -> None:
        logging.getLogger("kube_provision_acme").warning("rule %s: \x1b[2Jnot\nremoved", "masters")
        logging.getLogger("kube_provision_acme").info("one of many")

    monkeypatch.setattr(provision.command, "callback", warn)
    assert run("--name", "prod").line == "kube-provision: warning: rule masters: [2Jnot removed"


def test_debug_adds_the_traceback(run, monkeypatch) -> None:
    fail(monkeypatch, TargetError("vcenter.lab: it does not answer"))
    ran = run("--name", "prod", "--debug")
    assert ran.code == 3
    assert ran.err.startswith("Traceback")


def test_a_bug_keeps_its_traceback(run, monkeypatch) -> None:
    fail(monkeypatch, ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        run("--name", "prod")


def test_an_interrupt_is_one_line(run, monkeypatch) -> None:
    fail(monkeypatch, KeyboardInterrupt())
    ran = run("--name", "prod")
    assert (ran.code, ran.line) == (130, "kube-provision: interrupted")


def test_the_listing_says_what_each_command_says() -> None:
    for name, summary in SUMMARIES.items():
        command = import_module(f"kube_provision_core.cli.commands.{name.replace('-', '_')}").command
        assert (command.name, command.short_help) == (name, summary)


def test_help_shows_the_commands_and_the_options_of_provisioning(run) -> None:
    out = run("--help").out
    assert all(word in out for word in [*SUMMARIES, "--masters", "--no-wait", "--version", "Exit codes"])
    assert "--provisioner" not in out


def test_every_command_has_help(run) -> None:
    for name in program.list_commands(click.Context(program)):
        assert run(name, "--help").out.startswith(f"Usage: kube-provision {name}")


def commands(group: click.Group = program, name: str = "") -> Iterator[tuple[str, click.Command]]:
    """All of them, with those below others."""
    context = click.Context(group)
    for word in group.list_commands(context):
        found = group.get_command(context, word)
        assert found
        yield f"{name} {word}".strip(), found
        if isinstance(found, click.Group):
            yield from commands(found, f"{name} {word}".strip())


@pytest.mark.parametrize(("name", "command"), [pytest.param(*it, id=it[0]) for it in commands()])
def test_no_option_says_what_another_one_is_for(name: str, command: click.Command) -> None:
    """The library gives parameters of one name the value of the option that stands last."""
    names = [it.name for it in command.params if it.expose_value]
    options = [word for it in command.params for word in (*it.opts, *it.secondary_opts)]
    assert sorted(set(names)) == sorted(names)
    assert sorted(set(options)) == sorted(options)


def takes_path(parameter: click.Parameter) -> bool:
    said = f"{parameter.metavar}".strip("[]").split("|")
    return isinstance(parameter.type, click.Path) or bool({"FILE", "FILE.html", "PLAN.json", "FOLDER", "DIR"} & {*said})


PATHS = [
    pytest.param(name, parameter, id=f"{name} {parameter.opts[0]}")
    for name, command in commands()
    for parameter in command.params
    if takes_path(parameter)
]


@pytest.mark.parametrize(("name", "parameter"), PATHS)
def test_an_empty_path_is_bad_input_and_not_the_current_folder(run, tmp_path, monkeypatch, name, parameter) -> None:
    """As a script says that has not set its variable."""
    monkeypatch.chdir(tmp_path)
    words = [parameter.opts[0], ""] if isinstance(parameter, click.Option) else [""]
    if (name, parameter.name) == ("plan", "file"):
        words = ["restore", ""]
    if name.startswith("state ") and isinstance(parameter, click.Argument):
        words = ["prod", ""]
    ran = run(*name.split(), *words)
    assert ran.code == 2
    assert "it is empty, and a path is meant" in ran.line
    assert list(tmp_path.iterdir()) == []
