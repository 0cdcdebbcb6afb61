"""A time of day, or of a day, as people write it."""

from __future__ import annotations

import re
import time

import click

_OF_ANY_DAY = re.compile(r"\d\d?:\d\d")
_OF_A_DAY = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?")


def moment(_: click.Context, __: click.Parameter, value: str) -> float:
    """The seconds since the epoch; 0 where nothing is said."""
    return _still_to_come(value) if value else 0.0


def _still_to_come(value: str) -> float:
    try:
        said = _next(value) if _OF_ANY_DAY.fullmatch(value) else _on_its_day(value)
    except (ValueError, OverflowError) as error:
        raise click.BadParameter(
            f"{value!r} is no time: say 04:30 for the next one, or 2026-11-30T04:30, in local time or with its offset."
        ) from error
    if said <= time.time():
        raise click.BadParameter(f"{value!r} is over already, so that no turn would begin.")
    return said


def _next(value: str) -> float:
    from datetime import datetime, timedelta

    hour, minute = map(int, value.split(":"))
    now = datetime.now()
    today = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return (today if today > now else today + timedelta(days=1)).timestamp()


def _on_its_day(value: str) -> float:
    from datetime import datetime

    if not _OF_A_DAY.fullmatch(value):
        raise ValueError(value)
    return datetime.fromisoformat(value).timestamp()
