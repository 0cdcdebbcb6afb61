"""Apply a plan: one executor, a bounded pool of threads, one watcher.

An action is either performed by a thread of the pool, or awaited: all awaited actions are looked at together, by one
watcher, so that waiting for a thousand machines costs one thread and one look at the target.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import TopologicalSorter
from queue import Empty, SimpleQueue
from typing import Any

from ..contract.driver import listening
from ..contract.errors import KubeProvisionError
from ..contract.status import NodeStatus
from .plan import Action

TICK = 0.2
"""Seconds after which the executor looks up from waiting, to notice an interrupt."""

FIRST_LOOK, LONGEST_LOOK = 0.15, 5.0
"""Seconds between two looks of the watcher: from the first to the second, half as long again every time, and anew from the
first when nothing but what is awaited keeps the run."""


class State(StrEnum):
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a person who watches would like to see."""

    action: Action
    state: State
    text: str = ""
    status: NodeStatus | None = None
    """What the machine says of itself, where that is what was seen."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an action ended."""

    action: Action
    state: State
    text: str = ""
    seconds: float = 0.0
    retryable: bool = True
    """Of one that has failed: it may succeed when the same is run again."""

    @property
    def done(self) -> bool:
        return self.state is State.DONE


@dataclass(frozen=True, slots=True)
class Sight:
    """What the watcher sees of one awaited action: settled when `state` is not `running`."""

    state: State
    text: str = ""
    status: NodeStatus | None = None
    """Which the text tells of, where a machine was seen."""
    retryable: bool = True
    """Of one that has failed: as in `Outcome`. What took too long may take less another time."""


@dataclass(frozen=True)
class Interrupt:
    """How a user stops a run: the first request stops starting things, the second one stops waiting for them."""

    stop: threading.Event = field(default_factory=threading.Event)
    abandon: threading.Event = field(default_factory=threading.Event)

    def request(self) -> None:
        (self.abandon if self.stop.is_set() else self.stop).set()


Listen = Callable[[Event], None]
Perform = Callable[[Action], str]
"""Does an action and says in a few words what came of it. Raises `KubeProvisionError` when it fails."""

Watch = Callable[[Collection[Action]], Mapping[str, Sight]]
"""Looks once at all awaited actions together; what it does not mention is still running. May be called after an error."""


def apply(
    actions: Sequence[Action],
    perform: Perform,
    watch: Watch,
    *,
    parallel: int,
    listen: Listen,
    interrupt: Interrupt,
) -> tuple[Outcome, ...]:
    """Apply the actions, at most `parallel` performed at once; the outcomes come in the order of the actions.

    One action's failure skips those that wait for it and nothing else. A failure that is no `KubeProvisionError` is a bug:
    what runs is awaited, then it is raised.
    """
    return _Executor(actions, perform, watch, parallel, listen, interrupt).run()


class _Executor:
    def __init__(
        self, actions: Sequence[Action], perform: Perform, watch: Watch, parallel: int, listen: Listen, interrupt: Interrupt
    ) -> None:
        self._actions = {action.key: action for action in actions}
        self._perform, self._watch, self._listen, self._interrupt = perform, watch, listen, interrupt
        self._order = TopologicalSorter({key: action.after & self._actions.keys() for key, action in self._actions.items()})
        self._pool = ThreadPoolExecutor(parallel, thread_name_prefix="apply")
        self._finished: SimpleQueue[tuple[str | None, Future[Any]]] = SimpleQueue()
        """Keys of performed actions with their futures; None with a look of the watcher."""
        self._outcomes: dict[str, Outcome] = {}
        self._started: dict[str, float] = {}
        self._awaited: dict[str, str] = {}
        self._performing = 0
        self._coming = sum(action.mark == "." for action in actions)
        """Awaited actions that have not begun."""
        self._looking, self._unseen = False, False
        """A look is under way; something has come to be awaited since the last one began."""
        self._next_look, self._pause = math.inf, FIRST_LOOK
        self._bug: BaseException | None = None

    def run(self) -> tuple[Outcome, ...]:
        self._order.prepare()
        watcher = ThreadPoolExecutor(1, thread_name_prefix="watch")
        try:
            while self._order.is_active() and not self._interrupt.abandon.is_set():
                for key in self._order.get_ready():
                    self._begin(self._actions[key])
                self._look_at_awaited(watcher)
                self._collect()
        finally:
            abandoned = self._abandon()
            watcher.shutdown(wait=not abandoned, cancel_futures=True)
            self._pool.shutdown(wait=not abandoned, cancel_futures=True)
        if self._bug:
            raise self._bug
        return tuple(self._outcomes[key] for key in self._actions)

    @property
    def _stopping(self) -> bool:
        return self._interrupt.stop.is_set() or self._bug is not None

    def _is_too_late(self, action: Action) -> bool:
        """The user has stopped the run, and nothing has begun that this one would take back."""
        return self._stopping and not (action.takes_back and any(key in self._started for key in action.after))

    def _begin(self, action: Action) -> None:
        awaited = sorted(action.after & self._actions.keys())
        unmet = [key for key in awaited if self._outcomes[key].state is not State.DONE]
        self._coming -= action.mark == "."
        if unmet and not action.tolerant:
            self._settle(action.key, State.SKIPPED, f"because of: {unmet[0]}")
        elif self._is_too_late(action):
            self._settle(action.key, State.SKIPPED, "interrupted before it began")
        elif action.mark == ".":
            self._started[action.key] = time.monotonic()
            self._awaited[action.key], self._unseen = "", True
            self._next_look = min(self._next_look, time.monotonic() + self._pause)
            self._listen(Event(action, State.RUNNING))
        else:
            self._performing += 1
            future = self._pool.submit(self._start, action)
            future.add_done_callback(lambda done: self._finished.put((action.key, done)))

    def _start(self, action: Action) -> str:
        """In a thread of the pool: an action that waited there for its turn while the user interrupted does not begin."""
        if self._is_too_late(action):
            raise _NotBegunError
        self._started[action.key] = time.monotonic()
        self._listen(Event(action, State.RUNNING))
        with listening(lambda text: self._listen(Event(action, State.RUNNING, text))):
            return self._perform(action)

    def _collect(self) -> None:
        """Take in what has finished; wait a little where nothing has."""
        timeout = self._leisure()
        try:
            while True:
                key, future = self._finished.get(timeout=timeout)
                timeout = 0.0
                if key is None:
                    self._settle_look(future)
                else:
                    self._performing -= 1
                    self._settle_performed(key, future)
        except Empty:
            return

    def _leisure(self) -> float:
        """Seconds until something has to be done, whatever happens meanwhile."""
        if not self._order.is_active():
            return 0.0
        if self._awaited and not self._looking:
            return min(TICK, max(0.0, self._next_look - time.monotonic()))
        return TICK

    def _settle_performed(self, key: str, future: Future[Any]) -> None:
        try:
            self._settle(key, State.DONE, future.result())
        except _NotBegunError:
            self._settle(key, State.SKIPPED, "interrupted before it began")
        except KubeProvisionError as error:
            self._settle(key, State.FAILED, str(error), retryable=error.retryable)
        except BaseException as error:  # noqa: BLE001 - a bug: told in the report, raised when all else has ended
            self._bug = self._bug or error
            self._settle(key, State.FAILED, f"{type(error).__name__}: {error}", retryable=False)

    def _look_at_awaited(self, watcher: ThreadPoolExecutor) -> None:
        if self._stopping:
            for key in tuple(self._awaited):
                self._settle(key, State.ABANDONED, self._awaited[key] or "no longer awaited")
        if self._unseen and not (self._performing and self._coming):
            self._pause = FIRST_LOOK
            self._next_look = min(self._next_look, time.monotonic() + FIRST_LOOK)
        if self._awaited and not self._looking and time.monotonic() >= self._next_look:
            self._looking, self._unseen = True, False
            look = watcher.submit(self._watch, tuple(self._actions[key] for key in self._awaited))
            look.add_done_callback(lambda done: self._finished.put((None, done)))

    def _settle_look(self, look: Future[Any]) -> None:
        self._looking = False
        self._pause = min(self._pause * 1.5, LONGEST_LOOK)
        self._next_look = time.monotonic() + self._pause
        try:
            sights: Mapping[str, Sight] = look.result()
        except BaseException as error:  # noqa: BLE001 - as in _settle_performed
            self._bug = self._bug or error
            return
        for key, sight in sights.items():
            self._see(key, sight)

    def _see(self, key: str, sight: Sight) -> None:
        if key not in self._awaited:
            return
        if sight.state is not State.RUNNING:
            self._settle(key, sight.state, sight.text, retryable=sight.retryable)
        elif sight.text != self._awaited[key]:
            self._awaited[key] = sight.text
            self._listen(Event(self._actions[key], State.RUNNING, sight.text, sight.status))

    def _settle(self, key: str, state: State, text: str, *, retryable: bool = True) -> None:
        self._awaited.pop(key, None)
        seconds = time.monotonic() - self._started[key] if key in self._started else 0.0
        self._outcomes[key] = Outcome(self._actions[key], state, text, round(seconds, 3), retryable)
        self._order.done(key)
        self._listen(Event(self._actions[key], state, text))

    def _abandon(self) -> bool:
        """Give every action that has no outcome yet one that says so. True when something still runs."""
        if not self._interrupt.abandon.is_set():
            return False
        for key, action in self._actions.items():
            if key not in self._outcomes:
                begun = key in self._started
                state = State.ABANDONED if begun else State.SKIPPED
                text = "still running on the target; the next run finds what comes of it" if begun else "interrupted"
                self._outcomes[key] = Outcome(action, state, text)
        return True


class _NotBegunError(Exception):
    """The user interrupted before the action's turn came."""
