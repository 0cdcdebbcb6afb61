"""Runs contract suites where a plugin is installed, as `kube-provision plugins check` does."""

from __future__ import annotations

import io
import re
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass, field
from pathlib import Path

import pytest

PASSED, FAILED, LEFT_OUT = "passed", "failed", "not checked"


@dataclass(frozen=True)
class Checked:
    """What came of one check."""

    suite: str
    check: str
    result: str
    why: str = ""
    """Why it failed, or was not checked; one line."""


@dataclass
class _Listener:
    """What pytest tells of each check."""

    checked: list[Checked] = field(default_factory=list)
    interrupted: bool = False

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.fail(_place(report.longreprtext) + _last_line(report.longreprtext), report.nodeid)

    def pytest_internalerror(self, excinfo: pytest.ExceptionInfo[BaseException]) -> bool:
        """What no check catches, such as a `SystemExit` at import. True: pytest need not print it."""
        self.fail(f"{excinfo.traceback[-1].path}:{excinfo.traceback[-1].lineno + 1}: {_last_line(excinfo.exconly())}")
        return True

    def pytest_keyboard_interrupt(self, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
        # After errors of collection pytest raises a kind of its own.
        self.interrupted = excinfo.type is KeyboardInterrupt

    def fail(self, why: str, suite: str = "") -> None:
        self.checked.append(Checked(suite, "-", FAILED, why))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            _, *suite, check = report.nodeid.split("::")
            self.checked.append(Checked("".join(suite), check, _RESULTS[report.outcome], _why(report)))


_RESULTS = {"passed": PASSED, "failed": FAILED, "skipped": LEFT_OUT}


def run(modules: Sequence[str]) -> list[Checked]:
    """Run the checks of these modules, in this process; nothing is printed, and no configuration of pytest is read.

    A suite that cannot be run is a failed check. Raises `KeyboardInterrupt` where the user has broken it off.
    """
    listener = _Listener()
    with tempfile.TemporaryDirectory(prefix="kube-provision-check-") as folder, redirect_stderr(io.StringIO()) as said:
        settings = Path(folder, "pytest.ini")
        settings.write_text("[pytest]\n")
        options = ("-c", str(settings), "--rootdir", folder, "--noconftest", "--import-mode=importlib")
        without = ("-p", "no:terminal", "-p", "no:cacheprovider")
        code = pytest.main([*options, *without, "--pyargs", *modules], plugins=[listener])
    if listener.interrupted:
        raise KeyboardInterrupt
    if code not in _RAN and not any(it.result == FAILED for it in listener.checked):
        listener.fail(_last_line(said.getvalue()) or "pytest broke it off")
    return listener.checked


_RAN = (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.NO_TESTS_COLLECTED)
_PLACE = re.compile(r'^(?:E +)?(?:File "(.+)", line|(\S+\.py):)[ ]?(\d+)', re.MULTILINE)
"""A file and a line, as Python and pytest write them."""
_MARK = re.compile(r"^(E +|ERROR: )")
"""What pytest writes before an error of a check, and of its own."""


def _place(text: str) -> str:
    """Where an error came up, as `FILE:LINE: `; empty where that is not told."""
    found = _PLACE.findall(text)
    return f"{found[-1][0] or found[-1][1]}:{found[-1][2]}: " if found else ""


def _why(report: pytest.TestReport) -> str:
    if isinstance(report.longrepr, tuple):
        return report.longrepr[2].removeprefix("Skipped: ")
    crash = getattr(report.longrepr, "reprcrash", None)
    return " ".join(crash.message.splitlines()[0].split()) if crash else _last_line(report.longreprtext)


def _last_line(text: str) -> str:
    return _MARK.sub("", (text.strip().splitlines() or [""])[-1]).strip()
