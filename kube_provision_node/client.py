"""The discovery driver's client, by which a node finds its cluster.

The driver delivers it beside this package, as the module or package `discovery`. The page "Discovery on the node" is for its
authors.
"""

from __future__ import annotations

import importlib
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

MODULE = "discovery"


class Versioned(NamedTuple):
    """The record of initialisation, and what says whether it has changed since."""

    content: dict[str, str]
    version: Any


class Client(Protocol):
    """What the module's `connect(node, folder)` returns.

    Every method is bounded in time. One that cannot know the answer raises the module's `UnavailableError`, nothing else.
    """

    def address(self) -> str:
        """This node's own address, as the others reach it."""

    def read_record(self) -> Versioned | None:
        """The cluster's record, read consistently. None only if there is certainly none."""

    def create_record(self, content: dict[str, str]) -> bool:
        """Write the record if there is none; whether it was written."""

    def replace_record(self, content: dict[str, str], version: Any) -> bool:
        """Write the record if it is still the one of that version; whether it was written."""

    def lock(self, limit: float) -> AbstractContextManager[Any]:
        """Hold the cluster's lock. `UnavailableError` with `busy` and the holder if it is not free within `limit` seconds.

        It frees itself when its holder dies. Losing it ends nothing: what runs goes on, and check-and-set guards the record.
        """

    def register(self) -> None:
        """Make this node known as a master, with a health check of its API server. Idempotent."""

    def withdraw(self) -> None:
        """Take this node off the list of masters; `register` puts it back. Idempotent."""

    def masters(self, index: str, wait: float) -> tuple[str, list[str]]:
        """The next index and the healthy masters' addresses, as soon as they differ from those at `index`.

        After `wait` seconds, or at once for the empty index, as they are.
        """


def connect_client(document: dict[str, Any], folder: Path) -> tuple[Client, type[Exception]]:
    """The client of the node that `document` (node.json) describes, and the exception by which it says that it cannot know.

    `folder` is where the driver's own data lie. Asks nobody.
    """
    module = importlib.import_module(MODULE)
    return module.connect(document, folder), module.UnavailableError
