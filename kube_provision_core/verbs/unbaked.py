"""Templates that machines are to be made from and that are yet to be baked: told with the command that makes them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..contract.errors import ConfigError
from ..engine.facts import Facts, Unknown


def tell(facts: Facts, problems: Sequence[str]) -> Iterator[str]:
    """What the target objects to. Of a template that is yet to be baked the command, in place of the target's own words."""
    templates = facts.templates
    if isinstance(templates, Unknown):
        misnamed = templates.error.problems if isinstance(templates.error, ConfigError) else ()
        yield from dict.fromkeys([*problems, *misnamed])
        return
    missing = [template for template in templates.value if template.source and not template.exists]
    yield from (f"template {template.name} is yet to be baked: {facts.remedies.bake()}" for template in missing)
    yield from dict.fromkeys(line for template in missing for line in template.hindrances)
    yield from (problem for problem in problems if not any(_is_about(problem, template.name) for template in missing))


def _is_about(problem: str, name: str) -> bool:
    """Whole names count: another template's, a machine's and a folder's may begin or end alike."""
    return re.search(rf"\btemplate:? ['\"]?{re.escape(name)}(?![\w/-]|\.\w)", problem) is not None
