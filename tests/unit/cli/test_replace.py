"""`replace` and the draining of `destroy` on the command line: what is refused before anything is looked at."""

from __future__ import annotations

import pytest

CONFIG = ("-c", "config.yml")


def refused(run, world, *arguments: str) -> str:
    ran = run(*arguments)
    assert ran.code == 2
    assert world.looks == 0
    return ran.line


@pytest.mark.parametrize("named", [(), ("w-prod-1", "--drifted"), ("w-prod-1", "--pool", "workers")])
def test_machines_are_named_or_those_that_have_drifted(run, world, named) -> None:
    assert "or say --drifted or --pool, and not both. See: " in refused(run, world, "replace", *named, "--yes", *CONFIG)


@pytest.mark.parametrize("named", [(), ("--node", "w-prod-1", "--drifted")])
def test_a_plan_of_it_names_them_likewise(run, world, named) -> None:
    assert "or say --drifted or --pool, and not both. See: " in refused(run, world, "plan", "replace", *named, *CONFIG)


@pytest.mark.parametrize("said", ["0", "-1", "some", "0%", "101%", "1.5", "²", "%", ""])
def test_how_many_at_once_is_a_number_or_a_share(run, world, said) -> None:
    line = refused(run, world, "replace", "--drifted", f"--max-unavailable={said}", "--yes", *CONFIG)
    assert "neither a number, such as 2, nor a share, such as 20%" in line


@pytest.mark.parametrize("wrong", [("--burn-in", "-1"), ("--pause", "soon"), ("--drain-timeout", "0")])
def test_times_are_seconds(run, world, wrong) -> None:
    assert wrong[0] in refused(run, world, "replace", "--drifted", *wrong, "--yes", *CONFIG)


@pytest.mark.parametrize(
    "verb",
    [
        ("replace", "--drifted", "--yes"),
        ("destroy", "--node", "w-prod-1", "--yes"),
        ("upgrade",),
        ("plan", "replace", "--drifted"),
        ("plan", "destroy", "--node", "w-prod-1"),
        ("plan", "upgrade"),
    ],
)
@pytest.mark.parametrize("option", ["--force", "--drain-timeout=600"])
def test_what_is_not_drained_is_not_told_how(run, world, verb, option) -> None:
    line = refused(run, world, *verb, "--no-drain", option, *CONFIG)
    assert f"{option.partition('=')[0]} says how nodes are drained, and --no-drain that they are not" in line


def test_whoever_deletes_is_asked_on_a_terminal_only(run, world) -> None:
    assert "replace asks for the cluster's name" in refused(run, world, "replace", "--drifted", *CONFIG)


def test_nothing_is_replaced_in_a_cluster_that_was_never_initialised(run, world) -> None:
    assert run(*CONFIG, "--no-wait").code == 0
    before = dict(world.vms)
    ran = run("replace", "w-prod-1", "--yes", *CONFIG)
    assert (ran.code, world.vms) == (2, before)
    assert "is not initialised" in ran.line


@pytest.mark.parametrize("verb", [("destroy", "--yes"), ("plan", "destroy")])
@pytest.mark.parametrize("option", ["--force", "--no-drain", "--drain-timeout=5"])
def test_a_whole_cluster_is_not_drained(run, world, verb, option) -> None:
    said = refused(run, world, *verb, option, *CONFIG)
    assert f"{option.partition('=')[0]} goes with --node or --pool: a whole cluster is not drained" in said
