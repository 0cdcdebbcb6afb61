"""Failing on demand."""

from __future__ import annotations

import sys
import time

from machines.standins.places import FAULTS

PAUSE = 5.0


class StandInError(Exception):
    """What a stand-in says before it exits with 1."""


def phase(verb: str, name: str) -> None:
    """Announce a phase, and fail, hang or pause in it if that was asked for."""
    print(f"[{name}] {verb}", flush=True)
    fault = FAULTS / f"{verb}-{name}"
    if not fault.exists():
        return
    wish = fault.read_text().strip()
    fault.unlink()
    if wish == "pause":
        time.sleep(PAUSE)
        return
    if wish == "hang":
        print(f"[{name}] hanging, as told", file=sys.stderr, flush=True)
        time.sleep(3600)
    raise StandInError(f"error execution phase {name}: told to fail")
