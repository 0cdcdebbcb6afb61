"""What came of an attempt that failed, remembered until the step succeeds: a runner that starts again still knows it."""

from __future__ import annotations

import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from .evidence import Diagnosis
from .kept_files import replace_file


@dataclass(frozen=True)
class Failure:
    error: str
    said: tuple[str, ...] = ()
    """The last lines of the step, on either stream."""
    diagnosis: Diagnosis | None = None

    @property
    def is_final(self) -> bool:
        return self.diagnosis is not None and self.diagnosis.replace


@dataclass(frozen=True)
class Memory:
    """One file, which a reboot clears. It may quote what a step has said, so nobody but root reads it."""

    path: Path

    def keep(self, step: str, failure: Failure) -> None:
        with contextlib.suppress(OSError):  # without room for it, it is only not remembered
            replace_file(self.path, json.dumps({"step": step, **asdict(failure)}))

    def recall(self, step: str) -> Failure | None:
        """None for a step that has not failed, and for what is unreadable."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            kept = json.loads(self.path.read_text())
            if kept["step"] == step:
                diagnosis = Diagnosis(**kept["diagnosis"]) if kept["diagnosis"] else None
                return Failure(kept["error"], tuple(kept["said"]), diagnosis)
        return None

    def forget(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()
