"""Keys that are required and were not given: what each is, and how to give it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ..contract.machines import Role
from ..registry import installed
from .choosing import DRIVER_KEYS
from .problems import Place, Problems
from .sources import Given, misspelt_variables
from .vocabulary import Key, Vocabulary

_FLAGS = {"name": "--name"}
"""Required keys that have a flag."""


def tell_missing(
    missing: Mapping[str, Collection[Role]],
    used: Collection[Role],
    vocabulary: Vocabulary,
    sections: Mapping[str, Role],
    given: Given,
    problems: Problems,
) -> None:
    """Add a problem for each missing key. `missing` says for which roles; `used` are the roles that have machines, and
    `sections` all roles by where their keys stand."""
    place = Place(str(given.paths[0])) if given.paths else None
    misspelt = {meant: name for name, meant in misspelt_variables(given.environ, vocabulary.keys).items()}
    for name, roles in missing.items():
        key = vocabulary.keys[name]
        lacking = [section for section, role in sections.items() if role in roles]
        where = "" if set(roles) >= set(used) else f" for {' and '.join(lacking)}"
        text = f"{name} is missing{where}: {key.help} {_how(key, lacking if where else [])}"
        if key.variable in misspelt:
            text += f" ({misspelt[key.variable]} is set: is it misspelt?)"
        problems.add(place, text)


def _how(key: Key, sections: Collection[str]) -> str:
    if key.shape.secret:
        return f"Set {key.variable} in the environment, or write `{key.name}: …` in a file, never on the command line"
    if key.name in DRIVER_KEYS:
        names = sorted({plugin.name for plugin in installed() if plugin.kind == key.name})
        return f"Write `{key.name}: …` (installed: {', '.join(names) or 'none'})"
    ways = [_FLAGS[key.name]] if key.name in _FLAGS else []
    ways += [f"-e {key.name}=…", key.variable]
    under = f" at the top or under {' and '.join(f'{section}:' for section in sections)}" if sections else ""
    return f"Write `{key.name}: …`{under}, or give {' or '.join(ways)}"
