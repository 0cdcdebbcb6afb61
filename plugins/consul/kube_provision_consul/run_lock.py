"""The lock that two runs for one cluster cannot hold at once: a key held by a session that is renewed until the run ends."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime

from kube_provision_core import BusyError, DiscoveryError

from . import layout
from .client import Client

log = logging.getLogger(__name__)

TTL = 30
"""Seconds without renewal after which Consul frees the lock of a run that was killed; Consul may take twice as long."""
_RENEWAL = TTL / 3
_PATIENCE = 5.0
"""Seconds for a lock that is neither ours nor anybody's: its holder is just letting go."""


@contextmanager
def run_lock(connect: Callable[[], Client], cluster: str) -> Iterator[None]:
    """Hold the lock. Raises `BusyError` naming the holder, else `DiscoveryError`. Losing it is logged and ends nothing.

    What the token must be allowed for the rest of the run is asked for first: half-way through is late. What it lacks only
    for machines that go is logged.
    """
    with closing(connect()) as client:
        client.check_before_run()
        session = client.create_session(f"kube-provision run for {cluster}", TTL)
    over = threading.Event()
    renewal = threading.Thread(target=_renew, args=(connect, session, over), daemon=True)
    try:
        with closing(connect()) as client:
            _acquire(client, cluster, session)
        renewal.start()
        yield
    finally:
        over.set()
        with suppress(DiscoveryError), closing(connect()) as client:  # else the session ends by its own time limit
            client.destroy_session(session)


def _acquire(client: Client, cluster: str, session: str) -> None:
    key, deadline = layout.run_lock_key(cluster), time.monotonic() + _PATIENCE
    while not client.acquire(key, _introduction(), session):
        entry = client.read(key)
        if (entry and entry.locked) or time.monotonic() > deadline:
            holder = entry.text if entry and entry.text else "somebody who left no name"
            raise BusyError(
                f"another run works on cluster {cluster}: {holder}. Wait until it has ended; if it was killed, its lock ends"
                f" within {2 * TTL} s"
            )
        time.sleep(0.2)


def _renew(connect: Callable[[], Client], session: str, over: threading.Event) -> None:
    """By whichever server answers then: the one that was asked first may be gone."""
    while not over.wait(_RENEWAL):
        try:
            with closing(connect()) as client:
                client.renew_session(session)
        except DiscoveryError as error:
            log.warning("the lock of this run may be lost: %s", error)


def _introduction() -> str:
    return f"{_user()}@{socket.gethostname()}, process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name; which of the two it raises depends on the Python
        return str(os.getuid())
