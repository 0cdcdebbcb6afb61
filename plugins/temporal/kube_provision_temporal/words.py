"""Words that a run may be given. None names another configuration or another place for secrets, and none is a secret.

Whoever may start a workflow could otherwise have a worker send its password to a server of their own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from .values import DAY, Work

VERBS = ("provision", "upgrade", "replace", "destroy", "renew")

_ATTEMPTS, _LONGEST, _LEAST_SILENCE = 1000, 30 * DAY, 5.0
"""How many at most, and seconds: of any time that a run waits, and of two heartbeats, of which a worker has to send one."""

_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)", re.ASCII)


class _Option(NamedTuple):
    commands: tuple[str, ...]
    takes_value: bool = True


_PLAN, _APPLY, _BOTH = ("plan",), ("apply",), ("plan", "apply")
_OPTIONS = {
    **dict.fromkeys(("--masters", "--workers", "--k8s-version"), _Option(_BOTH)),
    **dict.fromkeys(("--parallel", "--wait-timeout"), _Option(_APPLY)),
    **dict.fromkeys(
        ("--node", "--pool", "--max-unavailable", "--burn-in", "--pause", "--until", "--drain-timeout"),
        _Option(_PLAN),
    ),
    **dict.fromkeys(
        (
            *("--wait", "--no-wait", "--drifted", "--drain", "--no-drain", "--force"),
            *("--os", "--masters-only", "--workers-only", "--no-backup", "--allow-removed-apis"),
        ),
        _Option(_PLAN, takes_value=False),
    ),
}


def faults(work: Work) -> list[str]:
    """What is wrong with it, a line each; the program itself tells the rest."""
    found = no_cluster(work.cluster)
    if work.verb not in VERBS:
        found.append(f"{work.verb!r} is none of the verbs that have a plan: {', '.join(VERBS)}")
    found += configuration_faults(work.config)
    if not "".join(work.options).isprintable():
        return [*found, "options are words in one line, of letters that can be printed"]
    return [*found, *dict.fromkeys(_refused(work.options)), *_nowhere(work), *_boundless(work)]


def _nowhere(work: Work) -> Iterator[str]:
    named = {word.partition("=")[0] for word in work.options}
    if work.verb == "replace" and named.isdisjoint(("--node", "--drifted", "--pool")):
        yield "replace: which machines? Give --drifted, --pool or --node"


def _boundless(work: Work) -> Iterator[str]:
    if not 1 <= work.attempts <= _ATTEMPTS:
        yield f"1 to {_ATTEMPTS} attempts are meant"
    if not all(math.isfinite(it) and 0 <= it <= _LONGEST for it in (work.retry_after, work.approval_timeout)):
        yield "the time before another attempt, and that for an approval, are of 30 days at most, in seconds"
    if not _LEAST_SILENCE <= work.silence <= DAY:
        yield f"a worker is taken for lost after {_LEAST_SILENCE:g} seconds to one day"


def converges(work: Work) -> bool:
    """Whether the same again does what is left, and nothing of what is done."""
    if work.verb == "replace":
        return "--drifted" in work.options
    return work.verb != "upgrade" or "--os" not in work.options


def no_cluster(name: str) -> list[str]:
    """Why it is no name of one, if it is not."""
    fits = len(name) < 64 and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    return [] if fits else [f"{name!r} is no name of a cluster, which is a DNS label"]


def no_task_queue(name: str) -> list[str]:
    """Why it is no name of one, if it is not. Temporal's own are longer, and begin with a slash."""
    fits = re.fullmatch(r"[A-Za-z0-9][\w.:@+/-]{0,199}", name, re.ASCII)
    return [] if fits else [f"{name!r} is no task queue of a site, such as lab: letters, digits and .:@+/-_, 200 at most"]


def configuration_faults(config: Sequence[str]) -> list[str]:
    """Why these are no files below a worker's folder, if they are not."""
    if not "".join(config).isprintable():
        return ["names of files are words in one line, of letters that can be printed"]
    return [f"{path}: a file below the worker's folder is meant, such as prod.yml" for path in config if leaves(path)]


def given_to(command: str, options: Sequence[str]) -> list[str]:
    """The words among them that are for `plan`, or for `apply`, each with its value."""
    words: list[str] = []
    rest = list(options)
    while rest:
        word = rest.pop(0)
        option = _OPTIONS[word.partition("=")[0]]
        group = [word, rest.pop(0)] if option.takes_value and "=" not in word else [word]
        words += group if command in option.commands else []
    return words


def _refused(options: Sequence[str]) -> Iterator[str]:
    rest, stray = list(options), False
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        option = _OPTIONS.get(name)
        if option is None:
            stray = True
            yield f"{name if name.startswith('--') else 'a word'} cannot be given to a run"  # else it may be a secret
        elif option.takes_value:
            given = value if equals else rest.pop(0) if rest else "-"
            if not equals and given.startswith("-"):
                yield f"{name} takes a value"
            elif name == "--until" and not _MOMENT.fullmatch(given):
                yield f"{name} is a day, a time and its offset, such as 2026-11-30T04:30+01:00, since a run may last days"
        elif equals:
            yield f"{name} takes no value"
    if stray:
        yield f"these can be given: {', '.join(_OPTIONS)}"


def leaves(path: str) -> bool:
    """Whether it is none below a folder."""
    parts = PurePosixPath(path)
    return not path or path.startswith("-") or parts.is_absolute() or ".." in parts.parts
