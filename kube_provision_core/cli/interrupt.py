"""Ctrl-C, SIGTERM and a terminal that goes away mean the same: stop, but tidily. A second Ctrl-C ends that, too."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from .talk import PROGRAM

INTERRUPTED = 130

REPORT_TIME = 3.0
"""Seconds that a run has, from the second Ctrl-C on, to report what it leaves to itself."""

_LAST_WORDS = 1.0
"""Seconds for a line to a terminal or a pipe that nobody reads."""

_ALL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that sessions are logged out and locks released.

    Where the second Ctrl-C is watched for, that is raised once: what tidies is not disturbed, until the process ends.
    """
    raised = False

    def interrupt(*signalled: Any) -> None:
        nonlocal raised
        if not (raised and _second.watched):
            raised = True
            signal.default_int_handler(*signalled)

    with _handling(interrupt, *_heeded(*_ALL)):
        yield
    if _second.watched:  # Python waits for threads yet, and would only complain
        signal.signal(signal.SIGINT, lambda *_: None)


@contextmanager
def requests(request: Callable[[], None], *, left: str = "", reports: bool = False) -> Iterator[None]:
    """These signals call `request` instead of raising: whoever runs decides what to give up.

    `left`: what may be left where a second Ctrl-C ends the program. `reports`: it is a request as well, to end with a report
    of what is left.
    """
    with _second.told(left, reports=reports), _handling(lambda *_: request(), signal.SIGINT, *_heeded(*_ALL[1:])):
        yield


@contextmanager
def leaving(what: str) -> Iterator[None]:
    """Whoever ends the program by a second Ctrl-C meanwhile is told that this may be left."""
    with _second.told(what):
        yield


def end_at_a_second() -> None:
    """From now on a second Ctrl-C ends this process at once, whatever it does by then. Call it in the main thread."""
    _second.watch()


class _Second:
    """Watches for it in a thread: where the main one is held up, in a library or at its end, no handler would be called."""

    def __init__(self) -> None:
        self.watched = False
        self._left: list[str] = []
        self._reporting = 0
        """How many are under way that hear it as a request, and report."""

    @contextmanager
    def told(self, what: str, *, reports: bool = False) -> Iterator[None]:
        self._left.append(what)
        self._reporting += reports
        try:
            yield
        finally:
            self._reporting -= reports
            self._left.remove(what)

    def watch(self) -> None:
        read, write = os.pipe()
        os.set_blocking(write, False)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        restore = _restorer()
        threading.Thread(target=self._listen, args=(read, restore), name="second-interrupt", daemon=True).start()
        self.watched = True

    def _listen(self, pipe: int, restore: Callable[[], None]) -> None:
        """A byte is the number of a signal that has come."""
        begun, reports = False, False
        while number := os.read(pipe, 1):
            if number[0] not in _ALL:
                continue
            if begun and number[0] == signal.SIGINT:
                left = tuple(self._left)  # of what may be over when its time to report is
                if reports or not self._reporting:
                    self._end(restore, left)
                reports, late = True, threading.Timer(REPORT_TIME, self._end, (restore, left))
                late.daemon = True
                late.start()
            begun = True

    def _end(self, restore: Callable[[], None], left: Sequence[str]) -> None:
        """Says so by system calls alone: whoever holds a stream's lock is not waited for, nor whoever reads what is said."""
        late = threading.Timer(_LAST_WORDS, os._exit, (INTERRUPTED,))
        late.daemon = True
        late.start()
        what = "; ".join(filter(None, dict.fromkeys(left)))
        line = f"{PROGRAM}: interrupted, and ended at once{f'. May be left: {what}' if what else ''}\n"
        with suppress(Exception):  # of a terminal that is gone
            restore()
        with suppress(OSError):
            os.write(2, line.encode(errors="replace"))
        os._exit(INTERRUPTED)


_second = _Second()


def _restorer() -> Callable[[], None]:
    """What gives the terminal back as it is now: its echo, its cursor, a line of its own after the ^C."""
    if not sys.stderr.isatty():
        return lambda: None
    import termios

    before = termios.tcgetattr(2)

    def restore() -> None:
        if os.tcgetpgrp(2) == os.getpgrp():  # who is in the background would be stopped
            termios.tcsetattr(2, termios.TCSANOW, before)
            os.write(2, b"\n" if os.environ.get("TERM", "dumb") == "dumb" else b"\x1b[?25h\n")

    return restore


def _heeded(*numbers: signal.Signals) -> tuple[signal.Signals, ...]:
    """Those that the program was not started to outlive (`nohup`, `&` in a script)."""
    return tuple(number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN)


@contextmanager
def _handling(handler: Callable[..., Any], *numbers: signal.Signals) -> Iterator[None]:
    previous = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, before in zip(numbers, previous, strict=True):
            signal.signal(number, before)
