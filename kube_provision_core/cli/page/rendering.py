"""The page itself: nothing of it comes from elsewhere, nothing of it runs, and all that is told stands there as text."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ... import __version__
from ...contract.boot import Stage
from ...support.hiding import hide
from ..talk import one_line
from .chart import Chart, counts, duration
from .recorder import MARK

if TYPE_CHECKING:
    from ..ending import Ending
    from .chart import Lane
    from .recorder import Recorder
    from .timeline import Span

_LEGEND = {
    "make": "made",
    **{stage.value: stage.value for stage in Stage},
    "change": "changed",
    "remove": "removed",
    "wait": "waits",
    "retry": "tries again",
    "trouble": "in trouble",
}
_OPEN = 40
"""Rows of a table that is shown without being asked for."""


def page(recorder: Recorder, ending: Ending) -> str:
    style = files(__package__).joinpath("style.css").read_text("utf-8")
    text = (
        _environment()
        .get_template("page.html.j2")
        .render(
            **_told(recorder, ending),
            style=Markup(style),  # noqa: S704 - our own file
            style_digest=Markup(base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()),  # noqa: S704 - letters
            version=__version__,
        )
    )
    return f"{MARK.decode()}{text}"


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("kube_provision_core.cli", "page"),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_plain,
    )
    environment.filters["duration"] = duration
    return environment


def _plain(value: object) -> object:
    """Whatever is told, as a line without secrets; what is ours already is left as it is."""
    return one_line(hide(value)) if type(value) is str else value


def _told(recorder: Recorder, ending: Ending) -> dict[str, Any]:
    report, plan, identity = recorder.report, recorder.plan, recorder.identity
    spans = recorder.timeline.lanes()
    chart = Chart(recorder.began, recorder.ended)
    lanes = [chart.lane(name, of_it) for name, of_it in spans.items()]
    nodes = {node.name: node for node in report.nodes} if report else {}
    return {
        "title": " ".join(dict.fromkeys((identity.verb, recorder.cluster))) if identity else recorder.cluster,
        "ending": ending,
        "when": f"{recorder.when:%Y-%m-%d %H:%M:%S %Z}",
        "took": duration(recorder.ended - recorder.began),
        "lanes": lanes,
        "nodes": nodes,
        "counts": counts(lanes),
        "some_are_well": any(lane.state != "done" for lane in lanes) and any(lane.state == "done" for lane in lanes),
        "untouched": [name for name in nodes if name not in spans],
        "legend": _legend(lanes),
        "marks": chart.marks,
        "plan": [span for name in spans for span in spans[name]],
        "plan_open": sum(map(len, spans.values())) <= _OPEN,
        "took_each": _took,
        "identity": identity,
        "notes": plan.notes if plan else (),
        "report": report,
        "problems": _problems(lanes),
    }


def _problems(lanes: Sequence[Lane]) -> list[tuple[str, str]]:
    """Whom it befell, and what. What befell many for the same reason is told once."""
    found: dict[str, list[str]] = {}
    for lane in lanes:
        for problem in lane.problems:
            found.setdefault(problem, []).append(lane.name)
    return [(", ".join(names), problem) for problem, names in found.items()]


def _legend(lanes: Sequence[Lane]) -> list[tuple[str, str]]:
    """Of what is seen."""
    seen = {bar.look for lane in lanes for bar in lane.bars}
    return [(look, word) for look, word in _LEGEND.items() if look in seen]


def _took(span: Span) -> str:
    return duration(span.ended - span.begun) if span.begun is not None and span.ended is not None else ""
