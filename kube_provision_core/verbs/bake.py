"""The planner of `bake`: templates as they should be minus templates as they are = actions. Pure, like every planner."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..cluster.desired import Desired
from ..contract.errors import ConfigError
from ..contract.machines import Role
from ..contract.templates import Baking, Image, Template
from ..engine.facts import Facts, Unknown
from ..engine.plan import Action, AwaitImage, BakeImage, FinishImage, Plan, keys
from ..engine.report import Report
from ..engine.session import Session
from ..engine.verb import Options, Verb


@dataclass(frozen=True)
class Wanted:
    """One template, and what it is to hold."""

    template: Template
    image: Image

    @property
    def is_current(self) -> bool:
        return self.template.baked is not None and self.template.baked.spec == self.image.spec


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """The actions that make each template hold what its roles need; none for one that does already, unless `again`.

    Raises `ConfigError` for templates that cannot, or must not, be made, `TargetError` where they cannot be asked for.
    """
    wanted = [Wanted(template, facts.image(template)) for template in facts.templates.value]
    _refuse([one.template for one in wanted])
    actions = [action for one in wanted for action in _actions(one, options.again)]
    _refuse_hindered(action.template for action in actions if isinstance(action, BakeImage))
    acted = {action.subject for action in actions}
    return Plan(tuple(actions), tuple(_notes(one.template for one in wanted if one.template.name not in acted)))


def tell(facts: Facts, options: Options, report: Report) -> Report:
    """With the templates as they are now."""
    return replace(report, templates=() if isinstance(facts.templates, Unknown) else facts.templates.value)


HOOKS = ("list_templates", "bake_image", "finish_image")
BAKE = Verb("bake", HOOKS, plan, report=tell, of_cluster=False, finish_timeout=3600.0)


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


def _refuse_hindered(begun: Iterable[Template]) -> None:
    hindrances = dict.fromkeys(line for template in begun for line in template.hindrances)
    if hindrances:
        raise ConfigError(*hindrances)


def _roles(template: Template) -> str:
    return ", ".join(sorted(template.roles))


def _actions(one: Wanted, again: bool) -> Iterator[Action]:
    template, spec = one.template, one.image.spec
    baking = template.baking
    begun = baking is not None and baking.spec == spec and _is_promising(baking)
    if one.is_current and not again and not begun:
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


def script(session: Session, roles: Collection[Role]) -> str:
    """The script that bakes one template for these roles, or for all that have machines. Asks nobody."""
    return session.image(roles or {node.role for node in session.desired.all}).script
