"""Discovery through a folder that all nodes share: put the calls of your service in place of this.

Runs on nodes too: standard library only, Python 3.9. What the functions of a client promise is told in kube-provision's page
"Discovery on the node". Above all, a call that cannot know its answer raises `UnavailableError`: only "absent" means absent.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPException, HTTPSConnection
from pathlib import Path
from typing import IO, Any, NamedTuple

_PAUSE = 1.0
_PROBE_LIMIT = 3.0


class UnavailableError(Exception):
    """The folder cannot be read or written. Says where and why."""


class BusyError(UnavailableError):
    """The folder is there, but somebody else holds the lock."""

    busy = True


class Versioned(NamedTuple):
    """The record of initialisation, and what says whether it has changed since."""

    content: dict[str, str]
    version: str


@dataclass(frozen=True)
class Share:
    """A cluster's part of the shared folder."""

    root: Path
    cluster: str

    @property
    def folder(self) -> Path:
        """Raises `UnavailableError` where the shared folder is not mounted: that is not the same as an empty one."""
        if not self.root.is_dir():
            raise UnavailableError(f"{self.root} is not there: is the shared folder mounted?")
        return self.root / self.cluster

    def read_record(self) -> Versioned | None:
        path = self.folder / "record.json"
        try:
            text = path.read_text()
            content = json.loads(text)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as problem:
            raise UnavailableError(f"{path} cannot be read: {problem}") from problem
        if not isinstance(content, dict) or content.get("state") not in ("initialising", "initialised"):
            raise UnavailableError(f"{path} is no record")
        return Versioned(content, _hash(text))

    def write_record(self, content: dict[str, str], version: str | None) -> bool:
        """Write the record if it still is the one of that version (None: if there is none); whether it was written."""
        with self.held("record", 60.0, "a writer"):
            found = self.read_record()
            if (found.version if found else None) != version:
                return False
            self._write("record.json", json.dumps(content))
            return True

    def delete_record(self, version: str) -> bool:
        """Delete the record if it still is the one of that version; whether it was deleted."""
        with self.held("record", 60.0, "a writer"):
            found = self.read_record()
            if found is None or found.version != version:
                return False
            (self.folder / "record.json").unlink()
            return True

    @contextlib.contextmanager
    def held(self, name: str, limit: float, holder: str) -> Iterator[None]:
        """A lock that frees itself when its holder dies, for the file server then closes the file.

        Only trouble with the lock is told as such: what is raised under it goes through as it is.
        """
        path = self.folder.parent / ".locks" / f"{self.cluster}-{name}"
        with contextlib.ExitStack() as open_files:
            with _telling(path):
                path.parent.mkdir(exist_ok=True)
                file = open_files.enter_context(path.open("a+"))
                _wait_for_turn(file, path, limit)
                path.write_text(holder)
            yield

    def register(self, name: str, address: str) -> None:
        self._write(f"masters/{name}", address)

    def withdraw(self, name: str) -> None:
        path = self.folder / "masters" / name
        with _telling(path):
            path.unlink(missing_ok=True)

    def masters(self) -> dict[str, str]:
        """Address by name, of all masters that have registered, ready or not."""
        folder = self.folder / "masters"
        with _telling(folder):
            paths = [path for path in folder.iterdir() if path.name[0] != "."] if folder.is_dir() else []
            return {path.name: path.read_text() for path in sorted(paths)}

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all."""
        path = self.folder / name
        part = path.with_name(f".{path.name}-{os.getpid()}")
        with _telling(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(text)
            part.replace(path)


@dataclass(frozen=True)
class Client:
    """What the programs on a node ask."""

    share: Share
    name: str
    server: str
    api_port: int

    def address(self) -> str:
        """The source address of this node's route to the file server."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((self.server, 9))
            except OSError as problem:
                raise UnavailableError(f"there is no route to {self.server}: {problem}") from problem
            return str(probe.getsockname()[0])

    def read_record(self) -> Versioned | None:
        return self.share.read_record()

    def create_record(self, content: dict[str, str]) -> bool:
        return self.share.write_record(content, None)

    def replace_record(self, content: dict[str, str], version: str) -> bool:
        return self.share.write_record(content, version)

    def lock(self, limit: float) -> contextlib.AbstractContextManager[None]:
        return self.share.held("join", limit, self.name)

    def register(self) -> None:
        self.share.register(self.name, self.address())

    def withdraw(self) -> None:
        self.share.withdraw(self.name)

    def masters(self, index: str, wait: float) -> tuple[str, list[str]]:
        deadline = time.monotonic() + wait
        while True:
            known = self.share.masters()
            ready = ready_ones({name: (address, self.api_port) for name, address in known.items()})
            addresses = [known[name] for name in ready]
            new, left = _hash(json.dumps(addresses)), deadline - time.monotonic()
            if not index or new != index or left <= 0:
                return new, addresses
            time.sleep(min(_PAUSE, left))


def connect(node: dict[str, Any], folder: Path) -> Client:
    """The client of a node. `discovery.json`, which the driver delivers, says where the folder is mounted."""
    told = json.loads((folder / "discovery.json").read_text())
    share = Share(Path(told["mount"]), node["cluster"])
    return Client(share, node["name"], told["server"], int(node.get("api_port", 6443)))


def ready_ones(places: Mapping[str, tuple[str, int]]) -> list[str]:
    """Names of the masters whose API server, at that host and port, says that it is ready; all are asked together."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        answers = {name: pool.submit(_is_ready, *place) for name, place in places.items()}
    return [name for name, answer in answers.items() if answer.result()]


@contextlib.contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Trouble with the shared folder is told with the path."""
    try:
        yield
    except OSError as problem:
        raise UnavailableError(f"{path}: {problem.strerror or problem}") from problem


def _wait_for_turn(file: IO[str], path: Path, limit: float) -> None:
    deadline = time.monotonic() + limit
    while not _locked(file.fileno()):
        left = deadline - time.monotonic()
        if left <= 0:
            raise BusyError(f"{path} is held by {path.read_text() or 'somebody'}")
        time.sleep(min(_PAUSE, left))


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_ready(address: str, port: int) -> bool:
    """Nothing is sent and nothing is learnt but "ready", so that the certificate need not be verified."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    connection = HTTPSConnection(address, port, timeout=_PROBE_LIMIT, context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
