"""Progress of a run, on stderr: a live view on a terminal, a line per change elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..contract.errors import KubeProvisionError
from .talk import lines_of, one_line

if TYPE_CHECKING:
    from pathlib import Path

    from ..engine.executor import Event
    from ..engine.plan import Action
    from .metrics import Metrics


class Progress(NamedTuple):
    """How a run is told, while it goes on and afterwards."""

    mode: str
    """`auto`, `live`, `plain` or `json`."""
    page: Path | None = None
    """Where the page of the run is written."""
    metrics: Metrics | None = None
    """The numbers of the run, where they are wanted."""


class View(Protocol):
    def show(self, event: Event) -> None:
        """May be called from any thread."""

    def notice(self, text: str) -> None:
        """Say something to the user. Called from a signal handler: takes no lock that `show` holds."""


@contextmanager
def view(mode: str, cluster: str, actions: Sequence[Action], *, asks: bool = False) -> Iterator[View]:
    """The view that suits `mode` (`auto`, `live`, `plain`, `json`), for as long as the context lasts.

    What is no terminal, or a dumb one, gets plain lines instead of a live view. A run that only `asks` machines changes
    nothing that one would want lines of: where nobody watches they have to be asked for.
    """
    if mode == "json":
        yield JsonLines(cluster)
    elif mode != "plain" and _can_redraw():
        from .live import live_view  # rich, for who sees it

        with live_view(cluster, actions) as live:
            yield live
    elif mode == "auto" and asks:
        yield NoticesAlone(cluster)
    else:
        yield PlainLines(cluster)


def _can_redraw() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb"


class PlainLines:
    """`prod: m-prod-1 create running`, a line per change."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster

    def show(self, event: Event) -> None:
        text = f": {one_line(event.text)}" if event.text else ""
        _write_line(f"{self._cluster}: {event.action.subject} {event.action.verb} {event.state}{text}")

    def notice(self, text: str) -> None:
        _write_line(f"{self._cluster}: {text}")


class NoticesAlone(PlainLines):
    """What the user has to know, and no change."""

    def show(self, event: Event) -> None:
        pass


@contextmanager
def errors_told(mode: str) -> Iterator[None]:
    """Tell programs, too, of the error that ends a command, and whether the same may succeed when it is run again.

    `mode`: the way in which it tells of its progress, or of what it has found; `json` is for programs.
    """
    try:
        yield
    except KubeProvisionError as error:
        if mode == "json":
            _write_json(error=lines_of(str(error)), exit_code=error.exit_code, retryable=error.retryable)
        raise


class JsonLines:
    """A JSON object per line; `docs/cli.md` lists the keys."""

    def __init__(self, cluster: str) -> None:
        self._cluster = cluster

    def show(self, event: Event) -> None:
        self._write(
            action=event.action.verb, subject=event.action.subject, state=str(event.state), text=lines_of(event.text)
        )

    def notice(self, text: str) -> None:
        self._write(action="interrupt", subject=self._cluster, state="requested", text=text)

    def _write(self, **values: str) -> None:
        _write_json(cluster=self._cluster, **values)


def _write_json(**values: str | int) -> None:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    _write_line(json.dumps({"time": now, **values}))


def _write_line(line: str) -> None:
    """One system call, so that threads and signal handlers need no lock to keep lines whole.

    A reader who has gone away does not stop the run.
    """
    with suppress(OSError):
        os.write(sys.stderr.fileno(), f"{line}\n".encode(errors="replace"))
