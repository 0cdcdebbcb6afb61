"""How a run ended, in words: by its report, or by what ended it before there was one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from ..contract.errors import KubeProvisionError

if TYPE_CHECKING:
    from ..engine.report import Report

_FAILED = 3
_WORDS = {0: "done", 1: "ended by a bug", 2: "refused", _FAILED: "failed", 4: "partly done", 130: "interrupted"}
_LOOKS = {0: "good", 4: "warn", 130: "warn"}


@dataclass(frozen=True)
class Ending:
    exit_code: int
    lines: tuple[str, ...] = ()
    """What ended it, where that is no machine's failure."""
    of_program: bool = False
    """The code is that of a program on a machine: it says what that means by it."""
    retryable: bool = False
    """The same may succeed by itself another time."""

    @property
    def word(self) -> str:
        """A plugin's own exit code is that of something that has failed."""
        return "the program failed" if self.of_program else _WORDS.get(self.exit_code, _WORDS[_FAILED])

    @property
    def look(self) -> str:
        return "bad" if self.of_program else _LOOKS.get(self.exit_code, "bad")


def ending(report: Report | None, error: BaseException | None, returned: int = 0) -> Ending:
    """`returned`: by a program on a machine, which the run was for."""
    match error:
        case None if returned:
            return Ending(returned, (f"what was run on the machine has returned {returned}",), of_program=True)
        case None:
            return _reported(report) if report else Ending(130)
        case KubeProvisionError():
            return Ending(error.exit_code, tuple(str(error).splitlines()), retryable=error.retryable)
        case click.ClickException():
            return Ending(2, (error.format_message(),))
        case KeyboardInterrupt() | click.Abort():
            return Ending(130, () if report else ("interrupted before anything was begun",))
    return Ending(1, (f"{type(error).__name__}: {error}",))


def _reported(report: Report) -> Ending:
    lines = (report.folder_error,) if report.folder_error else ()
    return Ending(report.exit_code, lines, retryable=report.retryable)
