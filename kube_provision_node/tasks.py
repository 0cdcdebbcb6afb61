"""What a machine that lives is given to do: a document of files and steps, which it asks its target for.

    receive → check the signature → decrypt → check what it says → keep → do, as boots are done → answer

What is taken is kept until it is done, so that a power cut in its middle goes on. What has been done is never done again,
whoever sends it once more. What nobody has sealed for this machine changes nothing, and nothing is told of it but here.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Callable

from . import sealed
from .evidence import Diagnosis, Probes
from .exclusion import alone
from .journal import log_to_journal
from .kept_files import replace_file
from .publishing import Publisher, Status
from .redaction import Redaction
from .runner import Runner, Step, known, real_probes
from .settings import Places, read_document, read_node

log = logging.getLogger(__name__)

VERSION = 1
"""Of a task's document; one of a later version is refused."""
PAUSE = 10.0
"""Seconds between two looks into the mailbox."""
_RECEIVE_LIMIT = 30.0
_NEVER = (1.0, 0.0)
_LONGEST_ERROR = 400
"""Bytes: the boot's own last word needs room beside it."""


@dataclass(frozen=True)
class Task:
    """What is to be done, as the document says it."""

    id: str
    verb: str
    cluster_id: str
    machine: str
    begin: float
    end: float
    """Between these it may begin; in seconds since the epoch."""
    files: list[dict[str, Any]]
    steps: list[dict[str, Any]]

    @classmethod
    def read(cls, text: bytes | str) -> Task:
        """Raises `SealError` for what is none that this version understands."""
        try:
            said = json.loads(text)
            if said["version"] != VERSION:
                raise sealed.SealError(f"it is of version {said['version']}, and this machine understands {VERSION}")
            return cls(**{name: said[name] for name in cls.__dataclass_fields__})
        except (ValueError, TypeError, KeyError) as problem:
            raise sealed.SealError(f"it is no task: {problem!r}") from problem


@dataclass
class Tasks:
    """Those of one machine."""

    places: Places
    key: str
    """The machine's own; see `sealed`."""
    probes: Probes
    sleep: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.time
    looked_at: dict[str, tuple[float, float]] = field(default_factory=dict)
    """By the digest of what waits: between which times it is worth another look."""

    def look(self) -> None:
        """Take what waits, if there is anything, and do what was taken."""
        if not self.taken.exists():
            self.take()
        if self.taken.exists():
            with alone(self.places):
                self.do()

    # --- taking ----------------------------------------------------------------------------------------------------

    def take(self) -> None:
        waiting, now = self.receive(), self.now()
        digest = hashlib.sha256(waiting).hexdigest()
        begin, end = self.looked_at.get(digest, (now, now))
        if not waiting or not begin <= now <= end:
            return
        try:
            text, task = self.open(waiting)
        except sealed.SealError as problem:
            log.warning("what was received is refused: %s", problem)
            self.looked_at = {digest: _NEVER}
            return
        self.looked_at = {digest: _NEVER if self.is_done(task) else (task.begin, task.end)}
        if self.is_done(task):
            log.info("task %s waits still, and is done", task.id)
        elif task.begin <= now <= task.end:
            log.info("%s is to be done: task %s", task.verb, task.id)
            self.keep(text)
        else:
            self.answer(task, _untimely(task, now))

    def receive(self) -> bytes:
        """What waits on the target; nothing where it cannot be asked."""
        command = ["timeout", "--kill-after=5", str(_RECEIVE_LIMIT), str(self.places.programs / "receive")]
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as program:
            waiting = program.stdout.read(sealed.LARGEST + 1) if program.stdout else b""
            if len(waiting) > sealed.LARGEST:
                program.kill()
        return waiting if program.returncode == 0 or len(waiting) > sealed.LARGEST else b""

    def open(self, waiting: bytes) -> tuple[str, Task]:
        text, signer_ends = sealed.unseal(waiting, self.places.kubernetes / "pki/ca.crt", self.key)
        task, node = Task.read(text), read_node(read_document(self.places))
        if (task.cluster_id, task.machine) != (node.cluster_id, node.name):
            raise sealed.SealError(f"it is for {task.machine}, of another cluster or name than this machine's")
        if task.end > signer_ends:
            raise sealed.SealError("it is to last longer than who has signed it may sign")
        return text.decode(), task

    # --- keeping ---------------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        return self.places.state / "tasks"

    @property
    def taken(self) -> Path:
        """What is being done: its document, the scripts of its steps, and which of them are done."""
        return self.folder / "taken"

    def keep(self, text: str) -> None:
        """All of it or nothing, whenever the power goes."""
        beside = self.folder / "new"
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True, mode=0o700)
        replace_file(beside / "task.json", text)
        beside.rename(self.taken)

    def is_done(self, task: Task) -> bool:
        return (self.folder / "done" / task.id).exists()

    def forget(self, task: Task) -> None:
        """What is done holds secrets that nobody needs any more. Its id stays."""
        marker = self.folder / "done" / task.id
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        os.sync()
        shutil.rmtree(self.taken)

    # --- doing -----------------------------------------------------------------------------------------------------

    def do(self) -> None:
        try:
            task = Task.read((self.taken / "task.json").read_text())
        except (OSError, sealed.SealError) as problem:
            log.warning("what was taken cannot be read, and is forgotten: %s", problem)
            shutil.rmtree(self.taken)
            return
        if not self.is_done(task):
            self.perform(task)
        self.forget(task)

    def perform(self, task: Task) -> None:
        """As a boot: each step until it succeeds or its attempts are used up. Its answer stands before it is forgotten."""
        try:
            for file in task.files:
                _write(self.places.root, file)
            steps = [self.step(number, entry) for number, entry in enumerate(task.steps)]
        except (OSError, ValueError, TypeError, LookupError) as problem:
            self.answer(task, Status("prepare", "failed", f"its files cannot be written: {problem!r}"))
            return
        runner = Runner(self.places, partial(self.answer, task), self.probes, self.sleep, known(self.places), self.taken)
        if runner.walk(steps):
            self.answer(task, Status("finish", "done"))

    def step(self, number: int, entry: dict[str, Any]) -> Step:
        path = self.taken / f"{number:02}.sh"
        replace_file(path, entry["script"])
        about = {name: value for name, value in entry.items() if name != "script"}
        return Step(path=f"/{path.relative_to(self.places.root)}", **about)

    # --- telling ---------------------------------------------------------------------------------------------------

    def answer(self, task: Task, status: Status) -> None:
        """With a code that only this machine and the cluster's authority can make."""
        redact = Redaction(self.places.config, _private_texts(task))
        publisher = Publisher(self.places.programs / "publish", redact, self.places.state)
        said = {**status.known(redact, _LONGEST_ERROR), "id": task.id, "verb": task.verb, **self.result(status)}
        (log.error if status.state == "failed" else log.info)("%s: %s %s", task.verb, status.state, status.error)
        publisher.answer({**said, "mac": code(self.key, said)})

    def result(self, status: Status) -> dict[str, str]:
        """What a step has left, sealed already; told once all is done, since an error takes its room."""
        path = self.taken / "result"
        return {"result": path.read_text()} if status.state == "done" and path.exists() else {}


def code(key: str, said: dict[str, Any]) -> str:
    """That of an answer: HMAC-SHA256 of it as compact JSON with sorted keys."""
    text = json.dumps(said, sort_keys=True, separators=(",", ":"))
    return hmac.new(bytes.fromhex(sealed.derive(key, "answer")), text.encode(), hashlib.sha256).hexdigest()


def _untimely(task: Task, now: float) -> Status:
    """Whoever waits for the answer has sent it just now: then the clock is wrong."""
    window = f"{_time(task.begin)} to {_time(task.end)}"
    cause = f"the task may begin from {window}, and here it is {_time(now)}"
    diagnosis = Diagnosis(
        "wrong-clock", cause, "let it reach time servers (ntp_servers), or correct the hypervisor's clock; then run again"
    )
    return Status("prepare", "failed", cause, diagnosis=diagnosis)


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def _private_texts(task: Task) -> list[str]:
    private = [file["content"] for file in task.files if not file["mode"] & 0o004]
    return [base64.b64decode(content).decode(errors="replace") for content in private]


def _write(root: Path, file: dict[str, Any]) -> None:
    owner = "" if file["owner"] == "root:root" else file["owner"]
    replace_file(root / file["path"].lstrip("/"), base64.b64decode(file["content"]), file["mode"], owner)


def main() -> int:
    log_to_journal()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that a running step ends, too
    places = Places()
    tasks = Tasks(places, (places.config / "machine.key").read_text().strip(), real_probes(places))
    while True:
        try:
            tasks.look()
        except OSError as problem:
            log.warning("%s", problem)
        time.sleep(PAUSE)


if __name__ == "__main__":
    sys.exit(main())
