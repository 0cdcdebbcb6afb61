"""A network of one's own: no address or port of what listens there is anybody else's.

Many servers of tests have ports that cannot be chosen, and a machine runs tests in several processes, of several checkouts.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)
_left: list[int] = []
"""Descriptors of the networks that were left for one's own, the machine's first."""


@contextmanager
def own_network() -> Iterator[None]:
    """The calling thread, and whatever it starts, stands in a network that has a loopback interface and leads nowhere.

    Entered and left by one and the same thread. Raises `OSError` for who may not.
    """
    before = _here()
    try:
        _check(_libc.unshare(_CLONE_NEWNET))
        _left.append(before)
        try:
            _switch_loopback_on()
            yield
        finally:
            _left.remove(before)
            _stand_in(before)
    finally:
        os.close(before)


@contextmanager
def outside() -> Iterator[None]:
    """Back in the machine's network for a while, for what is fetched."""
    if not _left:
        yield
        return
    here = _here()
    try:
        _stand_in(_left[0])
        yield
    finally:
        _stand_in(here)
        os.close(here)


def _here() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


def _stand_in(network: int) -> None:
    _check(_libc.setns(network, _CLONE_NEWNET))


def _switch_loopback_on() -> None:
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"network namespaces are not to be had: {os.strerror(number)}")
