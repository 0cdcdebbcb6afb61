"""A task: files and steps for one machine, and the document that says so."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...contract.boot import BootFragment, File
from ...contract.errors import BootError
from ...contract.machines import Node
from ..merge import merge
from ..relay import name_fragment
from ..step_order import OwnedStep

VERSION = 1
"""Of the document. A machine made by an earlier version of the program knows earlier ones alone."""


@dataclass(frozen=True, slots=True)
class Task:
    """What one machine is to do, whatever machine it is."""

    verb: str
    """What it is done for, in the user's word."""
    files: tuple[File, ...] = field(repr=False)
    steps: tuple[OwnedStep, ...] = field(repr=False)

    @property
    def seconds(self) -> float:
        """The longest that its steps may take, with the pauses between their attempts."""
        return sum((it.step.timeout + 60.0) * it.step.attempts for it in self.steps)

    @property
    def content(self) -> dict[str, Any]:
        return {"files": [*map(_file, self.files)], "steps": [*map(_step, self.steps)]}

    @property
    def digest(self) -> str:
        """SHA-256 of what is done, in hexadecimal digits."""
        return hashlib.sha256(json.dumps(self.content, sort_keys=True).encode()).hexdigest()


def make(verb: str, node: Node, fragments: Mapping[str, BootFragment]) -> Task:
    """Of fragments by the names of whose they are, merged as those of a boot are.

    Raises `BootError` where they contradict each other, give a worker a private key, or ask for what only a boot can do.
    """
    for name, fragment in fragments.items():
        _refuse_more(name, fragment)
    merged = merge([name_fragment(name, fragment) for name, fragment in fragments.items()], node.role)
    scripts = {owned.path for owned in merged.steps}
    return Task(verb, tuple(file for file in merged.files if file.path not in scripts), merged.steps)


def _refuse_more(name: str, fragment: BootFragment) -> None:
    more = ("components", "versions", "packages", "units", "cloud_config")
    if asked := [key for key in more if getattr(fragment, key)]:
        raise BootError(f"{name}: a task is files and steps, and cannot bring {', '.join(asked)}")


def _file(file: File) -> dict[str, Any]:
    content = file.content.encode() if isinstance(file.content, str) else file.content
    return {"path": file.path, "content": base64.b64encode(content).decode(), "mode": file.mode, "owner": file.owner}


def _step(owned: OwnedStep) -> dict[str, Any]:
    step = owned.step
    about = {"stage": step.stage, "plugin": owned.plugin, "name": step.name, "script": str(owned.file.content)}
    return about | {"timeout": step.timeout, "attempts": step.attempts}
