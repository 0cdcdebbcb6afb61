"""The lock that two runs for one cluster cannot hold at once: a key held by a session that is renewed until the run ends."""

from __future__ import annotations

import getpass
import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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
    client = connect()
    over = threading.Event()
    try:
        client.check_before_run()
        session = client.create_session(f"kube-provision run for {cluster}", TTL)
        renewal = threading.Thread(target=_renew, args=(connect, session, over), daemon=True)
        try:
            _acquire(client, cluster, session)
            renewal.start()
            yield
        finally:
            over.set()
            with suppress(DiscoveryError):  # the session then ends by its own time limit
                client.destroy_session(session)
    finally:
        client.close()


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
    """With a client of its own: one connection is not for two threads."""
    client = connect()
    try:
        while not over.wait(_RENEWAL):
            try:
                client.renew_session(session)
            except DiscoveryError as error:
                log.warning("the lock of this run may be lost: %s", error)
    finally:
        client.close()


def _introduction() -> str:
    return f"{_user()}@{socket.gethostname()}, process {os.getpid()}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user id without a name; which of the two it raises depends on the Python
        return str(os.getuid())
