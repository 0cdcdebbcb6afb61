"""The cluster's API, as it is asked by who is not a member yet: over HTTPS, at the addresses of masters that are known.

Runs on nodes too: standard library only, Python 3.9. The operator's side asks by it as well.
"""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Callable, NamedTuple

JSON = "application/json"
MERGE = "application/merge-patch+json"

_LIMIT = 9.0
"""Seconds for one call, whoever has to be asked."""
_PATIENCE = 3.0
"""Seconds for one master of several."""
_TELLING = (200, 201, 404, 409)
"""Statuses that answer what was asked; anything else says that it cannot be known."""


class UnavailableError(Exception):
    """The API cannot be asked, or does not know. Says where and why."""


class SilentError(UnavailableError):
    """No master answers."""


class RefusedError(UnavailableError):
    """A master answers, and does not know who asks, or forbids it."""


class EarlyError(UnavailableError):
    """There is no such API yet, as far as this machine has ever seen."""

    early = True


class BusyError(UnavailableError):
    """The API answers, but somebody else holds the lock."""

    busy = True


class Place(NamedTuple):
    """Where a master's API is reached, and the address for which it shows a certificate."""

    address: str
    host: str
    port: int


@dataclass(frozen=True)
class Credential:
    """Whom to trust, and who asks: by a token, or by a file with a client's certificate and its key."""

    ca: str = field(repr=False)
    token: str = field(default="", repr=False)
    certificate: str = ""

    @cached_property
    def context(self) -> ssl.SSLContext:
        """Raises `UnavailableError`. Never the system's authorities: they vouch for anybody."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(cadata=self.ca)
            if self.certificate:
                context.load_cert_chain(self.certificate)
        except (OSError, ValueError) as problem:
            raise UnavailableError(f"no certificate authority to trust, or no certificate to show: {problem}") from problem
        return context


@dataclass(frozen=True)
class Answer:
    status: int
    document: Any
    date: float
    """When it was given, by the server's own clock, in seconds since the epoch."""


class Connection(HTTPSConnection):
    """To a host that shows a certificate for the master's own address."""

    def __init__(self, place: Place, context: ssl.SSLContext, timeout: float) -> None:
        super().__init__(place.host, place.port, timeout=timeout, context=context)
        self._trust, self._name = context, place.address

    def connect(self) -> None:
        plain = socket.create_connection((self.host, self.port), self.timeout)
        try:
            self.sock = self._trust.wrap_socket(plain, server_hostname=self._name)
        except BaseException:
            plain.close()
            raise


class Api:
    """Asks the masters in turn, the one that has answered last before the others."""

    def __init__(self, places: Callable[[], Sequence[Place]], credential: Credential) -> None:
        self._places, self.credential = places, credential
        self._last: Place | None = None

    def ask(self, method: str, path: str, document: Any = None, form: str = JSON) -> Answer:
        """The first answer that tells anything. Raises `SilentError` where nobody answers, `RefusedError` where this machine
        may not ask, else `UnavailableError`.

        A write may have been done although its answer was lost, and be asked once more of the next master.
        """
        deadline, refusals = time.monotonic() + _LIMIT, []
        kind: type[UnavailableError] = SilentError
        for place in self.in_turn():
            left = deadline - time.monotonic()
            if left <= 0:
                break
            try:
                answer = self._ask_one(place, min(left, _PATIENCE), method, path, document, form)
            except (OSError, HTTPException, ValueError) as problem:
                refusals.append(f"{place.address}: {_first_line(problem)}")
                continue
            if answer.status in _TELLING:
                self._last = place
                return answer
            kind = RefusedError if answer.status in (401, 403) else UnavailableError
            refusals.append(f"{place.address} answers {answer.status}: {_message(answer.document)}")
        why = "; ".join(refusals) or "no address of one is known"
        raise kind(f"no master tells of the cluster ({why})")

    def in_turn(self) -> list[Place]:
        """Whom to ask, and in which order."""
        places = list(dict.fromkeys(self._places()))
        return sorted(places, key=lambda place: place != self._last)

    def begin(self, place: Place, path: str, timeout: float) -> Connection:
        """A connection to one master, which was asked and has not answered. Raises `OSError`, `HTTPException`."""
        connection = Connection(place, self.credential.context, timeout)
        connection.request("GET", path, None, self._headers())
        return connection

    def _ask_one(self, place: Place, timeout: float, method: str, path: str, document: Any, form: str) -> Answer:
        connection = Connection(place, self.credential.context, timeout)
        try:
            body = None if document is None else json.dumps(document)
            connection.request(method, path, body, {**self._headers(), "Content-Type": form})
            response = connection.getresponse()
            content = response.read()
            date = parsedate_to_datetime(response.getheader("Date", "")).timestamp()
            return Answer(response.status, json.loads(content or b"null"), date)
        except TypeError as problem:  # how Pythons before 3.10 say that it is no date
            raise ValueError(f"its answer bears no date: {problem}") from problem
        finally:
            connection.close()

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.credential.token}"} if self.credential.token else {}


def unexpected(answer: Answer, what: str) -> UnavailableError:
    """That it tells something, and not what it should."""
    return UnavailableError(f"{what}: the API answers {answer.status}: {_message(answer.document)}")


def read_token(folder: Path, name: str) -> str:
    """A token of this machine's. Raises `OSError`."""
    return (folder / name).read_text().strip()


def _message(document: Any) -> str:
    return str(document.get("message", ""))[:200] if isinstance(document, dict) else ""


def _first_line(problem: BaseException) -> str:
    return str(problem).strip().partition("\n")[0] or type(problem).__name__
