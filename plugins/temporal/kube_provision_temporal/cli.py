"""`kube-provision-temporal`: a worker beside a site, and what people say to runs."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

import click
from temporalio.client import Client, ScheduleIntervalSpec, ScheduleSpec

from kube_provision_core import ConfigError, KubeProvisionError

from . import client as asking
from . import reconciling, reports, schedules
from .client import PATIENCE
from .cluster import ClusterWorkflow
from .plans import printable
from .policy import ROLLOUT
from .program import BAD_INPUT, INTERRUPTED, UNWRITTEN
from .reconciling import Reconcile
from .reports import Backups, Kind, Report
from .rollout_file import read
from .schedules import SCHEDULE
from .showing import text
from .values import Approval, Effect, Work
from .words import VERBS, faults, no_task_queue
from .worker import serve

PROGRAM = "kube-provision-temporal"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (the process's own when None) and return its exit code. Only a bug leaves as an exception."""
    try:
        program.main(arguments, PROGRAM, standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return BAD_INPUT
    except click.ClickException as error:
        return _complain(error.format_message(), BAD_INPUT)
    except KubeProvisionError as error:
        return _complain(str(error), error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted", INTERRUPTED)
    return 0


def run() -> NoReturn:
    """The process's own command line, and its end at once: threads of Temporal's library would crash an ending Python."""
    try:
        code = main()
    except Exception:  # noqa: BLE001 - a bug, told as Python does
        traceback.print_exc()
        code = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or UNWRITTEN
    os._exit(code)


def _complain(text: str, code: int) -> int:
    for line in text.splitlines():
        _say(f"{PROGRAM}: {printable(line)}")
    return code


def _say(text: str) -> None:
    click.echo(text, err=True)


def _with_server(work: Callable[[Client], Awaitable[None]]) -> None:
    async def connected() -> None:
        await work(await asking.connect())

    asyncio.run(connected())


def _task_queue(told: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option("--task-queue", required=True, metavar="SITE", help=told, callback=_named_queue)


def _named_queue(_: click.Context, __: click.Parameter, name: str) -> str:
    if wrong := no_task_queue(name):
        raise click.UsageError(wrong[0])
    return name


@click.group()
@click.version_option(package_name="kube-provision-temporal")
def program() -> None:
    """Clusters by kube-provision on Temporal.

    The server is found as Temporal's own tools find it: TEMPORAL_ADDRESS (localhost:7233), TEMPORAL_NAMESPACE,
    TEMPORAL_API_KEY, TEMPORAL_TLS_…, or a profile in temporal.toml.
    """


@program.command()
@_task_queue("Whose work it does.")
@click.option(
    "--configurations",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=".",
    metavar="DIR",
    help="Where the clusters' configurations are: CLUSTER.yml.  [default: the current folder]",
)
@click.option("--parallel", type=click.IntRange(min=1), default=8, show_default=True, metavar="N", help="Runs at once.")
@click.option("--backups", metavar="PLACE", help="Where scheduled backups go: a folder, or its URL.")
@click.option("--recipients-file", metavar="FILE", help="Who can open those.")
@click.option("--keep", type=click.IntRange(min=1), default=14, show_default=True, metavar="N", help="Of each cluster.")
def worker(
    task_queue: str, configurations: Path, parallel: int, backups: str | None, recipients_file: str | None, keep: int
) -> None:
    """Do what is asked for, beside a site, until Ctrl-C or SIGTERM.

    What lets into the site, and where clusters' folders of secrets are (KUBE_PROVISION_STATE), is in its environment.
    """
    if (backups is None) != (recipients_file is None):
        raise click.UsageError("--backups and --recipients-file go together.")
    kept = Backups(backups, recipients_file, keep) if backups and recipients_file else None
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s")

    def ready() -> None:
        _say(f"asks for work on {task_queue}, for the clusters in {configurations.absolute()}")

    _with_server(lambda server: serve(server, task_queue, configurations.absolute(), parallel, ready, kept))


def _seconds(option: str, default: float, told: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        option, type=click.FloatRange(min=0), default=default, show_default=True, metavar="SECONDS", help=told
    )


_config = click.option(
    "--config", multiple=True, metavar="FILE", help="Below the worker's folder; repeatable (CLUSTER.yml)."
)


@program.command(context_settings={"ignore_unknown_options": True})
@click.argument("cluster")
@click.argument("verb", type=click.Choice(VERBS))
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS]")
@_task_queue("Whose worker does it.")
@_config
@click.option(
    "--approval",
    type=click.Choice([it.value for it in Approval]),
    default=Approval.ALWAYS.value,
    show_default=True,
    help="Which plans wait for `approve`: all that change something, or those that remove something or drain nodes.",
)
@_seconds("--approval-timeout", 86400, "How long they wait.")
@click.option("--attempts", type=click.IntRange(min=1), default=5, show_default=True, help="Of what may pass by itself.")
@_seconds("--retry-after", 10, "Before the second attempt; doubled each time.")
def start(
    cluster: str,
    verb: str,
    options: tuple[str, ...],
    task_queue: str,
    config: tuple[str, ...],
    approval: str,
    approval_timeout: float,
    attempts: int,
    retry_after: float,
) -> None:
    """Plan VERB for CLUSTER, and apply the plan once it is approved.

    OPTIONS are those of the verb itself: `-- --node w-prod-2`. One that is under way already is not begun twice.
    """
    work = Work(cluster, verb, list(options), list(config), Approval(approval), approval_timeout, attempts, retry_after)
    if problems := faults(work):
        raise ConfigError(*problems)

    async def starting(server: Client) -> None:
        begun = await asking.start(server, work, task_queue)
        _say(f"{cluster}: {'begun' if begun else 'is under way already'}. More: {PROGRAM} status {cluster}")

    _with_server(starting)


@program.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def rollout(file: Path) -> None:
    """Begin the roll-out that FILE describes: a verb for many clusters, in waves. It is called `rollout/NAME` then."""
    wanted = read(file)

    async def starting(server: Client) -> None:
        begun = await asking.begin_rollout(server, wanted)
        name = ROLLOUT + wanted.name
        _say(f"{name}: {'begun' if begun else 'is under way already'}. More: {PROGRAM} status {name}")

    _with_server(starting)


@program.command(context_settings={"ignore_unknown_options": True})
@click.argument("cluster")
@click.argument("what", type=click.Choice([*(it.value for it in Kind), schedules.RECONCILE]))
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[-- OPTIONS]")
@_task_queue("Whose worker does it.")
@click.option("--every", type=click.FloatRange(min=0.1, max=8784), metavar="HOURS", help="How often.")
@click.option("--cron", metavar="EXPRESSION", help="Or when, in UTC: '0 3 * * *'.")
@_config
@click.option(
    "--allow",
    multiple=True,
    type=click.Choice([it.value for it in Effect if it is not Effect.LOOK]),
    help="What `reconcile` may do; repeatable. Plans with anything else are told, and not applied.",
)
def schedule(
    cluster: str,
    what: str,
    options: tuple[str, ...],
    task_queue: str,
    every: float | None,
    cron: str | None,
    config: tuple[str, ...],
    allow: tuple[str, ...],
) -> None:
    """Have something done for CLUSTER again and again. It is called `schedule/CLUSTER/WHAT` then.

    OPTIONS are those of `provision`, for `reconcile`.
    """
    if (every is None) == (cron is None):
        raise click.UsageError("`schedule` takes --every or --cron, one of the two.")
    wanted: Reconcile | Report
    if what == schedules.RECONCILE:
        wanted = Reconcile(cluster, [Effect(it) for it in allow], list(options), list(config))
        problems = reconciling.faults(wanted)
    else:
        wanted = Report(Kind(what), cluster, list(config))
        problems = reports.faults(wanted) + [f"{what} takes neither --allow nor options"] * bool(allow or options)
    if problems:
        raise ConfigError(*problems)
    intervals = [ScheduleIntervalSpec(timedelta(hours=every))] if every else []
    spec = ScheduleSpec(intervals=intervals, cron_expressions=[cron] if cron else [])

    async def putting(server: Client) -> None:
        new = await schedules.put(server, wanted, task_queue, spec)
        name = schedules.name_of(wanted)
        _say(f"{name}: {'scheduled' if new else 'changed'}. More: {PROGRAM} status {name}")

    _with_server(putting)


@program.command()
@click.argument("name")
@click.option("--output", "-o", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def status(name: str, form: str) -> None:
    """Show what a cluster's run, a roll-out or a schedule is at: its plan, how far it is, or how the last one ended."""

    async def showing(server: Client) -> None:
        found = await (schedules if name.startswith(SCHEDULE) else asking).look(server, name)
        click.echo(json.dumps(asdict(found), indent=2) if form == "json" else text(found))

    _with_server(showing)


@program.command()
@click.argument("cluster")
@click.argument("digest")
def approve(cluster: str, digest: str) -> None:
    """Agree to the plan that `status` shows, by its DIGEST or the first eight letters of it."""
    if "/" in cluster:
        raise ConfigError(f"{cluster}: only clusters have plans: approve theirs, which `{PROGRAM} status {cluster}` shows")

    async def approving(server: Client) -> None:
        with asking.answering(cluster):
            await server.get_workflow_handle(cluster).execute_update(ClusterWorkflow.approve, digest, rpc_timeout=PATIENCE)
        _say(f"{cluster}: approved")

    _with_server(approving)


def _telling(word: str, help_: str, told: str, of_others: str) -> None:
    """A command that says one word to a run, to a roll-out or to a schedule."""

    @program.command(word, help=help_)
    @click.argument("name")
    def command(name: str) -> None:
        async def telling(server: Client) -> None:
            await (schedules if name.startswith(SCHEDULE) else asking).tell(server, name, word)
            _say(f"{name}: {of_others if '/' in name else told}")

        _with_server(telling)


_telling(
    "pause",
    "Stop what runs, as Ctrl-C does, until `resume`. A run that would do again what is done ends instead. A roll-out, or a "
    "schedule, begins nothing more; what it has begun goes on.",
    "stops, and waits for `resume` where it can go on",
    "begins nothing more until `resume`",
)
_telling("resume", "Go on with what was paused.", "goes on", "goes on")
_telling(
    "cancel",
    "Stop what runs, as Ctrl-C does, and end it; of a roll-out all its clusters' runs. A schedule begins nothing more.",
    "is cancelled",
    "is cancelled",
)


if __name__ == "__main__":
    run()
