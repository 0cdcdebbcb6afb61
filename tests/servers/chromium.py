"""A browser to look at pages with, driven over a pipe: it listens nowhere, and reaches nobody."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servers.debian import install
from servers.process import DIES_WITH_PARENT

_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--remote-debugging-pipe",
)


@dataclass
class Tab:
    """One page. `complaints` and `requests` are what the browser has told of it since it was opened."""

    _commands: int
    _answers: int
    _session: str = ""
    _said: bytes = b""
    _count: int = 0
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def open(self, path: Path, *, width: int, height: int = 900, dark: bool = False, scripts: bool = True) -> None:
        """Load the file, and wait until it has."""
        self.complaints.clear()
        self.requests.clear()
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Log", "Runtime", "Network"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Page.navigate", url=path.as_uri())
        self._until("Page.loadEventFired")

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """As a PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        self._count += 1
        session = {"sessionId": self._session} if self._session and not method.startswith("Target.") else {}
        message = {"id": self._count, "method": method, "params": parameters, **session}
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while (said := self._next()).get("id") != self._count:
            self._note(said)
        assert "error" not in said, said
        return dict(said["result"])

    def _until(self, event: str) -> None:
        while (said := self._next()).get("method") != event:
            self._note(said)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._said:
            more = os.read(self._answers, 1 << 20)
            assert more, "the browser has ended"
            self._said += more
        message, _, self._said = self._said.partition(b"\0")
        return dict(json.loads(message))

    def _note(self, said: dict[str, Any]) -> None:
        told = said.get("params", {})
        match said.get("method"):
            case "Log.entryAdded":
                self.complaints.append(told["entry"]["text"])
            case "Runtime.consoleAPICalled" | "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(told))
            case "Network.requestWillBeSent":
                self.requests.append(told["request"]["url"])


@contextmanager
def chromium(home: Path) -> Iterator[Tab]:
    """A browser that keeps what it keeps in `home`, until the context ends."""
    install("chromium")
    program = shutil.which("chromium")
    assert program
    commands, ours = os.pipe()
    answers, theirs = os.pipe()
    # The browser reads from descriptor 3 and writes to 4; a shell's words put them there.
    words = f'exec "$@" 3<&{commands} 4>&{theirs}'
    process = subprocess.Popen(
        [*DIES_WITH_PARENT, "bash", "-c", words, "-", program, *_FLAGS, f"--user-data-dir={home}", "about:blank"],
        pass_fds=(commands, theirs),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)},
        start_new_session=True,
    )
    os.close(commands)
    os.close(theirs)
    try:
        yield Tab(ours, answers)
    finally:
        os.close(ours)
        os.close(answers)
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
