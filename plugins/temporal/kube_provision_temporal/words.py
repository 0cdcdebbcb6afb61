"""Words that a run may be given. None names another configuration or another place for secrets, and none is a secret.

Whoever may start a workflow could otherwise have a worker send its password to a server of their own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

from .values import Work

VERBS = ("provision", "upgrade", "replace", "destroy", "renew")


class _Option(NamedTuple):
    commands: tuple[str, ...]
    takes_value: bool = True


_PLAN, _APPLY, _BOTH = ("plan",), ("apply",), ("plan", "apply")
_OPTIONS = {
    **dict.fromkeys(("--masters", "--workers", "--k8s-version"), _Option(_BOTH)),
    **dict.fromkeys(("--parallel", "--wait-timeout"), _Option(_APPLY)),
    **dict.fromkeys(
        ("--node", "--max-unavailable", "--burn-in", "--pause", "--until", "--drain-timeout"),
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
    found += [f"{path}: a file below the worker's folder is meant, such as prod.yml" for path in work.config if leaves(path)]
    found += _refused(work.options)
    if work.attempts < 1 or min(work.pause, work.approval_timeout, work.silence) < 0:
        found.append("there is one attempt at least, and no time runs backwards")
    return found


def no_cluster(name: str) -> list[str]:
    """Why it is no name of one, if it is not."""
    fits = len(name) < 64 and re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", name)
    return [] if fits else [f"{name!r} is no name of a cluster, which is a DNS label"]


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


def _refused(options: Sequence[str]) -> list[str]:
    found, rest = [], list(options)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        option = _OPTIONS.get(name)
        if option is None:
            shown = name if name.startswith("--") else "a word"  # else it may be a secret
            found.append(f"{shown} cannot be given to a run; these can: {', '.join(_OPTIONS)}")
        elif option.takes_value and not equals and (not rest or rest.pop(0).startswith("-")):
            found.append(f"{name} takes a value")
        elif equals and not option.takes_value:
            found.append(f"{name} takes no value")
    return found


def leaves(path: str) -> bool:
    """Whether it is none below a folder."""
    parts = PurePosixPath(path)
    return not path or path.startswith("-") or parts.is_absolute() or ".." in parts.parts
