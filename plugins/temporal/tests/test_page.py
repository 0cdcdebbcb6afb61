"""What docs/temporal.md shows is what happens."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from kube_provision_temporal.cli import program
from kube_provision_temporal.rollout_file import _File, read

PAGE = Path(__file__).parents[3] / "docs/temporal.md"
TEXT = PAGE.read_text()
FILES = [textwrap.dedent(it) for it in re.findall(r"^( +(?:# \S+\n +)?name: (?:.+\n)(?: +.+\n)+)", TEXT, re.MULTILINE)]
COMMANDS = re.findall(r"^ +kube-provision-temporal (.*)$", TEXT, re.MULTILINE)


@pytest.mark.integration
def test_three_clusters_are_made_grow_together_and_one_is_approved_to_go(
    site: Any, command: Callable[..., Any], tmp_path: Path
) -> None:
    """The commands of the page, in their order, on a site whose task queue is the worker's."""
    clusters = ("alpha", "beta", "gamma")
    for name in clusters:
        (site.folder / f"{site.cluster(name)}.yml").rename(site.folder / "site.yml")
        (site.folder / f"{name}.yml").write_text("workers: 1\n")
    starts = [it for it in COMMANDS if it.startswith("start ")]
    assert [it.split()[1:3] for it in starts] == [*([name, "provision"] for name in clusters), ["gamma", "destroy"]]

    for line in starts[:3]:
        assert command(*shlex.split(line.replace("lab", "site")), "--", "--no-wait").code == 0
    assert [site.ended(name).ended for name in clusters] == ["done"] * 3
    assert [site.machines(name) for name in clusters] == [[f"m-{name}-1", f"w-{name}-1"] for name in clusters]

    (file,) = (it for it in FILES if it.startswith("name: workers\n"))
    (tmp_path / "workers.yml").write_text(file.replace("lab/", "site/").replace("--workers 2", "--workers 2 --no-wait"))
    begins, shows = (it for it in COMMANDS if it.endswith(("rollout workers.yml", "rollout/workers")))
    assert command("rollout", str(tmp_path / begins.split()[1])).code == 0
    assert site.ended("rollout/workers").ended == "done"
    assert "3 done, 0 failed, 0 not begun" in command(*shlex.split(shows)).out
    assert [f"w-{name}-2" in site.machines(name) for name in clusters] == [True] * 3

    assert command(*shlex.split(starts[3].replace("lab", "site"))).code == 0
    asked = site.until("gamma", lambda look: bool(look.state and look.state.asks))
    (approval,) = (it for it in COMMANDS if it.startswith("approve "))
    assert command(*shlex.split(approval.replace("DIGEST", asked.state.digest[:12]))).code == 0
    assert site.ended("gamma").ended == "done"
    assert site.machines("gamma") == []


@pytest.mark.parametrize("line", COMMANDS)
def test_its_commands_are_ones_with_options_that_are_there(line: str) -> None:
    name, *words = shlex.split(line)
    told = program.commands[name]
    options = {text for it in told.params if isinstance(it, click.Option) for text in it.opts}
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("file", FILES, ids=lambda it: it.splitlines()[0])
def test_its_roll_outs_are_ones(file: str, tmp_path: Path) -> None:
    (tmp_path / "page.yml").write_text(file)
    assert read(tmp_path / "page.yml").name in file


def test_every_command_every_option_and_every_key_of_a_roll_out_is_on_the_page() -> None:
    assert [name for name in program.commands if f"`{name} " not in TEXT] == []
    options = [
        it.opts[0] for name in program.commands for it in program.commands[name].params if isinstance(it, click.Option)
    ]
    assert [it for it in options if it not in TEXT] == []
    assert len(FILES) == 2
    assert [it for it in _File.model_fields if f"`{it}`" not in TEXT] == []
