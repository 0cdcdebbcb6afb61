"""What failed beside other tests is run once more: whole files of it, one after another, with the machine to themselves.

Machines that boot beside each other on two shared cores starve each other now and then; a fault of ours does not care who
else is at work. What failed is told all the same, by its first run. Many files that fail are no accident, and fail.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FAILED = Path(".pytest_cache/v/cache/lastfailed")
"""By pytest's own cache plugin, of the run before, which has cleared it."""
MOST_FILES = 2


def main() -> int:
    files = failed(FAILED.read_text()) if FAILED.exists() else []
    if not 0 < len(files) <= MOST_FILES:
        return 1
    print("again, alone:", *files, flush=True)
    return subprocess.run([sys.executable, "-m", "pytest", "-m", "not night", *files], check=False).returncode


def failed(cache: str) -> list[str]:
    """The files of tests, out of what pytest keeps of those that failed: node IDs."""
    return sorted({name.partition("::")[0] for name in json.loads(cache)})


if __name__ == "__main__":
    sys.exit(main())
