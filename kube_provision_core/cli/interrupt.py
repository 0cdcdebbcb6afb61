"""Ctrl-C, SIGTERM and a terminal that goes away mean the same: stop, but tidily."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP raise KeyboardInterrupt, as Ctrl-C does, so that sessions are logged out and locks released."""
    with _handling(signal.default_int_handler, signal.SIGTERM, *_hang_up()):
        yield


@contextmanager
def requests(request: Callable[[], None]) -> Iterator[None]:
    """These signals call `request` instead of raising: whoever runs decides what to give up."""
    with _handling(lambda *_: request(), signal.SIGINT, signal.SIGTERM, *_hang_up()):
        yield


def _hang_up() -> tuple[signal.Signals, ...]:
    """SIGHUP, unless the program was started to outlive its terminal (`nohup`)."""
    return () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)


@contextmanager
def _handling(handler: Callable[..., Any], *numbers: signal.Signals) -> Iterator[None]:
    previous = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, before in zip(numbers, previous, strict=True):
            signal.signal(number, before)
