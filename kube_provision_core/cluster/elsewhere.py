"""Whether a cluster lives at addresses where no machine of it is known: by the certificate of whoever listens there."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Collection
from contextlib import suppress
from queue import Empty, SimpleQueue

from ..folder.kubeconfig import API_PORT

LIMIT = 5.0
"""Seconds for all addresses together: most of those of a lost cluster are silent, and every restoration waits for them."""

NO_CHECK_TIME = 0x200000
"""OpenSSL's X509_V_FLAG_NO_CHECK_TIME, which Python does not name."""


def who_answers(addresses: Collection[str], authority: bytes) -> str:
    """One of these addresses where a master of the cluster listens; empty where none does within `LIMIT` seconds.

    A certificate that the cluster's authority has signed is enough, whichever addresses are in it and whether or not it is
    valid now: a machine that was given another address, or whose certificate has ended, runs its pods all the same. Nothing
    more is said there, and no certificate of ours is shown.
    """
    context, heard = _context(authority), SimpleQueue[str]()

    def ask(address: str) -> None:
        heard.put(address if _listens(address, context) else "")

    for address in addresses:
        threading.Thread(target=ask, args=(address,), name="elsewhere", daemon=True).start()
    deadline = time.monotonic() + LIMIT
    with suppress(Empty):
        for _ in addresses:
            if found := heard.get(timeout=max(0.0, deadline - time.monotonic())):
                return found
    return ""


def _context(authority: bytes) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_flags |= NO_CHECK_TIME
    context.load_verify_locations(cadata=authority.decode())
    return context


def _listens(address: str, context: ssl.SSLContext) -> bool:
    """Whether the handshake proves it: trouble of any kind proves nothing."""
    try:
        with socket.create_connection((address, API_PORT), LIMIT) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False
