"""What every part of a boot promises, whoever adds it: data that a machine can take, and nothing that it must not."""

from __future__ import annotations

import json
import posixpath
import re
import subprocess
from collections import Counter
from collections.abc import Iterable, Iterator

from .. import BootFragment, File, Packages, Step

_UNFILLED = re.compile(r"\{\{ *[\w.]+ *\}\}|\{% ")
"""Traces of a template that was not filled in: programs have braces of their own."""
_UNFILLED_SCRIPT = re.compile(r"\{\{|\{%|\bUndefined\b|\bNone\b")

_VANISHING = ("/run/", "/var/run/", "/tmp/", "/dev/", "/proc/", "/sys/")  # noqa: S108 - named in order to be refused


def flaws(part: BootFragment | Packages | None) -> list[str]:
    """What keeps a machine from taking it, a line each: beside types, at which everybody looks who asks a plugin."""
    return [*_files(part.files), *_steps(part.steps), *_rest(part)] if part else []


def _files(files: Iterable[File]) -> Iterator[str]:
    paths: dict[str, File] = {}
    for file in files:
        plain = file.path.startswith("/") and not file.path.startswith("//") and posixpath.normpath(file.path) == file.path
        if not plain or file.path == "/":
            yield f"{file.path}: not an absolute and plain path"
        if file.path.startswith(_VANISHING):
            yield f"{file.path}: what lies there is gone at the next boot"
        if paths.setdefault(file.path, file) != file:
            yield f"{file.path}: delivered twice, and not the same"


def _steps(steps: Iterable[Step]) -> Iterator[str]:
    counted = Counter(step.name for step in steps)
    yield from (f"step {name}: there are {count} of that name" for name, count in counted.items() if count > 1)


def _rest(part: BootFragment | Packages) -> Iterator[str]:
    if isinstance(part, Packages):
        return
    for unit in part.units:
        if unit.enable and "[Install]" not in unit.content:
            yield f"{unit.name}: it is to be enabled, and has no section [Install]"
    for component, version in part.versions.items():
        if not version:
            yield f"component {component}: its version is empty"
    try:
        json.dumps(dict(part.cloud_config))
    except (TypeError, ValueError) as problem:
        yield f"cloud_config: {problem}"


def script_flaws(steps: Iterable[Step]) -> list[str]:
    """Scripts that bash cannot read, or that were never filled in."""
    steps = tuple(steps)
    left = [f"step {step.name}: a template was not filled in" for step in steps if _UNFILLED_SCRIPT.search(step.script)]
    return left + [f"step {step.name}: {text}" for step in steps if (text := bash_reads(step.script))]


def bash_reads(script: str) -> str:
    """What bash says of a script that it cannot read; empty where it can."""
    checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, timeout=30, check=False)
    return checked.stderr.strip() if checked.returncode else ""


def open_texts(part: BootFragment | Packages | None) -> Iterator[str]:
    """What everybody on the machine may read, and what the machine's own log may show: all but secret, private files."""
    if part is None:
        return
    yield from (
        text_of(file) for file in part.files if not (file.secret and type(file.mode) is int and not file.mode & 0o077)
    )
    yield from (step.script for step in part.steps)
    if isinstance(part, BootFragment):
        yield from (unit.content for unit in part.units)


def texts(part: BootFragment | Packages | None) -> str:
    """Files and scripts, one after another."""
    return "\n".join([*map(text_of, part.files), *(step.script for step in part.steps)]) if part else ""


def unfilled(part: BootFragment | Packages | None) -> list[str]:
    """What was left of templates in files and scripts."""
    return _UNFILLED.findall(texts(part))


def text_of(file: File) -> str:
    return file.content if isinstance(file.content, str) else file.content.decode(errors="replace")
