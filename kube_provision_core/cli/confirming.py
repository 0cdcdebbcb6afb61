"""Whoever deletes machines is asked for the cluster's name first."""

from __future__ import annotations

import sys
from collections.abc import Callable

import click

from ..contract.errors import ConfigError


def confirmation(verb: str, cluster: str) -> Callable[[], None]:
    """What is done between the plan and its first action. Raises `UsageError` where nobody could be asked."""
    if not sys.stdin.isatty():
        raise click.UsageError(f"{verb} asks for the cluster's name on a terminal, and this is none; --yes does not ask.")
    return lambda: _ask_for(cluster)


def _ask_for(name: str) -> None:
    typed = click.prompt(f"Type the cluster's name, {name}, to go on", err=True)
    if typed != name:
        raise ConfigError(f"{typed!r} is not the cluster's name: nothing was touched")
