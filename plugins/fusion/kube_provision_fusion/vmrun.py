"""The one place that runs vmrun. Paths are absolute, values and errors are read from its standard output alone, every call
has a time limit."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from kube_provision_core import TargetError

from . import programs
from .host import Host

log = logging.getLogger(__name__)

Variable = Literal["guestVar", "runtimeConfig"]
"""`guestVar`: what a running guest publishes, gone at power-off. `runtimeConfig`: a running machine's configuration."""

_ERROR = re.compile(r"^Error: *(.*)", re.MULTILINE)
"""Progress lines of VMware's services may stand before it."""

_HEADING = "Total snapshots:"

_EDITION_REFUSES = "One of the parameters was invalid"
"""All that an edition without clones, or without linked ones, says about them."""


class VmrunError(TargetError):
    """vmrun refused. `reason` is what it said itself."""

    def __init__(self, what: str, reason: str) -> None:
        super().__init__(f"{what}: {reason}")
        self.reason = reason

    @property
    def edition_refuses(self) -> bool:
        return self.reason.startswith(_EDITION_REFUSES)


@dataclass(frozen=True)
class Limits:
    """Seconds for one call."""

    look: float = 20
    """Reading: the list, snapshots, variables."""
    change: float = 60
    """Writing a variable, deleting a machine, switching it off."""
    snapshot: float = 300
    linked_clone: float = 300
    full_clone: float = 3600
    start: float = 180
    shut_down: float = 30
    """A guest may take that long to shut down before its machine is switched off."""
    shut_down_template: float = 180
    """The same where all that it has written must be on its disk."""
    close: float = 30
    """No call: VMware may take that long to close a machine that has stopped; until then it may write its .vmx."""


LIMITS = Limits()


class Vmrun:
    """Thread-safe. Every method raises `VmrunError`, or `TimeLimitError` when the call was given up.

    `holding`: locks that the call keeps until it ends, even where the run that made it is killed.
    """

    def __init__(self, configured: Path | None, host: Host, limits: Limits = LIMITS) -> None:
        self._configured, self._host, self._limits = configured, host, limits

    @cached_property
    def program(self) -> Path:
        """Looked for at the first question. Raises `TargetError` where it is missing."""
        return self._host.find_vmrun(self._configured)

    def running(self) -> frozenset[str]:
        """Normal paths of the .vmx files of all machines that run."""
        return frozenset(map(self._host.normal, self.running_files()))

    def running_files(self) -> list[Path]:
        """The same as vmrun spells them."""
        lines = self._call("list", [], self._limits.look, "list the machines that run").splitlines()
        return [Path(line.strip()) for line in lines if line.strip().startswith("/")]

    def snapshots(self, machine: Path) -> tuple[str, ...]:
        """Names, the oldest first."""
        text = self._call("listSnapshots", [machine], self._limits.look, f"list the snapshots of {machine}")
        return tuple(line.strip() for line in text.splitlines() if line.strip() and not line.startswith(_HEADING))

    def take_snapshot(self, machine: Path, name: str, *, holding: Sequence[int] = ()) -> None:
        what = f"take snapshot {name} of {machine}"
        self._call("snapshot", [machine, name], self._limits.snapshot, what, holding)

    def clone(
        self,
        source: Path,
        destination: Path,
        name: str,
        *,
        linked: bool,
        snapshot: str | None,
        holding: Sequence[int] = (),
    ) -> None:
        kind, limit = ("linked", self._limits.linked_clone) if linked else ("full", self._limits.full_clone)
        options = [f"-snapshot={snapshot}"] if snapshot else []
        arguments: list[Path | str] = [source, destination, kind, *options, f"-cloneName={name}"]
        self._call("clone", arguments, limit, f"make a {kind} clone of {source} for {name}", holding)

    def start(self, machine: Path) -> None:
        self._call("start", [machine, "nogui"], self._limits.start, f"start {machine}")

    def shut_down(self, machine: Path, *, patiently: bool = False) -> None:
        """Ask the guest; it needs its tools to hear that."""
        limit = self._limits.shut_down_template if patiently else self._limits.shut_down
        self._call("stop", [machine, "soft"], limit, f"shut down {machine}")

    def switch_off(self, machine: Path) -> None:
        self._call("stop", [machine, "hard"], self._limits.change, f"switch off {machine}")

    def delete(self, machine: Path, *, holding: Sequence[int] = ()) -> None:
        self._call("deleteVM", [machine], self._limits.change, f"delete {machine}", holding)

    def read(self, machine: Path, kind: Variable, name: str) -> str:
        """A variable of a running machine; empty where it is not set."""
        return self._call("readVariable", [machine, kind, name], self._limits.look, f"read {name} of {machine}").strip()

    def write(self, machine: Path, kind: Variable, name: str, value: str) -> None:
        """`value` stands in the program's arguments, which everybody on this computer can read: no secrets."""
        self._call("writeVariable", [machine, kind, name, value], self._limits.change, f"write {name} of {machine}")

    def _call(self, verb: str, arguments: Sequence[Path | str], limit: float, what: str, holding: Sequence[int] = ()) -> str:
        log.debug("vmrun %s", verb)
        command = [self.program, "-T", self._host.product, verb, *arguments]
        outcome = programs.run(command, limit, f"vmrun could not {what}", holding=holding)
        refused = _ERROR.search(outcome.text)
        if refused or outcome.code != 0:
            said = refused.group(1).strip() if refused else ""
            raise VmrunError(f"vmrun could not {what}", said or outcome.last_words)
        return outcome.text
