"""A lock: a Lease of the cluster's API that is renewed until the end. Runs on nodes too: standard library, Python 3.9.

No two clocks are compared: its times are those of the API server that was asked.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
import uuid
from datetime import datetime, timezone
from typing import Any

from .api import Answer, Api, BusyError, UnavailableError, unexpected

log = logging.getLogger(__name__)

LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-provision/leases"
DURATION = 30
"""Seconds without renewal after which anybody may take it."""
_RENEWAL = DURATION / 3
_PAUSE = 1.0
_FORM = "%Y-%m-%dT%H:%M:%S.%fZ"


class Lease:
    """Held once at most by each instance."""

    def __init__(self, api: Api, name: str, holder: str) -> None:
        self._api, self._name = api, name
        self._identity = f"{holder} {uuid.uuid4().hex[:8]}"
        self._over = threading.Event()
        self._held = False

    def acquire(self, limit: float) -> None:
        """Raises `BusyError` with the holder if it is not free within `limit` seconds, else `UnavailableError`."""
        deadline, told = time.monotonic() + limit, ""
        while True:
            found = self._api.ask("GET", f"{LEASES}/{self._name}")
            if self._is_free(found) and self._take(found):
                break
            holder = _holder(found).rpartition(" ")[0] or "another machine"
            left = deadline - time.monotonic()
            if left <= 0:
                raise BusyError(f"the lock of the cluster was not free within {limit:.0f} s: {holder} holds it")
            if holder != told:
                log.info("now: waits for its turn after %s", holder)
                told = holder
            time.sleep(min(left, _PAUSE))
        self._held = True
        threading.Thread(target=self._renew, daemon=True).start()

    def release(self) -> None:
        """Let others have it. Where that cannot be told it frees itself."""
        self._over.set()
        if self._held:
            with contextlib.suppress(UnavailableError):
                found = self._api.ask("GET", f"{LEASES}/{self._name}")
                if found.status == 200 and _holder(found) == self._identity:
                    self._write(found, "")

    def _is_free(self, found: Answer) -> bool:
        if found.status == 404 or _holder(found) in ("", self._identity):
            return True
        try:
            renewed = datetime.strptime(found.document["spec"]["renewTime"], _FORM).replace(tzinfo=timezone.utc)
            return bool(found.date - renewed.timestamp() > found.document["spec"]["leaseDurationSeconds"] + 1)
        except (LookupError, TypeError, ValueError) as problem:
            raise UnavailableError(f"the Lease {self._name} is unreadable: {problem}") from problem

    def _take(self, found: Answer) -> bool:
        if found.status == 404:
            made = self._api.ask("POST", LEASES, self._document(found, self._identity))
            if made.status not in (201, 409):
                raise unexpected(made, f"the Lease {self._name} cannot be made")
            return made.status == 201
        return self._write(found, self._identity)

    def _write(self, found: Answer, holder: str) -> bool:
        """Only while it is the one that was found. Raises `UnavailableError` where it cannot be written at all."""
        answer = self._api.ask("PUT", f"{LEASES}/{self._name}", self._document(found, holder))
        if answer.status not in (200, 404, 409):
            raise unexpected(answer, f"the Lease {self._name} cannot be written")
        return answer.status == 200

    def _document(self, found: Answer, holder: str) -> dict[str, Any]:
        now = datetime.fromtimestamp(found.date, timezone.utc).strftime(_FORM)
        version = {"resourceVersion": found.document["metadata"]["resourceVersion"]} if found.status == 200 else {}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": "kube-provision", **version},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": DURATION, "acquireTime": now, "renewTime": now},
        }

    def _renew(self) -> None:
        while not self._over.wait(_RENEWAL):
            if not self._is_renewed():
                log.warning("the lock of the cluster is lost; what runs goes on")
                return

    def _is_renewed(self) -> bool:
        """Or may be, the next time."""
        try:
            found = self._api.ask("GET", f"{LEASES}/{self._name}")
            if found.status != 200 or _holder(found) != self._identity:
                return False
            self._write(found, self._identity)
        except UnavailableError as problem:
            log.warning("the lock could not be renewed: %s", problem)
        return True


def _holder(found: Answer) -> str:
    """Empty where it was let go."""
    return str((found.document.get("spec") or {}).get("holderIdentity") or "") if found.status == 200 else ""
