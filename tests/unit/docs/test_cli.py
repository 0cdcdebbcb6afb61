"""The page of the command line names every option, with the commands that have it, and every action of a run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from kube_provision_core.cli.options import configuration
from kube_provision_core.cli.program import SUMMARIES, program
from kube_provision_core.contract.errors import BusyError
from kube_provision_core.engine import nodes, plan

PAGE = Path(__file__).parents[3] / "docs/cli.md"


def options(command: click.Command) -> set[str]:
    """Without those that are refused, and the help's."""
    shown = [it for it in command.params if isinstance(it, click.Option) and not it.hidden]
    return {name for it in shown for name in (*it.opts, *it.secondary_opts) if name.startswith("--")}


NAMING = options(click.command()(configuration(lambda **_: None)))
"""Options that name a configuration: they have a table of their own."""


def commands_of(cell: str) -> set[str]:
    """The commands of a row: `a`, `plan b`; all, or all but some."""
    named = {name.split()[0] for name in re.findall(r"`([^`]+)`", cell)}
    return set(SUMMARIES) - named if cell.startswith("all") else named


def rows() -> Iterator[tuple[str, str]]:
    """Option and command, as the table says."""
    section = PAGE.read_text().partition("## Other options\n")[2].partition("\n## ")[0]
    for line in section.splitlines():
        _, names, cell, *_ = [*re.split(r"(?<!\\)\|", line), "", "", ""]
        yield from ((option, command) for option in re.findall(r"--[a-z-]+", names) for command in commands_of(cell.strip()))


@pytest.mark.parametrize("name", SUMMARIES)
def test_it_says_of_every_option_which_commands_have_it(name: str) -> None:
    command = program.get_command(click.Context(program), name)
    assert command
    assert {option for option, having in rows() if having == name} == options(command) - NAMING


def test_it_names_every_option_that_names_a_configuration() -> None:
    section = PAGE.read_text().partition("## What names a configuration\n")[2].partition("\n## ")[0]
    table = "".join(line for line in section.splitlines() if line.startswith("|"))
    assert set(re.findall(r"`(--[a-z0-9-]+)", table)) == NAMING


def test_it_names_every_action_that_progress_tells_of() -> None:
    """Those of tasks are named after them."""
    (line,) = re.findall(r"^\| `action` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    verbs = {getattr(member, "verb", None) for module in (plan, nodes) for member in vars(module).values()}
    assert {verb for verb in verbs if isinstance(verb, str)} <= set(re.findall(r"`([^`]+)`", line))


def test_it_says_the_exit_code_of_a_run_that_another_one_keeps_out() -> None:
    section = PAGE.read_text().partition("## Two runs at once\n")[2].partition("\n## ")[0]
    assert re.findall(r"by a lock .* \(exit (\d+)\)", section) == [str(BusyError.exit_code)] * 2
