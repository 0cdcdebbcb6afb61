"""Runs a step's script without a machine: in a folder, with the programs of a system recorded and not run."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import File

_HARMLESS: tuple[str, ...] = (
    "basename",
    "cat",
    "chmod",
    "cp",
    "cut",
    "dirname",
    "grep",
    "head",
    "ln",
    "ls",
    "mkdir",
    "mv",
    "rm",
    "sed",
)
_HARMLESS += ("sort", "tail", "tee", "touch", "tr", "uname")
"""Programs that do what they say, below the folder."""
_PLACES = re.compile(r"(?<![\w/.}-])/(?=(?:boot|etc|home|lib|opt|root|run|srv|usr|var)\b)")
_PRELUDE = """\
command_not_found_handle() {
  printf '%s\\t' "$@" >>"$RECORD"
  echo >>"$RECORD"
  local word previous=
  for word in "$@"; do
    if [[ $previous == -o || $previous == --output ]]; then
      echo '-----BEGIN PGP PUBLIC KEY BLOCK-----' >"$word"
    fi
    previous=$word
  done
  [[ $1 != rpm && $1 != dpkg* && $1 != pacman && $1 != zypper ]] || return 1
  [[ -z $FAILING || " $* " != *" $FAILING "* ]]
}
"""
"""What a system does not have is recorded. Nothing is installed yet, whoever asks; downloads are keys."""


@dataclass(frozen=True)
class Ran:
    code: int
    said: str
    calls: tuple[tuple[str, ...], ...]
    """Programs of the system that it ran, with their arguments, in order."""

    def calls_with(self, *words: str) -> list[int]:
        """Places in that order of the calls that have all these words."""
        return [place for place, call in enumerate(self.calls) if set(words) <= set(call)]


@dataclass(frozen=True)
class DryMachine:
    """A folder that stands for a machine."""

    folder: Path

    def deliver(self, files: Iterable[File]) -> None:
        for file in files:
            self.write(file.path, file.content)

    def write(self, place: str, content: str | bytes) -> None:
        path = self.folder / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def run(self, script: str, failing: str = "") -> Ran:
        """`failing`: a word; the system's programs that are given it fail."""
        record, programs, here = (self.folder / name for name in (".record", ".programs", ".here"))
        record.write_text("")
        for folder in (programs, here):
            folder.mkdir(parents=True, exist_ok=True)
        for name in _HARMLESS:
            if not (programs / name).exists() and (found := shutil.which(name)):
                (programs / name).symlink_to(found)
        # What is not quoted, and looks like a pattern, becomes the name of this file.
        for name in ("kubeadm", "kubelet", "kubectl"):
            (here / f"{name}-1.36.4-unquoted").touch()
            (here / f"{name}=1.36.4-unquoted").touch()
        ran = subprocess.run(
            [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", _PRELUDE + _PLACES.sub(f"{self.folder}/", script)],
            env={"PATH": str(programs), "RECORD": str(record), "FAILING": failing, "LC_ALL": "C"},
            cwd=here,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        calls = tuple(tuple(line.split("\t")[:-1]) for line in record.read_text().splitlines())
        return Ran(ran.returncode, ran.stderr, calls)
