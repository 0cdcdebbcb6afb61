"""How long a node's boot data takes to render, in one process, without writing or sending it."""

from __future__ import annotations

import time
from statistics import median

from bench.measure import table
from bench.site import Site
from kube_provision_core import Role, config
from kube_provision_core.engine.session import Session, open_session


def measure(site: Site, machines: int) -> str:
    flags = {"name": "bench", "masters": 3, "workers": machines - 3}
    loaded = config.load([site.folder / "config.yml"], flags=flags, environ=site.environment)
    with open_session(loaded, site.folder / "unused") as session:
        times = _render_all(session)
    rows = [
        (
            role,
            str(len(values)),
            f"{1000 * median(values):.2f}",
            f"{1000 * sum(values) / len(values):.2f}",
            f"{len(values) / sum(values):.0f}",
        )
        for role, values in times.items()
    ]
    return table(("role", "nodes", "median ms", "mean ms", "nodes a second"), rows)


def _render_all(session: Session) -> dict[Role, list[float]]:
    desired, secrets = session.desired, session.folder.join_secrets()
    times: dict[Role, list[float]] = {}
    for node in desired.nodes:
        begin = time.perf_counter()
        session.render(node, desired.cluster, secrets)
        times.setdefault(node.role, []).append(time.perf_counter() - begin)
    return times
