"""Who is a node of the cluster, for all parts of a run that want to know at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from .known import Known, Unknown
from .readiness import NOBODY_ASKED, Readiness, node_of

SILENCE = 30.0
"""Seconds for which masters that did not answer are not asked again on behalf of one more machine."""


class Roll:
    """Asks as seldom as it can. Thread-safe."""

    def __init__(self, ask: Callable[[], Known[Readiness] | Unknown]) -> None:
        self._ask = ask
        self._latest: Known[Readiness] | Unknown = NOBODY_ASKED
        self._lock = threading.Lock()
        self._asking: threading.Thread | None = None
        self._silent_until = 0.0

    @property
    def latest(self) -> Known[Readiness] | Unknown:
        return self._latest

    def ask(self) -> Known[Readiness] | Unknown:
        """Ask now."""
        with self._lock:
            self._latest = self._ask()
            return self._latest

    def ask_aside(self) -> Known[Readiness] | Unknown:
        """The latest answer; a newer one is asked for meanwhile, and nobody waits for it."""
        if self._asking is None or not self._asking.is_alive():
            self._asking = threading.Thread(target=self.ask, name="roll", daemon=True)
            self._asking.start()
        return self._latest

    def strike(self, name: str) -> None:
        """Whatever was a node under this name is one no more; only an answer to a later question says that another is."""
        with self._lock:
            if isinstance(self._latest, Known):
                nodes = tuple(node for node in self._latest.value.nodes if node.name != name)
                self._latest = Known(replace(self._latest.value, nodes=nodes))

    def objection(self, name: str) -> str:
        """Why the machine is not known to be a node; empty where it is one."""
        with self._lock:
            if node_of(self._latest, name) is None and time.monotonic() >= self._silent_until:
                self._latest = self._ask()
                self._silent_until = 0.0 if isinstance(self._latest, Known) else time.monotonic() + SILENCE
            if isinstance(self._latest, Unknown):
                return self._latest.reason
            return "" if self._latest.value.node(name) else "the cluster does not count it as a node"
