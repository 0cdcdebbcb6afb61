"""Patches of kubeadm's: files of one folder, each named for what it changes.

https://kubernetes.io/docs/setup/production-environment/tools/kubeadm/control-plane-flags/#patches
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import AfterValidator

from ..contract.local_paths import LocalPath, readable
from ..contract.machines import Role
from .parser import LOADER, line_nested_deeper

TARGETS = (
    *("kube-apiserver", "kube-controller-manager", "kube-scheduler", "etcd"),
    *("kubeletconfiguration", "corednsdeployment"),
)
_NAME = re.compile(rf"({'|'.join(TARGETS)})[^+.]*(\+(?P<kind>strategic|merge|json))?\.(yaml|json)")
_OF_EVERY_NODE = "kubeletconfiguration"
_MOST_BYTES = 64 * 1024
_DEEPEST = 50


def patches(folder: Path | None, role: Role) -> Mapping[str, str]:
    """What machines of a role are given of the folder: texts by name."""
    if folder is None or role is Role.DISCOVERY:
        return {}
    every = role is Role.MASTER
    return {
        path.name: path.read_text(encoding="utf-8")
        for path in _files(folder)
        if every or path.name.startswith(_OF_EVERY_NODE)
    }


def _checked(folder: Path) -> Path:
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}")
    if not _files(folder):
        raise ValueError(f"{folder} holds no patch")
    if faults := [f"{path}: {fault}" for path in _files(folder) for fault in _faults(path)]:
        raise ValueError("; ".join(faults))
    return folder


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _faults(path: Path) -> Iterator[str]:
    """What kubeadm would pass over without a word, or stop at on the machine."""
    named = _NAME.fullmatch(path.name)
    if not named:
        yield f"must be named target[suffix][+strategic|+merge|+json].yaml or .json, its target {', '.join(TARGETS)}"
        return
    data = readable(path).read_bytes()
    if len(data) > _MOST_BYTES:
        yield f"is larger than {_MOST_BYTES // 1024} KiB"
        return
    kind = list if named["kind"] == "json" else dict
    try:
        document = None if line_nested_deeper(data.decode(), _DEEPEST) else yaml.load(data, LOADER)  # noqa: S506 - a safe one
    except UnicodeDecodeError:
        yield "is not UTF-8 text"
        return
    except yaml.YAMLError:
        document = None
    if not isinstance(document, kind):
        yield f"must be YAML or JSON: {'a list of operations' if kind is list else 'a mapping of fields'}"


PatchFolder = Annotated[LocalPath, AfterValidator(_checked)]
