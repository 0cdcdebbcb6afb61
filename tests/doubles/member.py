"""A machine of a cluster as far as tasks go: a folder with its mailbox, its key and its authority, and a real `openssl`."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from kube_provision_core import BootFragment, Machine, Node, NodeStatus, Role, Stage, Stamp, Step
from kube_provision_core.boot.tasks import Sealed, Task, asking, make, room_in, seal
from kube_provision_core.folder.pki import Pki
from kube_provision_node.probes import Probes
from kube_provision_node.publishing import Publisher, Status
from kube_provision_node.settings import Places
from kube_provision_node.tasks import Tasks

from .memory import World

STAMP = Stamp("prod", "an-id", Role.WORKER, "spec", instance="5f0c")
NODE = Node("w-prod-1", Role.WORKER, 1, Machine(2, 2), STAMP)


class Member:
    """`mailbox` is what waits on the target, `statuses` what the target has heard."""

    def __init__(self, root: Path, pki: Pki, *, name: str = NODE.name, stamp: Stamp = STAMP) -> None:
        self.root, self.pki, self.name, self.stamp = root, pki, name, stamp
        self.mailbox, self._heard = root / "mailbox", root / "heard"
        self.key = pki.machine_key(stamp.cluster_id, name, stamp.instance)
        self.pauses: list[float] = []
        known = {"name": name, "role": stamp.role, "cluster": stamp.cluster, "cluster_id": stamp.cluster_id}
        self.write("etc/kube-provision/node.json", json.dumps(known))
        self.write("etc/kube-provision/machine.key", f"{self.key}\n").chmod(0o600)
        self.write("etc/kubernetes/pki/ca.crt", pki.ca.decode())
        self.program("receive", f"cat {self.mailbox} 2>/dev/null || true")
        self.program("publish", f"cat >>{self._heard}; echo >>{self._heard}")
        Publisher(self.places.programs / "publish", str, self.places.state).publish(Status("finish", "done"))

    @property
    def places(self) -> Places:
        return Places(self.root)

    def write(self, path: str, text: str) -> Path:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def program(self, name: str, script: str) -> None:
        self.write(f"usr/local/lib/kube-provision/{name}", f"#!/bin/bash\n{script}\n").chmod(0o755)

    def step(self, script: str, *, name: str = "one", attempts: int = 1, stage: Stage = Stage.FINISH) -> Step:
        return Step(name, stage, script, timeout=20, attempts=attempts)

    def say(self, word: str) -> str:
        """A script line that leaves a trace."""
        return f"echo {word} >>{self.root}/said\n"

    @property
    def said(self) -> list[str]:
        file = self.root / "said"
        return file.read_text().split() if file.exists() else []

    def task(self, *steps: Step, verb: str = "renew", files: Sequence[Any] = ()) -> Task:
        node = replace(NODE, name=self.name, role=self.stamp.role, stamp=self.stamp)
        return make(verb, node, {"test": BootFragment(files=tuple(files), steps=steps)})

    def give(self, task: Task) -> Sealed:
        sealed = seal(task, self.name, self.stamp, self.pki)
        self.mailbox.write_bytes(sealed.content)
        return sealed

    def tasks(self, **changes: Any) -> Tasks:
        return Tasks(self.places, self.key, Probes(), sleep=self.pauses.append, **changes)

    def start(self) -> subprocess.Popen[bytes]:
        """One look as a process of its own, which can be killed."""
        begin = "import sys, pathlib\nfrom doubles.member import look\nlook(pathlib.Path(sys.argv[1]))"
        return subprocess.Popen([sys.executable, "-c", begin, str(self.root)], cwd=Path(__file__).parents[1])

    @property
    def statuses(self) -> list[NodeStatus]:
        lines = self._heard.read_text().splitlines()
        return [status for line in lines if (status := NodeStatus.parse(line))]

    @property
    def published(self) -> str:
        """What the target has heard last, word for word."""
        return self._heard.read_text().splitlines()[-1]

    @property
    def heard(self) -> NodeStatus:
        return self.statuses[-1]


def moved(folder: Path, limit: int = 4096) -> Callable[..., Task]:
    """`asking` of machines whose roots are folders in it, by their names; `limit`: the target's `answer_limit`."""
    room = room_in(limit)

    def ask(verb: str, node: Node, *words: Any, **more: Any) -> Task:
        root = folder / node.name
        task = asking(verb, node, *words, **more)
        scripts = [
            it.step.script.replace("/usr/local", f"{root}/usr/local").replace(f" {room}\n", f" {room} --root {root}\n")
            for it in task.steps
        ]
        steps = (replace(it, step=replace(it.step, script=script)) for it, script in zip(task.steps, scripts, strict=True))
        return replace(task, steps=tuple(steps))

    return ask


@contextmanager
def at_work(world: World, members: Mapping[str, Member]) -> Iterator[None]:
    """While the context is open they look into their mailboxes, and the target hears what they say."""
    over = threading.Event()

    def live() -> None:
        while not over.wait(0.05):
            for name, member in tuple(members.items()):
                member.mailbox.write_bytes(world.tasks.get(name) or b"")
                member.tasks().look()
                world.statuses[name] = member.heard

    thread = threading.Thread(target=live)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def look(root: Path) -> None:
    places = Places(root)
    Tasks(places, (places.config / "machine.key").read_text().strip(), Probes()).look()
