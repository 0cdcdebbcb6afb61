"""Removing from cloud-init's cache what it keeps of the user-data, which holds secrets.

What must stay is `data/instance-id` and the metadata: without them the next boot would be a first boot. Everything removed
here cloud-init writes anew at the next boot, from what the hypervisor then still holds, so every boot scrubs.
Read in cloud-init 22.4's helpers.py, stages.py and sources/__init__.py; 23.3 added combined-cloud-config.json.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

log = logging.getLogger(__name__)

CACHED = (
    "var/lib/cloud/instances/*/user-data.txt",
    "var/lib/cloud/instances/*/user-data.txt.i",
    "var/lib/cloud/instances/*/cloud-config.txt",
    "var/lib/cloud/instances/*/obj.pkl",  # the pickled data source, user-data included; re-made by the next local stage
    "var/lib/cloud/instances/*/scripts/runcmd",
    "var/lib/cloud/instances/*/scripts/part-*",
    "run/cloud-init/instance-data-sensitive.json",
    "run/cloud-init/combined-cloud-config.json",
)
SEEDS = "var/lib/cloud/seed/*/user-data"
"""A seed folder without the file would be no seed, and the instance another one: its file is emptied."""

_EMPTY_SEED = "#cloud-config\n"
_FINAL_STAGE_LIMIT = 300.0
_POLL = 1.0


class UnfinishedError(Exception):
    """cloud-init is still running: its last stage needs what would be removed."""


def scrub(root: Path, limit: float = _FINAL_STAGE_LIMIT) -> None:
    """Remove the user-data from cloud-init's cache. Idempotent.

    Raises `UnfinishedError` if cloud-init has not finished within `limit` seconds, or `OSError`.
    """
    if not (root / "var/lib/cloud").is_dir():
        return
    _wait_for_final_stage(root, limit)
    for path in (path for pattern in CACHED for path in root.glob(pattern)):
        path.unlink()
    for path in root.glob(SEEDS):
        path.write_text(_EMPTY_SEED)
    log.info("user-data is gone from cloud-init's cache")


def _wait_for_final_stage(root: Path, limit: float) -> None:
    result = root / "run/cloud-init/result.json"
    deadline = time.monotonic() + limit
    while not result.exists():
        if time.monotonic() > deadline:
            raise UnfinishedError(f"cloud-init has not finished within {limit:.0f} s: see cloud-init status --long")
        time.sleep(min(_POLL, limit))
