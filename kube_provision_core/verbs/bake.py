"""The planner of `bake`: templates as they should be minus templates as they are = actions. Pure, like every planner."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .errors import ConfigError
from .image import Baking, Image, Template
from .plan import Action, AwaitImage, BakeImage, FinishImage, Plan, keys


@dataclass(frozen=True)
class Wanted:
    """One template, and what it is to hold."""

    template: Template
    image: Image


def plan(wanted: Sequence[Wanted], *, again: bool) -> Plan:
    """The actions that make each template hold what its roles need; none for one that does already, unless `again`.

    Raises `ConfigError` for templates that cannot, or must not, be made.
    """
    _refuse([one.template for one in wanted])
    actions = [action for one in wanted for action in _actions(one, again)]
    acted = {action.subject for action in actions}
    return Plan(tuple(actions), tuple(_notes(one.template for one in wanted if one.template.name not in acted)))


def is_current(one: Wanted) -> bool:
    """The template holds what is wanted of it."""
    return one.template.baked is not None and one.template.baked.spec == one.image.spec


def _refuse(templates: Sequence[Template]) -> None:
    problems = []
    for template in templates:
        name = f"template {template.name} ({_roles(template)})"
        if template.exists and template.baked is None:
            problems.append(
                f"{name}: {template.where or template.name} exists and was not made by bake; it is left alone. Give the "
                "template that is to be made another name"
            )
        elif not template.source:
            problems.append(f"{name}: the configuration does not say what to bake it from: write `bake_from: …`")
    if problems:
        raise ConfigError(*problems)


def _roles(template: Template) -> str:
    return ", ".join(sorted(template.roles))


def _actions(one: Wanted, again: bool) -> Iterator[Action]:
    template, spec = one.template, one.image.spec
    baking = template.baking
    begun = baking is not None and baking.spec == spec and _is_promising(baking)
    if is_current(one) and not again and not begun:
        return
    before: list[Action] = []
    if not begun:
        before.append(BakeImage(template=template, image=one.image, reason=_reason(template)))
    if not (begun and baking and baking.done):
        reason = "an earlier run has begun it" if begun else ""
        before.append(AwaitImage(template=template, spec=spec, reason=reason, after=keys(before)))
    yield from before
    instead = "in place of the earlier one" if template.exists else "it is ready for use then"
    yield FinishImage(template=template, reason=instead, after=keys(before))


def _is_promising(baking: Baking) -> bool:
    failed = baking.status is not None and baking.status.state == "failed"
    return baking.done or (baking.running and not failed)


def _reason(template: Template) -> str:
    what = f"for {_roles(template)}, from {template.source}"
    return f"{what}; an earlier one exists" if template.exists else what


def _notes(current: Iterable[Template]) -> Iterator[str]:
    for template in current:
        summary = template.baked.summary if template.baked else ""
        yield f"template {template.name} holds what is wanted ({summary}); --again bakes it anew"
