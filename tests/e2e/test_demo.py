"""The demo that the README promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_ends_well_and_shows_a_whole_cluster() -> None:
    command, environment = [sys.executable, "-m", "demo"], os.environ | {"PYTHONPATH": "tests"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "initialised" in done.stdout
    assert len(re.findall("^   [mw]-demo-[123] .* Ready ", done.stdout, re.MULTILINE)) == 6
