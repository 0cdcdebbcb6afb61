"""docs/automation.md: what it has engines run is what they, and their own schemas, take."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from doubles.automation_page import GITHUB, GITLAB, IMAGE, PAGE, SERVICE, TIMER, document, files
from servers.debian import require

from kube_provision_core import __version__

ROOT = PAGE.parents[1]
PROGRAMS = Path(sys.executable).parent


def ran(*command: str | Path) -> None:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("file", "schema"), [(GITHUB, "vendor.github-workflows"), (GITLAB, "vendor.gitlab-ci")])
def test_pipelines_are_what_their_engines_take(file: str, schema: str, tmp_path: Path) -> None:
    path = tmp_path / Path(file).name
    path.write_text(files()[file])
    ran(PROGRAMS / "check-jsonschema", "--builtin-schema", schema, path)


def test_the_workflow_lets_nobody_in(tmp_path: Path) -> None:
    path = tmp_path / ".github/workflows/prod.yml"
    path.parent.mkdir(parents=True)
    path.write_text(files()[GITHUB])
    ran(PROGRAMS / "zizmor", "--offline", "--min-severity", "medium", path)


def test_it_uses_the_actions_that_we_use() -> None:
    ours = "".join(path.read_text() for path in (ROOT / ".github/workflows").glob("*.yml"))
    used = re.findall(r"uses: (\S+)", files()[GITHUB])
    assert len(used) == 5
    assert [action for action in used if action not in ours] == []


def test_its_scripts_are_ones_that_a_shell_reads() -> None:
    for job in document(GITHUB)["jobs"].values():
        for step in job["steps"]:
            ran("bash", "-n", "-c", step.get("run", ""))


def test_systemd_takes_its_units(tmp_path: Path) -> None:
    require("systemd-analyze")
    for name in (SERVICE, TIMER):
        text = files()[name].replace("/opt/kube-provision/bin", str(PROGRAMS))
        (tmp_path / name).write_text(text)
    for name in (SERVICE, TIMER):
        named = tmp_path / name.replace("@", "@prod")
        command = ["systemd-analyze", "verify", "--man=no", str(named)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        mine = [line for line in done.stderr.splitlines() if "kube-provision" in line]
        assert (done.returncode, mine) == (0, []), done.stderr
    (calendar,) = re.findall(r"^OnCalendar=(.*)$", files()[TIMER], re.MULTILINE)
    ran("systemd-analyze", "calendar", calendar)


def test_it_names_the_version_that_this_is() -> None:
    images = [document(GITHUB)["jobs"][job]["container"] for job in ("plan", "apply")] + [
        document(GITLAB)["default"]["image"]
    ]
    assert {image.rpartition(":")[2] for image in images} == {__version__}
    assert f"consul,urls]=={__version__}' s3fs" in PAGE.read_text()


def test_the_image_installs_what_was_fetched_for_it() -> None:
    (fetched,) = re.findall(r"^pip wheel --wheel-dir wheels '([^=]+)==[^']+' (.*)$", PAGE.read_text(), re.MULTILINE)
    (installed,) = re.findall(r"--find-links /wheels '([^']+)' (.*)$", files()[IMAGE], re.MULTILINE)
    assert fetched == installed
