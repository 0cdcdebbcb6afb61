"""A roll-out as a file that is reviewed, and kept beside the configurations."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kube_provision_core import ConfigError

from . import policy
from .policy import Member, Rollout
from .values import DAY, Approval, Work


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Window(_Document):
    start: str
    end: str
    days: list[str] = Field(default_factory=lambda: list(policy.DAYS))


class _File(_Document):
    """`docs/temporal.md` has the keys."""

    name: str
    verb: str
    options: str = ""
    clusters: list[str]
    config: list[str] = []
    approval: Literal["always", "removals", "never"]
    approval_timeout: float = DAY
    attempts: int = 5
    retry_after: float = 10
    canary: int = 1
    wave: int = 5
    failures: int = 0
    pause: float = 0
    windows: list[_Window] = []
    busy_timeout: float = 3600


def read(file: Path) -> Rollout:
    """What it describes. Raises `ConfigError` with all that is wrong with it, a line each."""
    try:
        said = _File.model_validate(yaml.safe_load(file.read_text("utf-8")))
    except ValidationError as error:
        raise ConfigError(*(f"{file}: {line}" for line in _told(error))) from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{file}: cannot be read: {' '.join(str(error).split())}") from error
    try:
        options = shlex.split(said.options)
    except ValueError as error:
        raise ConfigError(f"{file}: options: {error}") from error
    rollout = _rollout(said, options)
    if wrong := policy.faults(rollout):
        raise ConfigError(*(f"{file}: {line}" for line in wrong))
    return rollout


def _rollout(said: _File, options: list[str]) -> Rollout:
    work = Work(
        "", said.verb, options, said.config, Approval(said.approval), said.approval_timeout, said.attempts, said.retry_after
    )
    members = [Member(cluster, site) for site, _, cluster in (it.rpartition("/") for it in said.clusters)]
    windows = [policy.Window(it.start, it.end, it.days) for it in said.windows]
    return Rollout(said.name, members, work, said.canary, said.wave, said.failures, said.pause, windows, said.busy_timeout)


def _told(error: ValidationError) -> Iterator[str]:
    for it in error.errors(include_url=False, include_input=False):
        where = ": ".join(str(key + 1) if isinstance(key, int) else key for key in it["loc"])
        yield f"{where}: {_meant(it)}" if where else "a document with keys and values is meant"


def _meant(error: Any) -> str:
    match error["type"]:
        case "extra_forbidden":
            keys = (_Window if error["loc"][0] == "windows" else _File).model_fields
            return f"there is no such key; there are {', '.join(keys)}"
        case "missing":
            return "is missing"
        case "string_type":
            return "a text is meant; quotes make one of a number or a time"
    return str(error["msg"])
