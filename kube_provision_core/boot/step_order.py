"""Which step runs when. Those that say `after`, and what their plugins declare behind them, come later than they would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ..contract.boot import NODE_DIR, File, Stage, Step
from ..contract.errors import BootError

_ORDER = {stage: f"{position}0-{stage}" for position, stage in enumerate(Stage, start=1)}


@dataclass(frozen=True, slots=True)
class OwnedStep:
    """A step and whose it is."""

    plugin: str
    step: Step

    @property
    def path(self) -> str:
        return f"{NODE_DIR}/steps/{_ORDER[self.step.stage]}/{self.plugin}-{self.step.name}.sh"

    @property
    def file(self) -> File:
        script = f"#!/usr/bin/env bash\nset -euo pipefail\n{self.step.script.rstrip()}\n"
        return File(self.path, script, mode=0o700)


@lru_cache(maxsize=16)
def heed_after(steps: tuple[OwnedStep, ...]) -> tuple[OwnedStep, ...]:
    """The steps, ordered by stage already, in an order that heeds every `after` and is otherwise the same.

    On machines of one kind they are the same.

    Raises `BootError` for steps that wait for each other, and for one that waits for a later stage.
    """
    for step in steps:
        _refuse_later_stage(step, steps)
    return tuple(it for stage in Stage for it in _ordered([step for step in steps if step.step.stage is stage]))


def _ordered(steps: Sequence[OwnedStep]) -> Iterator[OwnedStep]:
    left = list(steps)
    while left:
        free = next((it for it in left if not _awaited(it, left)), None)
        if free is None:
            names = ", ".join(f"{_place(it)} after {it.step.after}" for it in left if it.step.after)
            raise BootError(f"steps of the stage {left[0].step.stage} wait for each other: {names}; drop one `after`")
        left.remove(free)
        yield free


def _awaited(step: OwnedStep, left: Sequence[OwnedStep]) -> bool:
    """Whether one of those that are left comes before it: of its own plugin, or one that it names."""
    own = next(it for it in left if it.plugin == step.plugin)
    return own is not step or any(_is_named(it, step) for it in left)


def _refuse_later_stage(step: OwnedStep, steps: Sequence[OwnedStep]) -> None:
    stages = [it.step.stage for it in steps if _is_named(it, step)]
    order = list(Stage)
    if stages and min(map(order.index, stages)) > order.index(step.step.stage):
        raise BootError(
            f"step {_place(step)} of the stage {step.step.stage} is to come after {step.step.after}, which runs in the "
            f"later stage {stages[0]}; give it that stage"
        )


def _is_named(step: OwnedStep, by: OwnedStep) -> bool:
    plugin, _, name = by.step.after.partition("/")
    return bool(name) and step is not by and step.step.name == name and plugin in ("*", step.plugin)


def _place(step: OwnedStep) -> str:
    return f"{step.plugin}/{step.step.name}"
