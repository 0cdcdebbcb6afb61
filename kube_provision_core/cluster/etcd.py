"""The cluster's etcd: who belongs to it, whether it has a quorum, and how a member that is gone for good leaves it.

Spoken to through etcd's own JSON gateway (the same port as its clients'), as of etcd 3.4 and later.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ..contract.errors import ControlPlaneError
from .https_client import OK, Answer, HttpsClient

PROBE_TIMEOUT = 15.0
"""Seconds for one member to say whether it sees a leader. It answers from memory, but a slow network or a starved machine
may keep it from that for ten. Where nobody listens that is known at once, or when connecting has taken too long."""

ELECTIONS = 2
ELECTION_SECONDS = 1.5
"""A dead leader is noticed and replaced within a second or two: so long the quorum is asked for again."""

SETTLING = 20.0
"""Seconds that a removal is tried for: while members have come back less than 5 s ago etcd lets no other one go (its
`HealthInterval` and strict reconfiguration check)."""

PAUSE = 1.0

NOT_FOUND = 404
BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """One member, as the others know it."""

    id: str
    """etcd's own 64-bit number, in decimal, as its JSON writes it."""
    name: str
    """The master's name; empty for a member that was announced and has never started."""
    peer_urls: tuple[str, ...]
    learner: bool = False
    """Does not vote yet."""

    @property
    def hosts(self) -> frozenset[str]:
        """The addresses of its machine."""
        return frozenset(host for url in self.peer_urls if (host := urlsplit(url).hostname))


class EtcdStanding(NamedTuple):
    """What a member knows of itself."""

    member: str
    """Its id."""
    leader: str
    """Id of the member that it follows, itself maybe; empty where it follows none."""


@dataclass(frozen=True, slots=True)
class EtcdQuorum:
    """Which members answer and follow a leader, as far as it can be seen from here."""

    members: tuple[EtcdMember, ...]
    leaders: Mapping[str, str]
    """By the id of each member that answers: the id of the leader that it follows, empty if it has none."""
    silences: Mapping[str, str] = field(default_factory=dict)
    """By the id of each member that does not: why, in words."""

    @property
    def voters(self) -> tuple[EtcdMember, ...]:
        return tuple(member for member in self.members if not member.learner)

    @property
    def needed(self) -> int:
        return len(self.voters) // 2 + 1

    @property
    def following(self) -> tuple[EtcdMember, ...]:
        """The voters that follow a leader; being one counts."""
        return tuple(member for member in self.voters if self.leaders.get(member.id))

    @property
    def holds(self) -> bool:
        return len(self.following) >= self.needed

    @property
    def settled(self) -> bool:
        """The leader that they follow answers, too: it has not just died unnoticed."""
        return {leader for leader in self.leaders.values() if leader} <= set(self.leaders)

    def without(self, member_id: str) -> EtcdQuorum:
        """What it would be once that member has left."""
        members = tuple(member for member in self.members if member.id != member_id)
        return EtcdQuorum(members, self.leaders, self.silences)

    def __str__(self) -> str:
        silent = sorted(map(self._silence, (member for member in self.voters if member.id not in self.leaders)))
        silence = f" (no answer: {', '.join(silent)})" if silent else ""
        return f"{len(self.following)} of {len(self.voters)} voters follow a leader{silence}, {self.needed} are needed"

    def _silence(self, member: EtcdMember) -> str:
        why = self.silences.get(member.id)
        return f"{member.name or 'one that never started'}{f': {why}' if why else ''}"


class Etcd:
    """Calls to the cluster's etcd. Every error is a ControlPlaneError."""

    def __init__(self, client: HttpsClient) -> None:
        self._client = client

    def members(self) -> tuple[EtcdMember, ...]:
        """All members, learners too, as a majority of them knows them."""
        try:
            answer = self._client.call("POST", "/v3/cluster/member/list", {"linearizable": True})
        except ControlPlaneError:
            self.check_quorum()
            raise
        if answer.status == BAD_REQUEST:
            # etcd 3.4 does not know the option.
            return self._local_members()
        return _members(answer)

    def quorum(self) -> EtcdQuorum:
        """Ask every member at once which answer. Works without a quorum, too, from what the first reachable member knows."""
        members = self._local_members()
        with ThreadPoolExecutor(max_workers=max(1, min(16, len(members)))) as pool:
            answers = dict(zip((member.id for member in members), pool.map(self._ask, members), strict=True))
        leaders = {member: answer for member, answer in answers.items() if isinstance(answer, str)}
        silences = {member: str(answer) for member, answer in answers.items() if member not in leaders}
        return EtcdQuorum(members, leaders, silences)

    def check_quorum(self) -> EtcdQuorum:
        """The quorum, where there is one. Raises ControlPlaneError, saying who is missing, unless a majority answers."""
        quorum = self.quorum()
        for _ in range(ELECTIONS):
            if quorum.holds and quorum.settled:
                return quorum
            time.sleep(ELECTION_SECONDS)
            quorum = self.quorum()
        if quorum.holds:
            return quorum
        raise ControlPlaneError(
            f"etcd has lost its quorum: {quorum}. Nothing was changed: start the missing masters again, or restore etcd "
            "from a snapshot"
        )

    def standing_at(self, host: str) -> EtcdStanding:
        """Of the member at this address: who it is and whom it follows, as it says itself. Raises where it does not."""
        answer = self._client.call_at(host, "POST", "/v3/maintenance/status", {}, timeout=PROBE_TIMEOUT)
        if answer.status != OK:
            raise ControlPlaneError(f"{answer.server} answers {answer.status} ({answer.reason})")
        header = answer.document.get("header", {})
        return EtcdStanding(str(header.get("member_id", "")), str(answer.document.get("leader", "")))

    def remove(self, member_id: str) -> None:
        """Remove a member that is gone for good; one that is removed already is fine.

        Without a quorum, or where it would cost the quorum, raises and changes nothing.
        """
        answer = self._ask_for_removal(member_id)
        if answer.status not in (200, NOT_FOUND):
            raise ControlPlaneError(
                f"etcd on {answer.server} does not remove member {member_id} ({answer.status}: {answer.reason})"
            )

    def _ask_for_removal(self, member_id: str) -> Answer:
        """Again and again, as long as etcd has yet to settle.

        Each time asks for the quorum first: a removal that a leader accepts while it loses its majority would be carried out
        later, unasked.
        """
        deadline = time.monotonic() + SETTLING
        while True:
            after = self.check_quorum().without(member_id)
            if not after.holds:
                raise ControlPlaneError(
                    f"without member {member_id} etcd would lose its quorum: {after}. Nothing was changed"
                )
            try:
                return self._client.call("POST", "/v3/cluster/member/remove", {"ID": member_id})
            except ControlPlaneError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(PAUSE)

    def _local_members(self) -> tuple[EtcdMember, ...]:
        return _members(self._client.call("POST", "/v3/cluster/member/list", {}))

    def _ask(self, member: EtcdMember) -> str | ControlPlaneError:
        """Id of the leader that the member follows, empty if it has none; why it does not say so."""
        silence = ControlPlaneError("it has no address")
        for host in sorted(member.hosts):
            try:
                return self.standing_at(host).leader
            except ControlPlaneError as error:
                silence = error
        return silence


def _members(answer: Answer) -> tuple[EtcdMember, ...]:
    if answer.status != 200 or not isinstance(answer.document.get("members"), list):
        raise ControlPlaneError(f"etcd on {answer.server} does not list its members ({answer.status}: {answer.reason})")
    return tuple(_member(member) for member in answer.document["members"])


def _member(document: Mapping[str, Any]) -> EtcdMember:
    """JSON leaves out what is empty or false."""
    return EtcdMember(
        id=str(document.get("ID", "0")),
        name=document.get("name", ""),
        peer_urls=tuple(document.get("peerURLs", ())),
        learner=bool(document.get("isLearner", False)),
    )
