"""What running machines tell through VMware, asked as rarely as possible: each question is a program that runs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from kube_provision_core import Baked, NodeStatus

from . import scrubbing, stamp
from .programs import TimeLimitError
from .vmrun import Vmrun, VmrunError

log = logging.getLogger(__name__)

FINISHED_SECONDS = 30.0
"""How long the word of a node that has finished its boot is good."""

SILENCE_SECONDS = 60.0
"""A machine that does not answer holds up every look; for that long it is not asked again."""

LOCAL_ADDRESSES = ("local-ipv4", "local-ipv6")
"""What cloud-init publishes: the addresses of the card that leads into the world. The second is asked without a first."""


@dataclass(frozen=True)
class Heard:
    status: NodeStatus | None = None
    address: str = ""
    baked: Baked | None = None
    until: float = 0.0
    """Not asked again before that."""


class Guests:
    """Thread-safe. Never raises because of a machine that does not answer."""

    def __init__(self) -> None:
        self._heard: dict[Path, Heard] = {}
        self._clean: dict[Path, tuple[int, int]] = {}
        """Of machines that run without secrets: the version of the .vmx for which that was seen."""

    def hear(self, vmrun: Vmrun, file: Path, *, several: bool = False) -> Heard:
        """`several`: it has several cards, and itself alone knows which address is the node's."""
        last = self._heard.get(file, Heard())
        if monotonic() >= last.until:
            last = self._heard[file] = self._ask(vmrun, file, last, () if several else LOCAL_ADDRESSES)
        return last

    def _ask(self, vmrun: Vmrun, file: Path, last: Heard, variables: Iterable[str]) -> Heard:
        try:
            published = stamp.load_published(vmrun.read(file, "guestVar", stamp.STATUS))
            told = (vmrun.read(file, "guestVar", name) for name in variables)
            address = published.address or next(filter(None, told), "")
        except TimeLimitError as problem:
            log.debug("%s", problem)
            return replace(last, until=monotonic() + SILENCE_SECONDS)
        except VmrunError as problem:
            log.debug("%s", problem)
            return last
        status = published.status or last.status
        settled = published.address and status and status.finished
        return Heard(status, address, published.baked or last.baked, monotonic() + FINISHED_SECONDS if settled else 0.0)

    def runs_clean(self, vmrun: Vmrun, file: Path, version: tuple[int, int]) -> bool:
        """Whether what the running machine holds is free of secrets."""
        if self._clean.get(file) == version:
            return True
        try:
            clean = scrubbing.runs_clean(vmrun, file)
        except (TimeLimitError, VmrunError) as problem:
            log.debug("%s", problem)
            return False
        if clean:
            self._clean[file] = version
        return clean

    def forget(self, file: Path) -> None:
        """It does not run: what it told is void."""
        self._heard.pop(file, None)
        self._clean.pop(file, None)
