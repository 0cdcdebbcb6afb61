"""What a run may be given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import click
import pytest

from kube_provision_core.cli.commands import apply, plan
from kube_provision_temporal.values import Work
from kube_provision_temporal.words import _OPTIONS, converges, faults, given_to

WORK = Work("prod", "upgrade")

CONFIGURATION = {"--config", "--extra", "--name", "--state", "--state-recipient", "--state-recipients-file"}
CONFIGURATION |= {"--state-identity-file", "--host-prefix", "--master-label", "--worker-label", "--consul-ip"}
CONFIGURATION |= {"--host-suffix-format", "--provisioner"}
RESTORATION = {"--identity-file", "--passphrase-file", "--abandon-old", "--again"}
OUTPUT = {"--output", "--debug", "--progress", "--report", "--metrics"}


@pytest.mark.parametrize(("name", "command"), [("plan", plan.command), ("apply", apply.command)])
def test_every_option_of_the_program_is_offered_or_kept_from_runs(name: str, command: click.Command) -> None:
    options = [it for it in command.params if isinstance(it, click.Option)]
    told = {text: not it.is_flag for it in options for text in (*it.opts[:1], *it.secondary_opts)}
    kept = CONFIGURATION | RESTORATION | OUTPUT
    offered = {text: it.takes_value for text, it in _OPTIONS.items() if name in it.commands}
    assert offered == {text: takes for text, takes in told.items() if text not in kept}


def test_each_command_is_given_its_own() -> None:
    words = ["--pool", "gpu", "--parallel=3", "--masters", "5", "--no-drain"]
    assert faults(replace(WORK, options=words)) == []
    assert given_to("plan", words) == ["--pool", "gpu", "--masters", "5", "--no-drain"]
    assert given_to("apply", words) == ["--parallel=3", "--masters", "5"]


@pytest.mark.parametrize("words", [["--node", "w-prod-1"], ["--drifted"], ["--pool=gpu"]])
def test_what_is_replaced_has_to_be_said(words: list[str]) -> None:
    which = replace(WORK, verb="replace")
    assert faults(replace(which, options=words)) == []
    assert faults(which) == ["replace: which machines? Give --drifted, --pool or --node"]


def test_what_can_be_given_is_told_once() -> None:
    told = faults(replace(WORK, options=["-e", "vcenter_password=geheim", "--state", "s3://mine", "more"]))
    assert told[:2] == ["a word cannot be given to a run", "--state cannot be given to a run"]
    assert told[2].startswith("these can be given: --masters, ")
    assert len(told) == 3


@pytest.mark.parametrize(
    ("words", "fits"),
    [
        (["--until", "2026-11-30T04:30+01:00"], True),
        (["--until=2026-11-30 04:30:00Z"], True),
        (["--until", "04:30"], False),
        (["--until=04:30"], False),
        (["--until", "2026-11-30T04:30"], False),
    ],
)
def test_a_time_is_one_and_the_same_on_every_day_and_for_every_worker(words: list[str], fits: bool) -> None:
    told = faults(replace(WORK, options=words))
    assert [line.startswith("--until is a day, a time and its offset") for line in told] == ([] if fits else [True])


@pytest.mark.parametrize(
    "given",
    [
        *({name: value} for name in ("approval_timeout", "retry_after") for value in (float("inf"), float("nan"), -1, 1e15)),
        *({"attempts": value} for value in (0, 5000)),
        *({"silence": value} for value in (0, 4.9, float("nan"), float("inf"))),
    ],
)
def test_numbers_have_bounds(given: dict[str, Any]) -> None:
    assert len(faults(replace(WORK, **given))) == 1


@pytest.mark.parametrize("letter", ["\0", "\n", "\x1b"])
def test_what_cannot_be_printed_is_refused_and_not_shown(letter: str) -> None:
    for work in (replace(WORK, options=["--node", f"w{letter}1"]), replace(WORK, config=[f"prod{letter}.yml"])):
        (line,) = faults(work)
        assert line.isprintable()


@pytest.mark.parametrize(
    ("verb", "options", "does"),
    [
        ("provision", [], True),
        ("replace", ["--drifted"], True),
        ("replace", ["--node", "a"], False),
        ("replace", ["--pool", "gpu"], False),
        ("upgrade", ["--k8s-version", "1.34"], True),
        ("upgrade", ["--os"], False),
    ],
)
def test_what_would_do_again_what_is_done_is_known(verb: str, options: list[str], does: bool) -> None:
    assert converges(Work("prod", verb, options)) is does
