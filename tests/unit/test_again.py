"""What failed is run once more, by whole files, and few of them."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

ONCE = """
from pathlib import Path

def test_that_makes_a_cluster():
    print("made")

def test_that_fails_the_first_time_alone():
    place = Path(__file__).with_suffix(".failed")
    known = place.exists()
    place.touch()
    assert known
"""
ALWAYS = "def test_that_fails():\n    assert False\n"
NEVER = "def test_that_holds():\n    pass\n"


@pytest.mark.parametrize(
    ("files", "code", "told"),
    [
        ({"test_a.py": ONCE, "test_b.py": NEVER}, 0, "2 passed"),
        ({"test_a.py": ALWAYS, "test_b.py": NEVER}, 1, "1 failed"),
        ({"test_a.py": ONCE, "test_b.py": ONCE, "test_c.py": ONCE}, 1, ""),
        ({"test_a.py": "import nothing_of_that_name\n"}, 1, "1 error"),
        ({"test_a.py": NEVER}, 1, ""),
    ],
    ids=["by accident", "always", "many", "not a test", "nothing"],
)
def test_what_failed_is_run_once_more_by_whole_files(files: Mapping[str, str], code: int, told: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers =\n    night\n")
    subprocess.run([sys.executable, "-m", "pytest", "-q", "--cache-clear"], cwd=tmp_path, capture_output=True, check=False)
    again = [sys.executable, str(TESTS / "again.py")]
    run = subprocess.run(again, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (bool(run.returncode), told in run.stdout) == (bool(code), True), run.stdout + run.stderr
