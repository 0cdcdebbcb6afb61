"""One version for all, said in every place, and a tag that says it too."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.version import InvalidVersion

from release.projects import ROOT, projects
from release.versions import PINNED, SOURCE, faults, said, set_version, tag_faults


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The files of the repository in which a version stands, and its changes."""
    named = (ROOT / SOURCE, ROOT / "CHANGELOG.md", *(project.file for project in projects()))
    for path in (*named, *(path for pattern in PINNED for path in ROOT.glob(pattern))):
        place = tmp_path / path.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, place)
    return tmp_path


def change(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_what_is_here_can_be_released_together() -> None:
    assert faults() == []


def test_a_version_is_set_everywhere(copy: Path) -> None:
    set_version("1.4.2", copy)
    assert faults(copy) == []
    assert {said(copy), *(project.version for project in projects(copy))} == {"1.4.2"}
    kept = [path for path in copy.rglob("*") if path.is_file() and path.name != "CHANGELOG.md"]
    assert [path for path in kept if ">=0.1,<0.2" in path.read_text()] == []


def test_what_is_no_version_is_set_nowhere(copy: Path) -> None:
    with pytest.raises(InvalidVersion):
        set_version("next", copy)
    assert said(copy) == said()


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("plugins/qemu/pyproject.toml", 'version = "0.1.0"', 'version = "0.1.1"', "version is 0.1.1"),
        ("plugins/qemu/pyproject.toml", "kube-provision>=0.1,<0.2", "kube-provision", "is to be kube-provision>=0.1,<0.2"),
        ("pyproject.toml", '"kube-provision-vsphere>=0.1,<0.2"', '"kube-provision-vsphere"', "extra `vsphere` is to be"),
        ("pyproject.toml", '  "kube-provision-qemu>=0.1,<0.2",\n', "", "extra `all` is to be"),
    ],
)
def test_what_does_not_fit_is_told(copy: Path, file: str, old: str, new: str, fault: str) -> None:
    change(copy / file, old, new)
    assert any(str(copy / file) in line and fault in line for line in faults(copy)), faults(copy)


def test_a_tag_says_the_version_and_its_changes_are_told(copy: Path) -> None:
    change(copy / "CHANGELOG.md", "## Unreleased", f"## {said()} — 2027-01-31")
    assert tag_faults(f"v{said()}", copy) == []
    assert tag_faults("v9.9.9", copy) == [f"TAG=v9.9.9: {SOURCE} says {said()}, whose tag is v{said()}"]
    change(copy / "CHANGELOG.md", f"## {said()}", "## Unreleased")
    assert "no section" in tag_faults(f"v{said()}", copy)[0]


def test_nothing_is_built_for_a_tag_that_does_not_fit(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "release", "build", "v9.9.9", str(tmp_path / "dist")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, (tmp_path / "dist").exists()) == (2, False)
    assert "v9.9.9" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said_first"),
    [
        (["release", "TAG="], "TAG=: "),
        (["release", "TAG=v9.9.9; echo done"], "TAG=v9.9.9; echo done: "),
        (["version", "VERSION="], "Invalid version: ''"),
        (["version", "VERSION=next; echo done"], "Invalid version: 'next; echo done'"),
    ],
)
def test_make_hands_on_what_it_is_given_as_one_word(arguments: list[str], said_first: str) -> None:
    command = ["make", "--silent", f"BIN={Path(sys.executable).parent}", "READY=", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(said_first)
