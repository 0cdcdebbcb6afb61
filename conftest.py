"""Nothing may be skipped: what a test needs is installed for it, and a test that cannot run has failed.

And nothing may depend on who else tests on this machine, nor on who has begun.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from typing import TypeVar

import pytest
from servers.own_network import outside, own_network

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


@pytest.fixture(autouse=True, scope="session")
def network_of_this_process() -> Iterator[None]:
    """Other workers and checkouts use the same loopback addresses. Only root has a network to itself."""
    with ExitStack() as stack:
        if os.geteuid() == 0:
            stack.enter_context(own_network())
        yield


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> Iterator[None]:
    """A shell has what it runs in the background ignore SIGINT, and so would every program that is started from here."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def network_of_the_machine() -> Iterator[None]:
    """For what looks at the machine's own way out."""
    with outside():
        yield


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _refused((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _refused((yield))


def _refused(report: Report) -> Report:
    if report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped, but nothing may be skipped: {report.longrepr}"
    return report
