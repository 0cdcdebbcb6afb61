"""Steps that say `after` come later, and nothing else changes its place."""

from __future__ import annotations

import pytest

from kube_provision_core import BootError, Role, Stage, Step
from kube_provision_core.boot.merge import merge
from kube_provision_core.boot.relay import NamedFragment


def order(*wanted: tuple[str, Stage, str]) -> list[str]:
    """The places of steps (place, stage, after), as a machine runs them."""
    steps: dict[str, list[Step]] = {}
    for place, stage, after in wanted:
        plugin, _, name = place.partition("/")
        steps.setdefault(plugin, []).append(Step(name, stage, "true", after=after))
    merged = merge([NamedFragment(plugin=plugin, steps=tuple(it)) for plugin, it in steps.items()], Role.WORKER)
    return [f"{owned.plugin}/{owned.step.name}" for owned in merged.steps]


def install(place: str, after: str = "") -> tuple[str, Stage, str]:
    return place, Stage.INSTALL, after


def test_a_step_comes_after_the_one_that_it_names() -> None:
    assert order(install("a/one", "z/two"), install("m/three"), install("z/two")) == ["m/three", "z/two", "a/one"]


def test_without_it_plugins_come_by_name() -> None:
    assert order(install("z/two"), install("a/one")) == ["a/one", "z/two"]


def test_steps_that_a_plugin_declares_behind_it_wait_too() -> None:
    assert order(install("a/one", "z/two"), install("a/next"), install("z/two")) == ["z/two", "a/one", "a/next"]


def test_steps_that_a_plugin_declares_before_it_do_not_wait() -> None:
    assert order(install("a/first"), install("a/one", "z/two"), install("z/two")) == ["a/first", "z/two", "a/one"]


def test_a_star_means_whichever_plugin_has_the_step() -> None:
    assert order(install("a/one", "*/packages"), install("ubuntu/packages")) == ["ubuntu/packages", "a/one"]


def test_one_that_the_machine_does_not_have_keeps_nobody_waiting() -> None:
    assert order(install("a/one", "b/none"), install("z/two")) == ["a/one", "z/two"]


def test_one_of_an_earlier_stage_is_over_anyway() -> None:
    assert order(install("a/one", "z/two"), ("z/two", Stage.PREPARE, "")) == ["z/two", "a/one"]


def test_one_of_a_later_stage_is_refused() -> None:
    with pytest.raises(BootError, match="step a/one of the stage install is to come after z/two, which runs in the later"):
        order(install("a/one", "z/two"), ("z/two", Stage.FINISH, ""))


@pytest.mark.parametrize(
    "wanted",
    [
        [install("a/one", "z/two"), install("z/two", "a/one")],
        [install("a/one", "a/two"), install("a/two")],
        [install("a/one", "z/two"), install("a/next"), install("z/two", "a/next")],
    ],
)
def test_steps_that_wait_for_each_other_are_refused(wanted: list[tuple[str, Stage, str]]) -> None:
    with pytest.raises(BootError, match="steps of the stage install wait for each other"):
        order(*wanted)
