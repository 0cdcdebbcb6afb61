"""What `init` asks, one key after another, on a terminal; and what it takes where nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

from ..contract.errors import ConfigError
from .talk import complain, say

if TYPE_CHECKING:
    from ..config.draft import Draft, Question

DRIVERS = ("target", "os")
FLAGS = (*DRIVERS, "name")
"""Keys that have a flag of their own here."""


def ask(draft: Draft, earlier: Mapping[str, str]) -> Draft:
    """Ask for what is not answered until each answer may stand in a document. `earlier` answers are suggested."""
    draft.check()
    while (question := next(draft.questions(), None)) is not None:
        draft = _ask_until_it_fits(draft, question, earlier.get(question.key.name))
    return draft


def take(draft: Draft) -> Draft:
    """What is suggested counts. Raises `ConfigError` with all for which nothing is, and how they are given."""
    draft.check()
    missing: list[str] = []
    while (question := next(draft.questions(), None)) is not None:
        if question.suggestion is None:
            missing.append(_missing(question))
        draft = draft.answered(question.key, question.suggestion or "")
    if missing:
        raise ConfigError(*missing)
    draft.check()
    return draft


def _ask_until_it_fits(draft: Draft, question: Question, earlier: str | None) -> Draft:
    say("")
    say(question.key.plain_help)
    while True:
        answered = draft.answered(question.key, _prompt(question, earlier))
        try:
            answered.check()
        except ConfigError as error:
            complain(str(error))
        else:
            return answered


def _prompt(question: Question, earlier: str | None) -> str:
    """An empty answer is asked for again where something has to be said."""
    suggestion = question.suggestion if earlier is None else earlier
    hints = [" or ".join(question.choices)] if question.choices else []
    hints += [f"such as {question.key.example}"] if question.key.example and not suggestion else []
    hints += ["Enter: none"] if suggestion == "" else []
    hint = f" ({'; '.join(hints)})" if hints else ""
    typed = click.prompt(f"{question.key.name}{hint}", default=suggestion, show_default=bool(suggestion), err=True)
    return str(typed)


def _missing(question: Question) -> str:
    key = question.key
    way = f"--{key.name} NAME" if key.name in FLAGS else f"-e {key.name}=…"
    drivers = key.name in DRIVERS
    known = f" (installed: {', '.join(question.choices) or 'none'})" if drivers else ""
    return f"{key.name} is missing, and nobody is asked: {key.plain_help} Give {way}{known}"
