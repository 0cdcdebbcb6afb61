"""How a roll-out goes over its clusters: in which waves, at which times, and until how many have failed."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, time, timedelta
from enum import StrEnum

from . import words
from .values import DAY, Work

ROLLOUT = "rollout/"
"""How a roll-out's id begins, and no cluster's does."""

CLUSTER = "{cluster}"
"""In the names of configurations: each cluster's own name."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_MOST_CLUSTERS, _MOST_AT_ONCE = 1000, 100
"""What a payload and a history of Temporal hold with room to spare: a state of so many, and what a wave's clusters tell."""
_LONGEST_BUSY = 4 * 60 * 60
"""Seconds: each look at a cluster that is at work adds to the history."""


@dataclass(frozen=True)
class Window:
    """When clusters may be begun. What has begun goes on."""

    start: str
    """A time and its offset: `22:00+01:00`."""
    end: str
    """`04:30+01:00`: earlier than the start, it is the next day's."""
    days: list[str] = field(default_factory=lambda: list(DAYS))
    """On which it starts, in the offset of its start."""

    def opens_in(self, now: datetime) -> float:
        """Seconds; 0 where it is open."""
        start = time.fromisoformat(self.start)
        midnight = datetime.combine(now.astimezone(start.tzinfo).date(), time(tzinfo=start.tzinfo))
        begins = [midnight + _since_midnight(start) + timedelta(days=day) for day in range(-1, 8)]
        meant = [it for it in begins if DAYS[it.weekday()] in self.days and it + self._length > now]
        return max(0.0, (min(meant) - now).total_seconds())

    @property
    def _length(self) -> timedelta:
        start, end = time.fromisoformat(self.start), time.fromisoformat(self.end)
        length = (_since_midnight(end) - _utc_offset(end)) - (_since_midnight(start) - _utc_offset(start))
        return length % timedelta(days=1) or timedelta(days=1)

    def faults(self) -> Iterator[str]:
        yield from (
            f"{it!r} is no time and its offset, such as 22:00+01:00" for it in (self.start, self.end) if not _fits(it)
        )
        yield from (f"{it!r} is none of {', '.join(DAYS)}" for it in self.days if it not in DAYS)
        if not self.days:
            yield "it opens on no day"


def _fits(text: str) -> bool:
    try:
        return time.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def _since_midnight(at: time) -> timedelta:
    return timedelta(hours=at.hour, minutes=at.minute, seconds=at.second)


def _utc_offset(at: time) -> timedelta:
    return at.utcoffset() or timedelta()


@dataclass(frozen=True)
class Member:
    """A cluster of a roll-out."""

    cluster: str
    task_queue: str


@dataclass(frozen=True)
class SoFar:
    """What a roll-out takes along where its history has become long, between two waves."""

    done: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    paused: bool = False


@dataclass(frozen=True)
class Rollout:
    """A verb for many clusters, in their order."""

    name: str
    members: list[Member]
    work: Work
    """What each is to do. Its `cluster` means nothing; `{cluster}` in the names of its files is each one's own."""
    canary: int = 1
    """How many are done first, of which none may fail."""
    wave: int = 5
    """How many at once, after those. The next ones begin when all of them have ended."""
    failures: int = 0
    """How many may fail without ending it."""
    pause: float = 0
    """Seconds between two waves."""
    windows: list[Window] = field(default_factory=list)
    """None: always."""
    busy_timeout: float = 3600
    """Seconds for a cluster on which something else is at work. Then it counts as failed."""
    so_far: SoFar = field(default_factory=SoFar)
    """Nothing, of one that is begun."""

    @property
    def waves(self) -> list[Sequence[Member]]:
        rest = range(self.canary, len(self.members), self.wave)
        waves = [self.members[: self.canary], *(self.members[i : i + self.wave] for i in rest)]
        return [wave for wave in waves if wave]

    @property
    def digest(self) -> str:
        """SHA-256 of what it says, however far it is."""
        said = json.loads(json.dumps(asdict(replace(self, so_far=SoFar()))), parse_int=float)  # on its way 10 becomes 10.0
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    def work_of(self, member: Member) -> Work:
        config = [it.replace(CLUSTER, member.cluster) for it in self.work.config]
        return replace(self.work, cluster=member.cluster, config=config)

    def is_over(self, failed: Collection[str]) -> bool:
        """Whether nothing more may begin."""
        return len(failed) > self.failures or any(it.cluster in failed for it in self.members[: self.canary])

    def opens_in(self, now: datetime) -> float:
        """Seconds until clusters may be begun; 0 where they may."""
        return min((window.opens_in(now) for window in self.windows), default=0.0)


def faults(rollout: Rollout) -> list[str]:
    """What is wrong with it, a line each."""
    return list(dict.fromkeys([*_of_policy(rollout), *_of_members(rollout)]))


def _of_policy(rollout: Rollout) -> Iterator[str]:
    if words.no_cluster(rollout.name):
        yield f"name: {rollout.name!r} is no name of a roll-out, which is a DNS label"
    if not 0 <= rollout.canary <= _MOST_AT_ONCE:
        yield f"canary: none to {_MOST_AT_ONCE} clusters are meant"
    if not 1 <= rollout.wave <= _MOST_AT_ONCE:
        yield f"wave: 1 to {_MOST_AT_ONCE} clusters are meant"
    if not 0 <= rollout.failures <= _MOST_CLUSTERS:
        yield f"failures: none to {_MOST_CLUSTERS} clusters are meant"
    if not (math.isfinite(rollout.pause) and 0 <= rollout.pause <= 30 * DAY):
        yield "pause: 30 days at most are meant, in seconds"
    if not (math.isfinite(rollout.busy_timeout) and 0 <= rollout.busy_timeout <= _LONGEST_BUSY):
        yield f"busy_timeout: {_LONGEST_BUSY} seconds at most are meant"
    for number, window in enumerate(rollout.windows, 1):
        yield from (f"windows: {number}: {line}" for line in window.faults())


def _of_members(rollout: Rollout) -> Iterator[str]:
    names = [member.cluster for member in rollout.members]
    if not 1 <= len(names) <= _MOST_CLUSTERS:
        yield f"clusters: 1 to {_MOST_CLUSTERS} are meant, and not {len(names)}"
        return
    yield from (f"clusters: {name} stands there twice" for name in dict.fromkeys(names) if names.count(name) > 1)
    for member in rollout.members:
        yield from (f"clusters: SITE/CLUSTER is meant: {line}" for line in words.no_task_queue(member.task_queue))
        yield from words.faults(rollout.work_of(member))


class RolloutPhase(StrEnum):
    """What a roll-out is at."""

    AT_WORK = "at work"
    PAUSED = "paused"
    """Begins no further cluster; those at work go on."""
    BETWEEN = "waits between waves"
    CLOSED = "waits for its window"
    ENDED = "ended"


@dataclass(frozen=True)
class RolloutState:
    """A roll-out, as it is now, or as it ended."""

    name: str
    digest: str
    """Of what it was to do."""
    phase: RolloutPhase
    wave: int = 0
    waves: int = 0
    done: list[str] = field(default_factory=list)
    unfinished: list[str] = field(default_factory=list)
    """Of those: in which nodes were left to another run, by `--until`."""
    running: list[str] = field(default_factory=list)
    busy: list[str] = field(default_factory=list)
    """On which something else is at work, and which are waited for."""
    failed: dict[str, str] = field(default_factory=dict)
    """With the first line of why."""
    left: list[str] = field(default_factory=list)
    """Not begun."""
    until: str = ""
    """When it goes on, where it waits for that."""
