"""Tasks as targets carry them: bytes that a living machine fetches, sealed, and told apart by a digest."""

from __future__ import annotations

from hashlib import sha256


def task_digest(task: bytes) -> str:
    """What `Vm.task` says of a task that waits: the first 16 hex digits of its SHA-256; of none, which is empty, nothing."""
    return sha256(task).hexdigest()[:16] if task else ""
