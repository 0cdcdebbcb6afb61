"""Kills the process that imports it right after an answer from outside: the one whose number is in CRASH_AFTER.

Python imports it before the program where its folder is on the path. Whatever the program asks goes through the standard
library's `http.client`, by whichever client: vCenter, the Kubernetes API, etcd, Consul. An answer counts as soon as its head
is read, so whoever was asked has done it, and the program does not know yet. CRASH_LOG gets a line for each: where.
"""

from __future__ import annotations

import http.client
import os
import signal
import threading
from itertools import count
from pathlib import Path
from typing import Any

_answers, _alone = count(1), threading.Lock()
_limit, _log = int(os.environ["CRASH_AFTER"]), Path(os.environ["CRASH_LOG"])
_get_response = http.client.HTTPConnection.getresponse


def _counted(connection: http.client.HTTPConnection, *arguments: Any, **more: Any) -> http.client.HTTPResponse:
    response = _get_response(connection, *arguments, **more)
    with _alone, _log.open("a", encoding="utf-8") as log:
        log.write(f"{connection.host}:{connection.port}\n")
        log.flush()
        if next(_answers) == _limit:
            os.kill(os.getpid(), signal.SIGKILL)
    return response


http.client.HTTPConnection.getresponse = _counted
