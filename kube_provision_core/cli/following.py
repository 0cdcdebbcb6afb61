"""What `logs --follow` is made of: a machine that is asked again and again, and a user who ends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..contract.errors import BusyError, TargetError
from ..engine.executor import Interrupt
from .interrupt import requests
from .output import write_told
from .talk import note

if TYPE_CHECKING:
    from ..engine.executor import Event
    from ..engine.identity import Identity
    from ..engine.plan import Plan
    from ..engine.report import Report
    from ..engine.session import Session
    from ..verbs.asking import Told
    from ..verbs.run import User
    from .input import Input

PAUSE = 20.0
"""Seconds between two questions: as long as one takes, so that runs of other hosts, which wait for nobody, find
discovery's lock free as often as not."""

Look = Callable[["Session", "str | int", "User"], "tuple[Told, str | int]"]
"""What has come since then, and until when."""


@dataclass(frozen=True)
class Follower:
    """Is told nothing of how each question goes: what comes of it is all that is wanted."""

    interrupt: Interrupt = field(default_factory=Interrupt)

    def begin(self, plan: Plan, identity: Identity) -> None:
        pass

    def listen(self, event: Event) -> None:
        pass

    def end(self, report: Report) -> None:
        pass


def follow(given: Input, node: str, look: Look, lines: int) -> int:
    """Print what comes, as it comes, until the user ends it or something fails. Returns the exit code.

    The cluster's lock is held for one question at a time: runs of this host wait for its end, and are waited for.
    """
    from ..engine.report import INTERRUPTED
    from ..folder.store import Folder
    from .running import GIVEN, LOCK

    follower, busy = Follower(), ""
    since: str | int = lines
    stop = follower.interrupt.stop
    with given.session() as session, requests(follower.interrupt.request, left=f"{GIVEN}; {LOCK}"):
        while not stop.is_set():
            try:
                with Folder.lock(given.state, session.config.core.name, briefly=True):
                    since, busy = _look_once(session, node, look, since, follower), ""
            except BusyError as error:  # on this host, or on another one that discovery knows of
                busy = _told_once(str(error), busy)
            stop.wait(PAUSE)
    return INTERRUPTED


def _told_once(who: str, before: str) -> str:
    if who != before:
        note(who)
    return who


def _look_once(session: Session, node: str, look: Look, since: str | int, follower: Follower) -> str | int:
    try:
        told, until = look(session, since, follower)
    except TargetError:
        if follower.interrupt.stop.is_set():  # it was the user who did not wait for it
            return since
        raise
    if told.cut:
        note(f"{node} has said {told.cut} bytes more before this, which its target's road has no room for")
    if told.text:
        write_told(told.text)
    return until
