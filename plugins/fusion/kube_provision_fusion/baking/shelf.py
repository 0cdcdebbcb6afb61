"""Where baked templates lie: the folder in the configured path is a link to the newest version.

    kube-1.36.vmwarevm -> kube-1.36.20261127T100000Z.vmwarevm
    kube-1.36.20261127T100000Z.vmwarevm/kube-1.36.vmx

A linked clone reads its parent's disks, where they lay when it was made: a version is made where it stays, and stays as long
as it has snapshots, which such clones start from.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from kube_provision_core import Baked, TargetError, replace_link, telling_os_errors

from .. import stamp, vmx
from ..machines import BUNDLE
from . import mark
from .mark import Mark

_TIME = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Shelf:
    """The versions of one template. `file` is its .vmx, as the configuration names it."""

    file: Path

    @property
    def link(self) -> Path:
        return self.file.parent

    @property
    def place(self) -> Path:
        """The folder of all of them."""
        return self.link.parent

    @property
    def name(self) -> str:
        """For people."""
        return self.link.name.removesuffix(BUNDLE)

    def current(self) -> Path | None:
        """The version that the link leads to; None without a link of ours."""
        if not self.link.is_symlink():
            return None
        leads_to = self.place / self.link.readlink()
        return leads_to if leads_to in self._versions() else None

    def baked(self) -> Baked | None:
        """What is in the template; None for none of ours."""
        version = self.current()
        return self.record(version) if version else None

    def record(self, version: Path) -> Baked | None:
        """What is in a version; None for one that is not finished."""
        try:
            return Baked.parse(json.loads(vmx.read(self.vmx(version)).get(stamp.BAKED)))
        except (TargetError, ValueError, RecursionError):
            return None

    def is_somebody_elses(self) -> bool:
        """Something lies there that a link of ours must not replace; a link that leads nowhere may be replaced."""
        return self.link.exists() and self.baked() is None

    def unfinished(self) -> list[tuple[Path, Mark]]:
        """Versions that are not templates yet, the newest last. More than one: the others are what killed runs left."""
        return [(version, made) for version in self._versions() if (made := mark.read(version))]

    def earlier(self) -> list[Path]:
        """Finished versions that the link does not lead to."""
        current = self.current()
        return [
            version
            for version in self._versions()
            if version != current and mark.read(version) is None and self.record(version)
        ]

    def new_version(self) -> Path:
        """A folder that does not exist, and that comes after all that do."""
        now = datetime.now(UTC)
        times = (now + timedelta(seconds=seconds) for seconds in count())
        folders = (self.place / f"{self.name}.{time:{_TIME}}{self._ending}" for time in times)
        return next(folder for folder in folders if not folder.exists())

    def vmx(self, version: Path) -> Path:
        return version / self.file.name

    def publish(self, version: Path) -> None:
        """Let the link lead to this version, in one step. Raises `TargetError`; then it leads to where it led before."""
        with telling_os_errors(f"{self.link}: cannot be made to lead to {version.name}"):
            replace_link(self.link, version.name)

    @property
    def _ending(self) -> str:
        return BUNDLE if self.link.name.endswith(BUNDLE) else ""

    def _versions(self) -> list[Path]:
        """The oldest first."""
        pattern = re.compile(rf"{re.escape(self.name)}\.\d{{8}}T\d{{6}}Z{re.escape(self._ending)}")
        with telling_os_errors(f"{self.place}: cannot be read"):
            try:
                found = [Path(entry) for entry in os.scandir(self.place) if entry.is_dir(follow_symlinks=False)]
            except FileNotFoundError:
                return []
        return sorted(folder for folder in found if pattern.fullmatch(folder.name))
