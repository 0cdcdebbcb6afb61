"""What went wrong, in a program's own words: the last true error among the lines that it has said, whole.

kubeadm and kubectl begin it with `error` and end their output with it, over as many lines as it takes. What they and their
libraries log meanwhile, in klog's form, warns of much and ends nothing; and kubeadm's last lines are advice.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_KLOG = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +\d+ \S+:\d+\] ")
_ADVICE = re.compile(r"To see the stack trace of this error|\[preflight\] If you know what you are doing|\s*\[WARNING ")
_BEGINS = re.compile(r"error:? |Error from server\b")
_FATAL = "[preflight] Some fatal errors occurred:"
_CHECK = re.compile(r"\s*\[ERROR ")


def last_error(lines: Sequence[str]) -> str:
    """In one line; the last line where no program says that it is an error. Empty if nothing was said."""
    said = list(_without_noise(lines)) or list(lines)
    begins = [number for number, line in enumerate(said) if _BEGINS.match(line)]
    whole = said[begins[-1] :] if begins else said[-1:]
    if begins and _bare(whole[0]) in _bare("".join(whole[1:][-1:])):
        return whole[-1]  # a program of ours that quotes it, and says whose word it is
    if whole and not any(_CHECK.match(line) for line in whole):
        whole = [*whole, *_failed_checks(said)]
    return _bare(_joined(whole))


def _bare(text: str) -> str:
    return re.sub(r"^(?:error: )+", "", text)


def _without_noise(lines: Sequence[str]) -> Iterator[str]:
    """klog writes a value of several lines as `err=<`, the lines, and a line that begins with ` >`."""
    inside = False
    for line in lines:
        if inside:
            inside = not line.startswith(" >")
        elif _KLOG.match(line):
            inside = line.endswith("=<")
        elif not _ADVICE.match(line):
            yield line


def _failed_checks(said: Sequence[str]) -> Iterator[str]:
    """What kubeadm's preflight lists before it says that it has failed."""
    if _FATAL in said and "preflight" in said[-1]:
        after = said[len(said) - list(reversed(said)).index(_FATAL) :]
        yield from (line for line in after if not _BEGINS.match(line))


def _joined(lines: Sequence[str]) -> str:
    text = ""
    for line in lines:
        between = "" if not text else " " if text.endswith((":", ",")) else "; "
        text += between + " ".join(line.split())
    return text
