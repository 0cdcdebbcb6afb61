"""What `logs` and `exec` share: a session, somebody who waits, and what the machine has said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from .input import Input
from .output import write_told
from .talk import note

if TYPE_CHECKING:
    from ..engine.session import Session
    from ..verbs.asking import Told
    from ..verbs.run import User
    from .progress import Progress


@contextmanager
def interruptible(user: User) -> Iterator[None]:
    """Who has stopped a question has the exit code of that, and not of a machine that does not answer."""
    from ..contract.errors import TargetError

    try:
        yield
    except TargetError as error:
        if user.interrupt.stop.is_set():
            raise click.Abort from error
        raise


def ask(given: Input, progress: Progress, node: str, asked: Callable[[Session, User], Told]) -> int:
    """Print what it says, on stdout alone. Returns what its program has returned, or that a page is lost."""
    from .running import Running

    with (
        given.session(alone=True) as session,
        Running(session.config.core.name, progress, shows_plan=False) as user,
    ):
        with interruptible(user):
            told = asked(session, user)
        user.returned(told.exit_code)
    if told.cut:
        note(f"{node} has said {told.cut} bytes more before this, which its target's road has no room for")
    write_told(told.text)
    return user.exit_code(told.exit_code)
