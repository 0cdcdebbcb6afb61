"""Which task waits is told by a digest of the bytes, and of nothing else."""

from __future__ import annotations

import hashlib

from kube_provision_core import task_digest


def test_a_task_is_told_by_the_first_half_of_its_digest() -> None:
    assert task_digest(b"sealed") == hashlib.sha256(b"sealed").hexdigest()[:16]


def test_where_no_task_waits_there_is_no_digest() -> None:
    assert task_digest(b"") == ""
