"""Moves the leadership of the cluster's etcd away from this master, before its member is ended on purpose.

A leader that ends is missed first, and nobody can write until another one is elected; one that has been asked to go is
followed at once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Callable

from .etcd import Etcd, EtcdError, read_context

log = logging.getLogger(__name__)

LIMIT = 60.0
"""Seconds that it is tried for: a member that has only just come back may not lead yet."""
_PAUSE = 2.0


def move_away(pki: Path, host: str = "127.0.0.1", sleep: Callable[[float], None] = time.sleep) -> None:
    """Nothing where the member at `host` does not lead, or nobody else could. `pki` is kubeadm's folder of certificates.

    Idempotent. Raises `EtcdError` where nobody else leads after `LIMIT` seconds, and `OSError` for `pki`.
    """
    etcd = Etcd(host, read_context(pki))
    deadline = time.monotonic() + LIMIT
    while trouble := _pass_on(etcd):
        if time.monotonic() > deadline:
            raise EtcdError(f"etcd's leadership cannot be moved away from this master: {trouble}")
        sleep(_PAUSE)


def _pass_on(etcd: Etcd) -> str:
    """Why another one does not lead yet; empty where it does, and where nobody else has a vote."""
    own, leader = _leader(etcd)
    members = etcd.ask("cluster/member/list", {})["members"]
    others = [member["ID"] for member in members if member["ID"] != own and not member.get("isLearner")]
    if not others or leader not in (own, ""):
        return ""
    return _ask_to_lead(etcd, others) if leader else "nobody leads just now"


def _leader(etcd: Etcd) -> tuple[str, str]:
    """The ids of this member and of the one that leads; empty where none does."""
    status = etcd.ask("maintenance/status", {})
    leader = status.get("leader", "0")
    return status["header"]["member_id"], "" if leader == "0" else leader


def _ask_to_lead(etcd: Etcd, members: Iterable[str]) -> str:
    """Why none of them does. etcd answers when the one that is asked leads, or after some seconds that it does not."""
    problem = ""
    for member in members:
        problem = _refusal(etcd, member)
        if not problem:
            log.info("etcd's member %s leads now", member)
            break
    return problem


def _refusal(etcd: Etcd, member: str) -> str:
    try:
        etcd.ask("maintenance/transfer-leadership", {"targetID": member})
    except EtcdError as problem:
        return str(problem)
    return ""
