"""How a plan is carried out and told, while it goes on and afterwards: the options of whatever runs one."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from ..contract.errors import ConfigError
from .options import Command, FilePath, gathering, output, parallel, state, with_options

if TYPE_CHECKING:
    from pathlib import Path

    from ..backup import Archive
    from ..engine.identity import Identity
    from ..engine.verb import Verb
    from ..engine.wish import Wish
    from .input import Input
    from .progress import Progress

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
        callback=_own_file(".page.recorder"),
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


class Runner(NamedTuple):
    """Carries out a plan as the command line says."""

    progress: Progress
    form: str
    parallel: int | None = None
    wait_timeout: int | None = None

    def carry_out(
        self,
        verb: Verb,
        given: Input,
        wish: Wish,
        *,
        asks: str = "",
        archive: Archive | None = None,
        agreed: Identity | None = None,
    ) -> int:
        """One run, from lock to report; the exit code.

        `asks`: what the user is asked about first, by the cluster's name; empty: nobody is asked. `archive`: as of a
        session; `agreed`: as of `run`.
        """
        from ..engine.verb import Options
        from ..verbs.planning import opened
        from ..verbs.run import run
        from .running import Running

        config = given.load_for(verb)
        name = config.core.name if verb.of_cluster else verb.name
        confirm = _confirmation(asks, name) if asks else lambda: None
        options = Options(**vars(wish), finish_timeout=self.wait_timeout, parallel=self.parallel)
        with (
            opened(verb, config, given.state, alone=True, archive=archive) as session,
            Running(name, self.progress, confirm) as user,
        ):
            report = run(verb, session, options, user, agreed)
        return user.finish(report, self.form)


def _confirmation(verb: str, cluster: str) -> Callable[[], None]:
    """Whoever deletes machines is asked for the cluster's name first, between the plan and its first action.

    Raises `UsageError` where nobody could be asked.
    """
    if not sys.stdin.isatty():
        raise click.UsageError(f"{verb} asks for the cluster's name on a terminal, and this is none; --yes does not ask.")

    def ask() -> None:
        typed = click.prompt(f"Type the cluster's name, {cluster}, to go on", err=True)
        if typed != cluster:
            raise ConfigError(f"{typed!r} is not the cluster's name: nothing was touched")

    return ask


runs = gathering("runner", [state, parallel, progress, output], ("progress", "form", "parallel", "wait_timeout"), Runner)
"""Adds the options of whatever carries out a plan; the command may add `wait_timeout`."""
