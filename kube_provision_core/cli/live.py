"""The live view of a run on a terminal. The only module that imports rich."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.constrain import Constrain
from rich.live import Live
from rich.table import Table
from rich.text import Text

from .board import Board, Row, Standing
from .talk import one_line

if TYPE_CHECKING:
    from ..engine.executor import Event
    from ..engine.plan import Action

_STYLES = {
    Standing.FAILED: "bold red",
    Standing.RUNNING: "cyan",
    Standing.ABANDONED: "yellow",
    Standing.SKIPPED: "yellow",
    Standing.WAITING: "dim",
    Standing.DONE: "green",
}
_FRAME_LINES = 4
"""Lines of the screen that are no rows: counters, the line of what does not fit, a notice, the cursor's own."""
_ECHO_WIDTH = len("^C^C")
"""Columns left free at the right: what the terminal echoes there must not wrap, or the view would lose its place."""
_GAP = 2
"""Columns between two columns of the table."""
_CLOCK = len("59:59")
_NARROWEST = 24
"""Columns that texts are given before verbs and clocks are."""


@contextmanager
def live_view(cluster: str, actions: Sequence[Action], console: Console | None = None) -> Iterator[LiveView]:
    """A view that redraws itself while the context lasts and then disappears: the report says how it ended.

    A terminal that goes away meanwhile does not stop the run.
    """
    console = console or Console(stderr=True)
    shown = LiveView(cluster, actions)
    live = Live(shown, console=console, transient=True, refresh_per_second=4, redirect_stdout=False)
    live.start(refresh=True)
    try:
        yield shown
    finally:
        with suppress(OSError):
            live.stop()


class LiveView:
    """A row per machine, never higher than the terminal."""

    def __init__(self, cluster: str, actions: Sequence[Action]) -> None:
        self._cluster = cluster
        self._board = Board(actions)
        self._widths = {
            "subject": max((len(action.subject) for action in actions), default=0),
            "standing": max(map(len, Standing)),
            "verb": max((len(action.verb) for action in actions), default=0),
            "seconds": _CLOCK,
        }
        self._began = time.monotonic()
        self._notice = ""

    def show(self, event: Event) -> None:
        self._board.take(event, time.monotonic())

    def notice(self, text: str) -> None:
        self._notice = text

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        now = time.monotonic()
        counts = self._board.counts()
        width, height = max(options.max_width - _ECHO_WIDTH, 1), max(console.height - _FRAME_LINES, 0)
        shown = self._columns(width)
        room = max(width - _taken(shown), 1)
        rows = self._board.rows(height, lambda row: len(_lines(row, console, room, height)))
        texts = [Text("\n").join(_lines(row, console, room, height)) for row in rows]
        lines = [self._headline(counts, now), self._table(rows, texts, shown, now)]
        if hidden := sum(counts.values()) - len(rows):
            lines.append(Text(f"… and {hidden} more", style="dim"))
        if self._notice:
            lines.append(Text(self._notice, style="yellow", no_wrap=True, overflow="ellipsis"))
        yield Constrain(Group(*lines), width)

    def _columns(self, width: int) -> dict[str, int]:
        """Widths of the columns that stand before the texts."""
        if width - _taken(self._widths) >= _NARROWEST:
            return self._widths
        return {name: self._widths[name] for name in ("subject", "standing")}

    def _headline(self, counts: dict[Standing, int], now: float) -> RenderableType:
        parts = [Text(self._cluster, style="bold"), Text(_clock(now - self._began))]
        parts += [Text(f"{count} {standing}", style=_STYLES[standing]) for standing, count in counts.items()]
        return Text("  ", no_wrap=True, overflow="ellipsis").join(parts)

    def _table(self, rows: Sequence[Row], texts: Sequence[Text], shown: Mapping[str, int], now: float) -> RenderableType:
        table = Table.grid(padding=(0, _GAP))
        for name, width in shown.items():
            table.add_column(name, no_wrap=True, justify="right" if name == "seconds" else "left", width=width)
        table.add_column("text")
        for row, text in zip(rows, texts, strict=True):
            cells: dict[str, str | Text] = {
                "subject": row.subject,
                "standing": Text(row.standing, style=_STYLES[row.standing]),
                "verb": row.verb,
                "seconds": _clock(now - row.since) if row.standing is Standing.RUNNING else "",
            }
            table.add_row(*(cells[name] for name in shown), text)
        return table


def _taken(widths: Mapping[str, int]) -> int:
    return sum(widths.values()) + _GAP * len(widths)


def _lines(row: Row, console: Console, width: int, height: int) -> Sequence[Text]:
    """The row's text, whole where the screen is high enough for it: what a machine lacks often stands at its end."""
    text = Text(one_line(row.text))
    if text.cell_len <= width:
        return [text]
    lines = list(text.wrap(console, width))
    return lines if len(lines) <= max(height, 1) else [*lines[: max(height, 1) - 1], Text("…")]


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
