#!/usr/bin/python3
"""In the way of a host's real runc: containers without limits.

Hosts of tests have cgroup v2 without controllers, and no right to raise what the machine has set for them.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
from pathlib import Path
from typing import Any

REAL = "/usr/sbin/runc"
LIMITS = ("cpu", "memory", "pids", "hugepageLimits", "blockIO", "unified", "network")
SLICE = "kubepods.slice:cri-containerd"


def main() -> None:
    arguments = sys.argv[1:]
    if "update" in arguments:
        return
    if {"create", "run"} & set(arguments):
        path = _bundle(arguments) / "config.json"
        path.write_text(json.dumps(_without_limits(json.loads(path.read_text()))))
    os.execv(REAL, ["runc", *arguments])


def _bundle(arguments: list[str]) -> Path:
    options = dict(itertools.pairwise(arguments))
    return Path(options.get("--bundle") or options["-b"])


def _without_limits(spec: dict[str, Any]) -> dict[str, Any]:
    linux, process = spec["linux"], spec["process"]
    for limit in LIMITS:
        linux.get("resources", {}).pop(limit, None)
    if ":" not in linux.get("cgroupsPath", ""):  # a kubelet without groups for pods names none, which systemd's way needs
        linux["cgroupsPath"] = f"{SLICE}:{Path(linux['cgroupsPath']).name}"
    process.pop("rlimits", None)
    process["oomScoreAdj"] = max(0, process.get("oomScoreAdj", 0))
    return spec


if __name__ == "__main__":
    main()
