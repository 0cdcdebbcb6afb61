"""A run in numbers: one file in Prometheus' text format, as node_exporter's textfile collector reads it.

https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import click

from .. import __version__
from ..contract.kept_files import replace_file
from . import own_file
from .ending import Ending, ending

if TYPE_CHECKING:
    from ..engine.report import Report
    from .input import Input

MARK = b"# HELP kube_provision_run_"
"""What a file of ours begins with: another one is not replaced."""

OUTCOMES = {0: "done", 1: "bug", 2: "refused", 3: "failed", 4: "partly_done", 130: "interrupted"}
"""By exit code; a plugin's own is that of something that has failed."""
OF_PROGRAM = "program_failed"
"""What was run on a machine has returned something else than 0."""

Labels = Mapping[str, str]


class Metric(NamedTuple):
    """One, with all that is known of it. Each is a gauge: what the last run has found, not a sum over runs."""

    name: str
    help: str
    samples: Iterable[tuple[Labels, float]]


def check(path: Path) -> None:
    """Raise `ConfigError` where no metrics could be written now, or something else would be replaced."""
    own_file.check(path, MARK, "file of metrics")


class Metrics:
    """Those of one command, from its beginning to its end."""

    def __init__(self, path: Path, command: str, cluster: str = "") -> None:
        """`cluster`: its name where the command line tells it; who has read the configuration knows better."""
        self.path, self.command, self.cluster = path, command, cluster
        self.written = False
        self._began = time.monotonic()

    def write(self, report: Report | None, error: BaseException | None, returned: int = 0) -> None:
        """In the place of earlier ones, in one step, readable by everybody. Raises OSError.

        `report`: what came of the run; None where there is none. `error`: what ended it. `returned`: by a program on a
        machine, which the run was for.
        """
        self.written = True
        common = {"cluster": self.cluster, "command": self.command}
        found = [
            *_run(ending(report, error, returned), time.monotonic() - self._began),
            *(_counts(report) if report else ()),
        ]
        replace_file(self.path, "".join(_text(metric, common) for metric in found).encode(), mode=0o644)


@contextmanager
def measuring(path: Path, given: Input) -> Iterator[Metrics]:
    """What ends a command before its run has begun is written down, too; a run does that itself, and may end here."""
    context = click.get_current_context()
    metrics = Metrics(path, context.info_name or "", str(given.flags.get("name", "")))
    try:
        yield metrics
    except BaseException as error:
        if not metrics.written:
            with suppress(OSError):  # the line that follows says more
                metrics.write(None, error)
        raise


def _run(end: Ending, seconds: float) -> Iterator[Metric]:
    outcome = OF_PROGRAM if end.of_program else OUTCOMES.get(end.exit_code, "failed")
    states = [({"outcome": it}, float(it == outcome)) for it in (*OUTCOMES.values(), OF_PROGRAM)]
    yield Metric("run_outcome", "How the last run ended: 1 for that, 0 for all else.", states)
    yield Metric("run_exit_code", "Exit code of the last run.", [({}, end.exit_code)])
    yield Metric("run_duration_seconds", "How long the last run took.", [({}, round(seconds, 3))])
    yield Metric("run_end_timestamp_seconds", "When the last run ended, since the epoch.", [({}, round(time.time(), 3))])
    yield Metric("run_info", "The version of kube-provision that ran.", [({"version": __version__}, 1)])


def _counts(report: Report) -> Iterator[Metric]:
    actions = Counter((outcome.action.verb, outcome.state.value) for outcome in report.outcomes)
    done = [({"action": action, "state": state}, number) for (action, state), number in sorted(actions.items())]
    yield Metric("run_actions", "Actions of the last run, by kind and by what came of them.", done)
    if report.templates is None:
        yield Metric(
            "run_nodes", "Machines after the last run, by role, by what came of them, and by readiness.", _nodes(report)
        )


def _nodes(report: Report) -> Iterator[tuple[Labels, float]]:
    """Those that are there, and those that could not be made; what was destroyed is none any more."""
    there = [node for node in report.nodes if node.name in report.observation.ours or node.state != "done"]
    kinds = Counter((node.role, node.state.value, _READY[node.ready]) for node in there)
    for (role, state, ready), number in sorted(kinds.items()):
        yield {"role": role, "state": state, "ready": ready}, number


_READY = {True: "yes", False: "no", None: "unknown"}


def _text(metric: Metric, common: Labels) -> str:
    name = f"kube_provision_{metric.name}"
    lines = [f"# HELP {name} {metric.help}", f"# TYPE {name} gauge"]
    lines += [f"{name}{{{_pairs({**common, **labels})}}} {float(value):.16g}" for labels, value in metric.samples]
    return "".join(f"{line}\n" for line in lines)


def _pairs(labels: Labels) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
