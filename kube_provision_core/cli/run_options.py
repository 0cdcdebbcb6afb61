"""How a run is told, while it goes on and afterwards: the options of whatever runs a plan."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from ..contract.errors import ConfigError
from .options import Command, FilePath, with_options

if TYPE_CHECKING:
    from pathlib import Path

TELLING = ("progress", "report", "metrics")
"""Parameters of the options that `progress` adds."""


def _own_file(writer: str) -> Callable[[click.Context, click.Parameter, str | None], Path | None]:
    """Refused before anything is looked at: after a run it is too late to say that `writer`, a module, cannot write it."""

    def checked(ctx: click.Context, _: click.Parameter, value: str | None) -> Path | None:
        if value is None or ctx.resilient_parsing:
            return None
        from pathlib import Path

        path = Path(value).absolute()
        import_module(writer, __package__).check(path)
        return path

    return checked


_TELLING = (
    click.option(
        "--progress",
        type=click.Choice(["auto", "live", "plain", "json"]),
        default="auto",
        show_default=True,
        help="How progress is shown on stderr.",
    ),
    click.option(
        "--report",
        type=FilePath(readable=False),
        metavar="FILE.html",
        callback=_own_file(".page.file"),
        help="Write a picture of the run there: one page, however it ends. Only an earlier one is replaced.",
    ),
    click.option(
        "--metrics",
        type=FilePath(readable=False),
        metavar="FILE.prom",
        callback=_own_file(".metrics"),
        help="Write the run's numbers there for Prometheus, however it ends. Only an earlier one is replaced.",
    ),
)


def progress(command: Command) -> Command:
    """Add the options of whatever runs a plan; the command gets one `Progress`."""

    @functools.wraps(command)
    def with_progress(*, progress: str, report: Path | None, metrics: Path | None, **options: Any) -> Any:
        from .progress import Progress, errors_told

        with ExitStack() as around:
            around.enter_context(errors_told(progress))
            if report and metrics and report.resolve() == metrics.resolve():
                raise ConfigError(f"{report}: --report and --metrics name the same file: give each its own")
            measured = None
            if metrics is not None:
                from .metrics import measuring

                measured = around.enter_context(measuring(metrics, options["given"]))
            return command(progress=Progress(progress, report, measured), **options)

    return with_options(_TELLING, with_progress)
