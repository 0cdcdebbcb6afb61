"""Which of several Consul servers is asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing

from kube_provision_core import DiscoveryError

from .access import Right
from .client import Client, LeaderlessError
from .endpoint import BadInputError, ConsulEndpoint

PROBE = 3.0
"""Seconds in which one server of several has to say who leads, and again for that one to answer."""
ELECTION = 20.0
"""Seconds in which servers that have lost their leader choose another one."""
_PAUSE = 0.5


def connect(to: ConsulEndpoint, rights: Sequence[Right] = ()) -> Client:
    """To the first server that answers and knows a leader; a single one is asked nothing more than what one wants to know.

    Where some answer and none leads, an election is waited for. Raises `DiscoveryError`, which says of each why it is of no
    use.
    """
    if len(to.servers) == 1:
        return Client(to, rights)
    deadline = time.monotonic() + ELECTION
    while True:
        refusals: list[DiscoveryError] = []
        for server in to.servers:
            try:
                with closing(Client(to.only(server), timeout=PROBE)) as probe:
                    probe.check_leader()
                return Client(to.only(server), rights)
            except DiscoveryError as error:
                refusals.append(error)
        if time.monotonic() > deadline or not any(isinstance(error, LeaderlessError) for error in refusals):
            kind = BadInputError if all(isinstance(error, BadInputError) for error in refusals) else DiscoveryError
            raise kind("; ".join(map(str, refusals)))
        time.sleep(_PAUSE)
