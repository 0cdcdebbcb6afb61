"""vCenter's REST API, which alone knows tags and content libraries."""

from __future__ import annotations

import json
import ssl
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from threading import Lock
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from kube_provision_core import TargetError

from .faults import REFUSED, UnreadableError, VcenterError
from .session import CALL_TIMEOUT, LOGOUT_TIMEOUT, Session

PATH = "/rest/com/vmware/"
"""That of 6.7, which newer ones answer, too."""

SESSION = "cis/session"
SESSION_HEADER = "vmware-api-session-id"

REFUSAL, UNAUTHENTICATED, UNAUTHORIZED = 300, 401, 403
NOT_SERVED = (502, 503, 504)
"""What vCenter's front door says while the service behind it is busy or restarts."""

SIDE_BY_SIDE = 8
"""Calls at once, where each of many things takes one to learn its name."""

KINDS = {UNAUTHENTICATED: "InvalidLogin", UNAUTHORIZED: "NoPermission"}
"""Faults of the other API that mean the same."""


class Rest:
    """Calls the REST API in a session of its own, which begins with the first call and is renewed when it has expired.

    A call without an answer is made again as `session` does it, so every call must be one that can be repeated. Thread-safe.
    """

    def __init__(self, session: Session, username: str, password: str) -> None:
        self._session = session
        self._credentials = f"Basic {b64encode(f'{username}:{password}'.encode()).decode()}"
        self._lock = Lock()
        """Guards what follows."""
        self._pool: urllib3.HTTPSConnectionPool | None = None
        self._key = ""
        """Of the session; empty: there is none."""
        self._ended: TargetError | None = None
        """Why no session is begun any more."""

    def __repr__(self) -> str:
        return "Rest({}:{})".format(*self._session.address)

    def call(
        self, doing: str, method: str, path: str, body: Mapping[str, Any] | None = None, timeout: float = CALL_TIMEOUT
    ) -> Any:
        """The value that is answered, within `timeout` seconds. Raises `TargetError` that begins with `doing`; for vCenter's
        errors `VcenterError`."""
        return self._session.call(doing, lambda: self._call_once(doing, method, path, body, timeout))

    def documents(self, doing: str, kind: str, ids: Sequence[str]) -> list[Mapping[str, Any]]:
        """What there is to know of each of these things of a kind: a call for each, some at once. Raises `TargetError`."""
        with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="read") as pool:
            return list(pool.map(lambda item: self.call(doing, "GET", f"{kind}/id:{item}"), ids))

    def close(self) -> None:
        """End the session, in bounded time, also at a server that is gone. None is begun afterwards."""
        with self._lock:
            self._ended = self._ended or TargetError("the run is over: vCenter is not called any more")
            if self._pool and self._key:
                with suppress(OSError, HTTPException):  # the server ends an idle session itself
                    self._send(self._pool, "DELETE", SESSION, {SESSION_HEADER: self._key}, timeout=LOGOUT_TIMEOUT)
            if self._pool:
                self._pool.close()

    def _call_once(self, doing: str, method: str, path: str, body: Mapping[str, Any] | None, timeout: float) -> Any:
        pool, key = self._begun("")
        answer = self._send(pool, method, path, {SESSION_HEADER: key}, body, timeout)
        if answer.status == UNAUTHENTICATED:
            pool, key = self._begun(key)
            answer = self._send(pool, method, path, {SESSION_HEADER: key}, body, timeout)
        return _value(doing, answer)

    def _begun(self, expired: str) -> tuple[urllib3.HTTPSConnectionPool, str]:
        """The connections and the session, which is begun where there is none, or another than has expired."""
        with self._lock:
            if self._ended:
                raise self._ended
            self._pool = self._pool or connections(self._session.address, self._session.trust(), self._session.threads)
            if self._key == expired:
                self._key = self._log_in(self._pool)
            return self._pool, self._key

    def _log_in(self, pool: urllib3.HTTPSConnectionPool) -> str:
        """Only under the lock. Refused credentials are never tried a second time."""
        doing = "log in to the REST API of {}:{}".format(*self._session.address)
        headers = {"Authorization": self._credentials, "vmware-use-header-authn": "true"}
        answer = self._send(pool, "POST", SESSION, headers)
        if answer.status == UNAUTHENTICATED:
            self._ended = VcenterError(f"{doing}: {REFUSED}", KINDS[UNAUTHENTICATED])
            raise self._ended
        return str(_value(doing, answer))

    def _send(
        self,
        pool: urllib3.HTTPSConnectionPool,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        timeout: float = CALL_TIMEOUT,
    ) -> urllib3.BaseHTTPResponse:
        """Raises what `Session.call` knows for a broken connection."""
        try:
            return pool.urlopen(
                method,
                PATH + path,
                body=None if body is None else json.dumps(body).encode(),
                headers={"Accept": "application/json", "Content-Type": "application/json", **headers},
                timeout=urllib3.Timeout(connect=min(timeout, CALL_TIMEOUT), read=timeout),
                retries=False,
                redirect=False,
            )
        except HTTPError as error:
            if isinstance(error.__cause__, (OSError, HTTPException)):
                raise error.__cause__ from error
            raise ConnectionError(str(error)) from error


def connections(address: tuple[str, int], trust: ssl.SSLContext, most: int = 1) -> urllib3.HTTPSConnectionPool:
    """To whom is trusted. Directly: the environment's proxies are for other traffic."""
    return urllib3.HTTPSConnectionPool(
        *address,
        maxsize=most,
        ssl_context=trust,
        assert_hostname=None if trust.check_hostname else False,  # a pinned certificate may be for other names
    )


def _value(doing: str, answer: urllib3.BaseHTTPResponse) -> Any:
    if answer.status in NOT_SERVED:
        raise UnreadableError(f"it answers {answer.status}")
    try:
        document = json.loads(answer.data) if answer.data else {}
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise UnreadableError(f"its answer, of status {answer.status}, cannot be read")
    if answer.status >= REFUSAL:
        raise _refusal(doing, answer.status, document)
    return document.get("value")


def _refusal(doing: str, status: int, document: Mapping[str, Any]) -> VcenterError:
    name = str(document.get("type") or status).rpartition(".")[2]
    value = document.get("value")
    told = messages(value.get("messages") or () if isinstance(value, dict) else ())
    return VcenterError(f"{doing}: {told} ({name})", KINDS.get(status, name))


def messages(told: Iterable[Mapping[str, Any]]) -> str:
    """vCenter's own words, each once."""
    words = (str(it.get("default_message") or it.get("id") or "") for it in told)
    return "; ".join(filter(None, dict.fromkeys(words))) or "vCenter does not say why"
