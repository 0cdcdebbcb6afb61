"""The cluster's lock: one master after another initialises, joins, or renews its certificates."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import threading
import time
from typing import Any
from urllib.parse import quote

from .api import Agent, UnavailableError, duration

log = logging.getLogger(__name__)

_TTL = 30.0
"""Seconds without renewal after which Consul frees a lock; it may take twice as long."""
_LOCK_DELAY = "5s"
"""How long Consul keeps a lock closed whose holder has died: it may still be about to write."""
_LOCK_WAIT = 10.0


class BusyError(UnavailableError):
    """Consul answers, but somebody else holds the lock."""

    busy = True


class Lock:
    """A key held by a session that is renewed until the end; one that is not renewed, or whose node dies, frees itself."""

    def __init__(self, agent: Agent, key: str, holder: str) -> None:
        self._agent = agent
        self._path = f"/v1/kv/{quote(key)}"
        self._holder = holder
        self._session = ""
        self._over = threading.Event()

    def acquire(self, limit: float) -> None:
        deadline, holder = time.monotonic() + limit, ""
        session = {"Name": f"kube-provision {self._holder}", "TTL": f"{_TTL:.0f}s", "LockDelay": _LOCK_DELAY}
        self._session = self._agent.ask("PUT", "/v1/session/create", {}, json.dumps(session)).json()["ID"]
        threading.Thread(target=self._renew, daemon=True).start()
        while self._agent.ask("PUT", self._path, {"acquire": self._session}, self._holder).json() is not True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BusyError(f"the lock of the cluster was not free within {limit:.0f} s: {self._told_holder()}")
            holder, before = self._told_holder(), holder
            if holder != before:
                log.info("now: waits for its turn after %s", holder)
            self._wait_for_release(min(left, _LOCK_WAIT))

    def release(self) -> None:
        """Free the lock by ending its session; Consul, if it cannot be told, ends it by itself."""
        self._over.set()
        if self._session:
            with contextlib.suppress(UnavailableError):
                self._agent.ask("PUT", self._path, {"release": self._session}, self._holder)
                self._agent.ask("PUT", f"/v1/session/destroy/{self._session}", {})

    def _renew(self) -> None:
        while not self._over.wait(_TTL / 3):
            try:
                answer = self._agent.ask("PUT", f"/v1/session/renew/{self._session}", {})
            except UnavailableError as problem:
                log.warning("the lock could not be renewed: %s", problem)
                continue
            if answer.status == 404:
                log.warning("the lock of the cluster is lost; what runs goes on")
                return

    def _wait_for_release(self, limit: float) -> None:
        entry, index = self._entry()
        if entry and entry.get("Session"):
            query = {"index": index, "wait": duration(limit)}
            self._agent.ask("GET", self._path, query, wait=limit)
        else:
            time.sleep(min(limit, 1.0))  # free, but closed for the lock's delay

    def _told_holder(self) -> str:
        entry, _ = self._entry()
        return base64.b64decode(entry["Value"] or "").decode(errors="replace") if entry else "somebody who left no name"

    def _entry(self) -> tuple[dict[str, Any] | None, str]:
        answer = self._agent.ask("GET", self._path, {"consistent": ""})
        return (answer.json()[0] if answer.status == 200 else None), answer.index
