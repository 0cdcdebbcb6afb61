"""Failing on demand."""

from __future__ import annotations

import sys
import time

from machines.standins.places import FAULTS

PAUSE = 5.0


class StandInError(Exception):
    """What a stand-in says before it exits with 1."""


def phase(verb: str, name: str) -> None:
    """Announce a phase as kubeadm does, and fail, hang or pause in it if that was asked for."""
    print(f"[{name}] {verb}", flush=True)
    carry_out(wish(verb, name), name)


def wish(verb: str, name: str) -> str:
    """What was asked for to happen in a phase, which then happens once; empty if nothing was."""
    fault = FAULTS / f"{verb}-{name}"
    if not fault.exists():
        return ""
    asked = fault.read_text().strip()
    fault.unlink()
    return asked


def carry_out(asked: str, name: str) -> None:
    """Raises `StandInError`, but for a pause."""
    if asked == "pause":
        time.sleep(PAUSE)
    elif asked:
        if asked == "hang":
            print(f"[{name}] hanging, as told", file=sys.stderr, flush=True)
            time.sleep(3600)
        raise StandInError(f"error execution phase {name}: told to fail")
