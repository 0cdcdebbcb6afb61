"""Clusters of many sizes: wall time beside the ideal, calls of the server, memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from bench.measure import Cost, run, table
from bench.site import ADDRESS_DELAY, CALL_DELAY, CLONE_TIME, open_site
from kube_provision_vsphere.driver import PARALLEL

MASTERS = 3
CALLS_BEFORE = 3
"""Nobody can clone before a greeting, a login and one look at the inventory."""


@dataclass(frozen=True)
class Result:
    machines: int
    cost: Cost
    calls: int

    @property
    def ideal(self) -> float:
        """Seconds of the slowest chain of waits that no program can avoid, with as many threads as the driver has.

        Calls that must precede the first clone, then one clone after the other in each thread, then the last machine's
        address and the look that finds it. No time for computing: neither ours nor the server's.
        """
        turns = ceil(self.machines / PARALLEL)
        return CALLS_BEFORE * CALL_DELAY + turns * (CALL_DELAY + CLONE_TIME) + ADDRESS_DELAY + CALL_DELAY


def measure(sizes: Sequence[int]) -> str:
    head = ("machines", "s", "ideal s", "vs ideal", "processor s", "calls", "aim: calls", "peak MiB")
    return table(head, [_row(provision(machines)) for machines in sizes])


def _row(result: Result) -> tuple[str, ...]:
    n, cost = result.machines, result.cost
    return (
        str(n),
        f"{cost.seconds:.1f}",
        f"{result.ideal:.1f}",
        f"{cost.seconds / result.ideal:.2f}",
        f"{cost.processor_seconds:.1f}",
        str(result.calls),
        f"{1.1 * n + 30:.0f}",
        f"{cost.peak_mib:.0f}",
    )


def provision(machines: int) -> Result:
    with open_site() as site:
        cost = run([*site.command(masters=MASTERS, workers=machines - MASTERS), "--no-wait"], site.environment)
        made, calls = len(site.vcenter.machine_names()), sum(site.vcenter.counts().values())
        if made != machines or site.vcenter.errors():
            raise RuntimeError(f"{made} of {machines} machines were made: {site.vcenter.errors()}")
    return Result(machines, cost, calls)
