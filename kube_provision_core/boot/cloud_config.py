"""Writes the `#cloud-config` document: files, units enabled, and one service started that does the long work."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import yaml

from ..contract.boot import File
from ..contract.errors import BootError
from .cloud_values import override, plain
from .yaml_text import dump

RUNNER_UNIT = "kube-provision.service"


def document(
    hostname: str,
    files: Sequence[File],
    enabled: Sequence[str],
    keys: Mapping[str, Any],
    user: Mapping[str, Any],
    *,
    start: str = RUNNER_UNIT,
) -> str:
    """`keys` are the plugins', `user` is the user's own cloud-config, which wins wherever the boot survives it.

    `start` is the unit that does the long work.

    Owners of files are left out: `write_files` runs before any user exists but root; see `ownership`.
    """
    values: dict[str, Any] = {
        "hostname": hostname,
        "preserve_hostname": False,
        "manage_etc_hosts": "localhost",
        **keys,
        "runcmd": _start(enabled, start),
    }
    _check_user(user, {file.path for file in files})
    override(values, {key: value for key, value in user.items() if key != "write_files"})
    entries = [*map(_entry, files), *(dump([item]) for item in plain(user.get("write_files", [])))]
    return f"#cloud-config\n{dump(values)}write_files:\n{''.join(entries)}"


def hide(text: str, files: Sequence[File], instead: str) -> str:
    """A document of these files with `instead` for the content of the secret ones. Reads no YAML, which would take long."""
    for file in files:
        if file.secret:
            before, found, after = text.partition(_entry(file))
            if not found:
                raise BootError(f"{file.path}: its secret cannot be hidden: the document does not hold it as it was written")
            text = f"{before}{_entry(replace(file, content=instead))}{after}"
    return text


def _start(enabled: Sequence[str], unit: str) -> list[list[str]]:
    """All that cloud-init itself runs; it must not wait for what takes long, or `cloud-init status --wait` never returns."""
    enable = [["systemctl", "enable", *enabled]] if enabled else []
    return [["systemctl", "daemon-reload"], *enable, ["systemctl", "start", "--no-block", unit]]


def _check_user(user: Mapping[str, Any], ours: Collection[str | None]) -> None:
    for key in ("write_files", "runcmd"):
        if not isinstance(user.get(key, []), list):
            raise BootError(f"cloud_init: {key} must be a list; it is added to what the boot itself writes and runs")
    if "hostname" in user:
        raise BootError(
            "cloud_init: hostname cannot be set, machines are found by their names; use host_prefix and the labels"
        )
    for item in user.get("write_files", []):
        path = item.get("path") if isinstance(item, Mapping) else None
        if path in ours:
            raise BootError(f"cloud_init: write_files: {path} is delivered by the boot itself; choose another path")


@lru_cache(maxsize=512)
def _entry(file: File) -> str:
    """One element of `write_files`. Most files are equal on all nodes, so each is written as YAML once."""
    entry: dict[str, Any] = {"path": file.path, "permissions": f"{file.mode:04o}"}
    text = _text(file.content)
    if text is None:
        content = file.content.encode() if isinstance(file.content, str) else file.content
        entry |= {"encoding": "b64", "content": base64.b64encode(content).decode()}
    else:
        entry["content"] = text
    return dump([entry])


def _text(content: str | bytes) -> str | None:
    """Content that YAML can hold as it is; None for what must be encoded."""
    try:
        text = content if isinstance(content, str) else content.decode()
    except UnicodeDecodeError:
        return None
    return None if yaml.reader.Reader.NON_PRINTABLE.search(text) or "\r" in text else text
