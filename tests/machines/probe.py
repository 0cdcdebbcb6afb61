"""Asks a host's own way to the API servers again and again, or writes there, and notes what came of it.

with Probe(lab.workers["w-prod-1"]) as probe:
    ...
probe.outage(since)
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from machines.nspawn import Host

PERIOD = 0.25
NAME = "probe"
"""Of the ConfigMap that is written."""
PATIENCE = 3.0
"""Seconds for one request; a longer one has failed."""

# A new connection each time, as a kubelet that has lost its own makes one.
PROGRAM = f"""
import http.client, json, ssl, sys, tempfile, time
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

def call(method, path, document=None):
    connection = http.client.HTTPSConnection("localhost", 8443, timeout={PATIENCE}, context=context)
    try:
        connection.request(method, path, document and json.dumps(document), {{"Content-Type": "application/json"}})
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()

def write_and_read(number):
    maps, name = "/api/v1/namespaces/kube-system/configmaps", {NAME!r}
    document = {{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": name}}, "data": {{"number": str(number)}}}}
    status, _ = call("PUT", f"{{maps}}/{{name}}", document)
    if status == 404:
        status, _ = call("POST", maps, document)
    if status not in (200, 201):
        return status
    status, content = call("GET", f"{{maps}}/{{name}}")
    return status if status != 200 or json.loads(content)["data"] == document["data"] else 0

credential = sys.stdin.read()
if credential:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(credential)
        file.flush()
        context.load_cert_chain(file.name)
number = 0
while True:
    begin, status, number = time.time(), 0, number + 1
    try:
        status = write_and_read(number) if credential else call("GET", "/readyz")[0]
    except (OSError, http.client.HTTPException):
        pass
    print(json.dumps([begin, time.time(), status]), flush=True)
    time.sleep({PERIOD})
"""


@dataclass(frozen=True)
class Attempt:
    begin: float
    end: float
    served: bool


class Probe:
    """Runs while the context is open. With the `credential` of an administrator (PEM) it writes, and reads what it wrote."""

    def __init__(self, host: Host, credential: bytes = b"") -> None:
        self.host = host
        self._credential = credential.decode()
        self.attempts: list[Attempt] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        # What enters a host is its program's parent, and dies first.
        command = self.host.entering("setpriv", "--pdeathsig", "KILL", "python3", "-c", PROGRAM)
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdin
        with self._process.stdin:  # not in the list of processes
            self._process.stdin.write(self._credential)
        self._reader.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)
            self._reader.join(10)

    def is_served(self, settled: float) -> bool:
        """Whether every request of the last `settled` seconds was."""
        failed = max((it.end for it in self.attempts if not it.served), default=0.0)
        served = [it.end for it in self.attempts if it.served and it.begin >= failed]
        return bool(served) and served[-1] - served[0] > settled

    def outage(self, since: float) -> float:
        """Seconds from `since` until requests were served again for good; 0 if they always were."""
        failed = max((it.end for it in self.attempts if it.end > since and not it.served), default=0.0)
        return min(it.end for it in self.attempts if it.served and it.begin >= failed) - since if failed else 0.0

    def longest_outage(self, since: float) -> float:
        """Seconds of the longest time from `since` on in which no request was served, and in which one failed."""
        longest, served = 0.0, since
        failed = False
        for attempt in [it for it in self.attempts if it.end > since]:
            if not attempt.served:
                failed = True
                continue
            longest = max(longest, attempt.end - served) if failed else longest
            served, failed = attempt.end, False
        return longest

    def slowest(self, begin: float, end: float) -> float:
        """Seconds that the slowest request took that began in between."""
        return max((it.end - it.begin for it in self.attempts if begin <= it.begin <= end), default=0.0)

    def failures(self, begin: float, end: float) -> int:
        return sum(not it.served for it in self.attempts if begin <= it.begin <= end)

    def _read(self) -> None:
        assert self._process
        assert self._process.stdout
        with self._process.stdout:
            for line in self._process.stdout:
                begin, end, status = json.loads(line)
                self.attempts.append(Attempt(begin, end, status == 200))


def now() -> float:
    """The clock that all hosts share."""
    return time.time()
