"""What a user says. One file a verb that changes something: its planner, and the `Verb` that `run` brings about."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from ..contract.errors import ConfigError

if TYPE_CHECKING:
    from ..engine.verb import Verb

NAMES = ("provision", "replace", "upgrade", "destroy", "renew", "rotate", "restore", "bake")
"""Of the verbs that can be planned."""


def named(name: str) -> Verb:
    """The verb of one of `NAMES`. Raises `ConfigError` for another name."""
    if name not in NAMES:
        raise ConfigError(f"{name}: cannot be planned; what can: {', '.join(NAMES)}")
    verb: Verb = getattr(import_module(f".{name}", __name__), name.upper())
    return verb
