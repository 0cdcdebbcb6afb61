"""What breaks in a cluster of hosts, and how long until every worker is served again."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress

from machines.lab import Lab, Measured, until
from machines.nspawn import Host
from machines.probe import PATIENCE, Probe, now

from kube_provision_core import ControlPlaneError

LIMIT = 60.0
"""Seconds within which every worker must be served again, whatever has died.

The aim is 15. What was measured is told at the end, not asserted, because tests share their machine with others.
"""
QUIET = 5.0
"""Seconds that are watched after everybody is led past what has died."""
MANIFEST = "/etc/kubernetes/manifests/kube-apiserver.yaml"
AWAY = "/root/kube-apiserver.yaml"


@contextmanager
def probing(lab: Lab) -> Iterator[dict[str, Probe]]:
    """Every worker asks for its way to the API servers, all the time."""
    with ExitStack() as stack:
        probes = {name: stack.enter_context(Probe(host)) for name, host in lab.workers.items()}
        until(lambda: all(len(probe.attempts) > 1 for probe in probes.values()), LIMIT, "every worker asks")
        yield probes


def lose(lab: Lab, measured: Measured, act: Callable[[], object], undo: Callable[[], object], *gone: str) -> None:
    """Act, see that every worker is served by the masters that are not gone, and by no other, and undo it."""
    with probing(lab) as probes:
        since = now()
        act()
        try:
            assert_served(lab, probes, since, addresses(lab, *gone), measured)
        finally:
            undo()


def assert_served(lab: Lab, probes: Mapping[str, Probe], since: float, left: set[str], measured: Measured) -> None:
    """Every worker is led to those who are left, and served again; from then on nobody meets who is dead."""
    until(lambda: all(upstream(host) == left for host in lab.workers.values()), LIMIT, "every worker is led past it")
    led = now()
    time.sleep(PATIENCE + QUIET)
    until(lambda: served(probes), LIMIT, "every worker is served again")
    lasted = {name: round(probe.outage(since), 2) for name, probe in probes.items()}
    measured("seconds until served again", lasted)
    measured("seconds until led past it", round(led - since, 2))
    assert max(lasted.values()) <= LIMIT, lasted
    for name, probe in probes.items():
        assert probe.failures(led + PATIENCE, now()) == 0, name
        measured(f"slowest answer on {name} afterwards", round(probe.slowest(led + PATIENCE, now()), 2))


def upstream(host: Host) -> set[str]:
    """Where the host's proxy leads."""
    lines = host.run("cat", "/etc/kube-provision/nginx.conf").splitlines()
    return {line.split()[1].rpartition(":")[0] for line in lines if line.strip().startswith("server ") and ":6443" in line}


def addresses(lab: Lab, *without: str) -> set[str]:
    return {host.address for name, host in lab.masters.items() if name not in without}


def whole(lab: Lab) -> bool:
    """Every worker leads to every master, and the cluster answers and counts all nodes as ready."""
    expected = {name for name in lab.hosts if not name.startswith("consul-")}
    with suppress(ControlPlaneError):
        return all(upstream(host) == addresses(lab) for host in lab.workers.values()) and lab.ready() == expected
    return False


def served(probes: Mapping[str, Probe]) -> bool:
    """Whether everything was, for a while."""
    return all(probe.is_served(QUIET) for probe in probes.values())
