"""Keeps the node's proxy pointed at the healthy masters: one blocking query after another.

    follow     for ever
    prepare    only make sure that nginx has a configuration to start with

An empty answer or none at all keeps the last good list: "no healthy master right now" is no reason to give up the way to
one. The proxy's unit runs `prepare` before nginx starts.
"""

from __future__ import annotations

import argparse
import logging
import random
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from .client import Client, connect_client
from .journal import log_to_journal
from .proxy import Proxy
from .settings import Places, read_document, read_node

log = logging.getLogger(__name__)

WAIT = 60.0
"""Seconds for one query. Its return also repairs a configuration that somebody else has changed."""
_SHORTEST_CYCLE = 1.0
"""A master that flaps must not make nginx reload without end."""
_LONGEST_PAUSE = 5.0


@dataclass
class Follower:
    client: Client
    unavailable: type[Exception]
    proxy: Proxy
    sleep: Callable[[float], None] = time.sleep
    index: str = ""
    failures: int = 0

    def follow(self) -> None:
        while True:
            self.sleep(self.once())

    def once(self) -> float:
        """Ask once and show the answer; the seconds until the next question."""
        try:
            self.index, masters = self.client.masters(self.index, WAIT)
        except self.unavailable as problem:
            self.index = ""
            self.failures += 1
            if self.failures == 1:
                log.warning("the last good list of masters stays: %s", problem)
            return pause_after(self.failures)
        if self.failures:
            log.info("discovery answers again")
        self.failures = 0
        self.proxy.show(masters)
        return _SHORTEST_CYCLE


def pause_after(failures: int) -> float:
    return min(0.25 * 2.0 ** min(failures, 10), _LONGEST_PAUSE) * random.uniform(0.5, 1.0)  # noqa: S311 - no secret


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("command", nargs="?", choices=("follow", "prepare"), default="follow")
    arguments.add_argument("--root", type=Path, default=Path("/"))
    chosen = arguments.parse_args()
    log_to_journal()
    places = Places(chosen.root)
    document = read_document(places)
    node = read_node(document)
    proxy = Proxy(places, node.proxy_port, node.api_port)
    proxy.prepare()
    if chosen.command == "follow":
        Follower(*connect_client(document, places.config), proxy).follow()


if __name__ == "__main__":
    main()
