"""Options of what empties nodes and goes from one to the next."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .moments import moment
from .options import Command, gathering, given_among, with_options

if TYPE_CHECKING:
    from ..engine.wish import Draining, Rolling

DRAINING = ("drain", "drain_timeout", "force")
ROLLING = ("max_unavailable", "burn_in", "pause", "until")
UPGRADING = ("system", "workers_only", "backup", "removed_apis")
MASTERS_ONLY = ("masters_only",)
"""Parameters of the options that `draining`, `rolling` and `upgrading` add; the last of them `restore` knows, too."""
_KUBERNETES = ("kubernetes_version", "backup", "removed_apis")
"""Those that an upgrade of the nodes' system alone has no use for."""


def _seconds(flag: str, default: int, least: int, text: str) -> Callable[[Command], Command]:
    kind = click.IntRange(min=least)
    return click.option(flag, type=kind, default=default, show_default=True, metavar="SECONDS", help=text)


_DRAINING = (
    click.option("--drain/--no-drain", default=True, show_default=True, help="Let a node's pods move elsewhere first."),
    _seconds("--drain-timeout", 600, 1, "How long one node's pods may take for that; then it is left cordoned."),
    click.option("--force", is_flag=True, help="Evict also pods without a controller, and what others keep in emptyDir."),
)


def _drained(drain: bool, drain_timeout: int, force: bool) -> Draining | None:
    """None where nothing is drained."""
    from ..engine.wish import Draining

    if not drain and (option := given_among(("drain_timeout", "force"))):
        raise click.UsageError(f"{option} says how nodes are drained, and --no-drain that they are not: one of the two.")
    return Draining(drain_timeout, force) if drain else None


draining = gathering("draining", _DRAINING, DRAINING, _drained)
"""Adds the options of `destroy --node`."""


def _at_once(_: click.Context, __: click.Parameter, value: str) -> str:
    """A number, or a share of all, of which the smallest is one."""
    from ..engine.wish import NUMBER_OR_SHARE

    if not re.fullmatch(NUMBER_OR_SHARE, value):
        raise click.BadParameter(f"{value!r} is neither a number, such as 2, nor a share, such as 20%.")
    return value


_ROLLING = (
    click.option(
        "--max-unavailable",
        default="1",
        show_default=True,
        metavar="N|P%",
        callback=_at_once,
        help="Workers at once. Masters take turns.",
    ),
    _seconds("--burn-in", 0, 0, "How long a node must stay ready before the next one's turn."),
    _seconds("--pause", 0, 0, "Time between one node and the next."),
    click.option(
        "--until",
        default="",
        metavar="TIME",
        callback=moment,
        help="No turn begins after it: 04:30 (the next one, here) or 2026-11-30T04:30. Another run goes on.",
    ),
)


def _rolled(**said: Any) -> Rolling:
    from ..engine.wish import Rolling

    return Rolling(**said)


rolling = gathering("rolling", _ROLLING, ROLLING, _rolled)
"""Adds the options of whatever goes from node to node."""


_UPGRADING = (
    click.option("--os", "system", is_flag=True, help="Packages of the nodes' system, with reboots, and not Kubernetes."),
    click.option("--masters-only", is_flag=True, help="Leave the workers to another run."),
    click.option("--workers-only", is_flag=True, help="Of masters that are upgraded already."),
    click.option(
        "--no-backup",
        "backup",
        is_flag=True,
        flag_value=False,
        default=True,
        help="I have a snapshot of etcd, or need none. Else `backup` has to be of the last 24 hours.",
    ),
    click.option(
        "--allow-removed-apis", "removed_apis", is_flag=True, help="Go on although clients use what the new version lacks."
    ),
)


def upgrading(command: Command) -> Command:
    """Add the options of `upgrade`; the command gets `system`, `only`, `backup` and `removed_apis` of its `Wish`."""

    @functools.wraps(command)
    def with_upgrading(*, system: bool, masters_only: bool, workers_only: bool, pool: str, **options: Any) -> Any:
        if masters_only and workers_only:
            raise click.UsageError("--masters-only and --workers-only: one of the two; without any, all have their turn.")
        if masters_only and pool:
            raise click.UsageError("--masters-only and --pool: one of the two; a pool is one of workers.")
        if system and (option := given_among(_KUBERNETES)):
            raise click.UsageError(f"{option} is about Kubernetes, which `upgrade --os` leaves as it is.")
        only = "master" if masters_only else "worker" if workers_only else ""
        return command(system=system, only=only, pool=pool, **options)

    return with_options(_UPGRADING, with_upgrading)
