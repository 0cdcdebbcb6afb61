"""Pieces of one self-contained shell script: files and steps as commands that carry their content with them."""

from __future__ import annotations

import base64
import re
import shlex
import textwrap

from ..contract.boot import File, Step

_END = "END_OF_FILE"
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def file_command(file: File) -> str:
    """A call of the script's `file`. Owners are root: no user of the machine's own exists yet."""
    content = file.content.encode() if isinstance(file.content, str) else file.content
    command = f"file {shlex.quote(file.path)} {file.mode:04o}"
    text = _text(content)
    if text is None:
        encoded = "\n".join(textwrap.wrap(base64.b64encode(content).decode(), 100))
        return f"base64 --decode <<'{_END}' | {command}\n{encoded}\n{_END}"
    return f"{command} <<'{_END}'\n{text}{_END}"


def step_command(plugin: str, step: Step) -> str:
    """A call of the script's `step`."""
    script = step.script.rstrip("\n") + "\n"
    end = _END
    while any(line == end for line in script.splitlines()):
        end += "_"
    return f"step {step.stage} {plugin}/{step.name} {step.timeout} {step.attempts} <<'{end}'\n{script}{end}"


def _text(content: bytes) -> str | None:
    """Content that a here-document can hold exactly; None for what must be encoded."""
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    exact = not text or text.endswith("\n")
    return text if exact and not _CONTROL.search(text) and _END not in text.splitlines() else None
