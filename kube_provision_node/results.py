"""Leaves what a step writes for whoever has given the task: packed, and sealed with the machine's own key.

Comes to a machine with a task, and reads what a step writes from its standard input. The machine's answer takes it along and
bears a code over all of it. Where there is no room for all its end is kept, since that says how it has ended.
"""

from __future__ import annotations

import argparse
import base64
import os
import subprocess
import sys
import zlib
from pathlib import Path
from typing import BinaryIO

from . import sealed
from .kept_files import replace_file
from .settings import Places

MOST = 1 << 18
"""Bytes that are looked at: more would not fit on any road, however well it packs."""
_READ = 1 << 16
_AROUND = len("Salted__") + 8
"""Bytes that openssl writes before what it has encrypted, which it makes no longer."""
_LIMIT = 60


def leave(content: bytes, cut: int, room: int, places: Places) -> None:
    """`room`: bytes of its text; `cut`: those that are left out already, before it. Raises `OSError`, or `ValueError` where
    openssl cannot encrypt it, or there is no room for anything."""
    packed = fitted(content, cut, room // 4 * 3 - _AROUND)
    key = (places.config / "machine.key").read_text().strip()
    replace_file(places.state / "tasks/taken/result", base64.b64encode(_encrypted(packed, sealed.derive(key, "result"))))


def fitted(content: bytes, cut: int, room: int) -> bytes:
    """Packed into so many bytes: as much of its end as there is room for, after how many bytes are left out."""
    fits, too_many, kept = -1, len(content) + 1, len(content)
    while too_many - fits > 1 + max(fits, 0) // 32:  # nearly as much is found in a third of the time
        if len(_packed(content, cut, kept)) <= room:
            fits = kept
        else:
            too_many = kept
        kept = (fits + too_many) // 2
    if fits < 0:
        raise ValueError(f"there is no room for an answer in {room} bytes")
    return _packed(content, cut, fits)


def _packed(content: bytes, cut: int, kept: int) -> bytes:
    left_out = len(content) - kept
    return zlib.compress(b"%d\n" % (cut + left_out) + content[left_out:], 9)


def _encrypted(content: bytes, key: str) -> bytes:
    """The key goes through a pipe of its own: whoever lists processes does not see it."""
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        pipe.write(f"{key}\n")
    command = ["openssl", "enc", "-aes-256-ctr", "-pbkdf2", "-salt", "-pass", f"fd:{reading}"]
    try:
        done = subprocess.run(command, input=content, capture_output=True, timeout=_LIMIT, check=False, pass_fds=[reading])
    finally:
        os.close(reading)
    if done.returncode:
        raise ValueError(f"openssl enc: {' '.join(done.stderr.decode(errors='replace').split())[:300]}")
    return done.stdout


def read_end(source: BinaryIO) -> tuple[bytes, int]:
    """The end of what comes from there, at most `MOST` bytes, and how many there were before."""
    end, cut = b"", 0
    while part := source.read(_READ):
        end += part
        cut += max(0, len(end) - MOST)
        end = end[-MOST:]
    return end, cut


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("room", type=int, help="bytes that the answer has for it")
    arguments.add_argument("--root", type=Path, default=Path("/"))
    chosen = arguments.parse_args()
    try:
        leave(*read_end(sys.stdin.buffer), chosen.room, Places(chosen.root))
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        print(f"the result cannot be left: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
