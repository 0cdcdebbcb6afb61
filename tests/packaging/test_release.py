"""A release, built as its tag builds it."""

from __future__ import annotations

import json
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from release import bill
from release.build import build
from release.projects import CORE, Project, projects
from release.versions import pin, said

PROJECTS = projects()
each_project = pytest.mark.parametrize("project", PROJECTS, ids=lambda project: str(project.name))


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In a folder that has something of an earlier release, and something else."""
    folder = tmp_path_factory.mktemp("release") / "dist"
    (folder / "packages").mkdir(parents=True)
    for name in ("packages/kube_provision-0.0.1.tar.gz", "notes.txt"):
        (folder / name).touch()
    build(PROJECTS, folder)
    return folder


def wheel(dist: Path, project: Project) -> zipfile.ZipFile:
    (path,) = (dist / "packages").glob(f"{project.name.replace('-', '_')}-{said()}-*.whl")
    return zipfile.ZipFile(path)


def read(wheel: zipfile.ZipFile, name: str) -> bytes:
    (found,) = (path for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))
    return wheel.read(found)


def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_bytes(read(wheel, "METADATA"))


def test_it_is_all_of_them_and_nothing_else(dist: Path) -> None:
    stems = {f"{project.name.replace('-', '_')}-{said()}" for project in PROJECTS}
    built = {path.name for path in (dist / "packages").iterdir()}
    assert built == {f"{stem}-py3-none-any.whl" for stem in stems} | {f"{stem}.tar.gz" for stem in stems}
    assert {path.name for path in dist.iterdir()} == {"packages", "sboms", "notes.txt"}, "what is somebody else's is gone"


@each_project
def test_a_wheel_says_the_version_and_wants_its_siblings_at_their_minor(dist: Path, project: Project) -> None:
    told = metadata(wheel(dist, project))
    assert told["Version"] == said()
    wanted = [Requirement(text) for text in told.get_all("Requires-Dist", [])]
    siblings = [it for it in wanted if it.name.startswith(CORE)]
    assert siblings
    assert {it.specifier for it in siblings} == {Requirement(f"x{pin(said())}").specifier}


@each_project
def test_a_wheel_is_whole_with_its_bill_of_materials(dist: Path, project: Project) -> None:
    built = wheel(dist, project)
    text = read(built, f"sboms/{project.name}.cdx.json").decode()
    assert text == (dist / "sboms" / f"{project.name}-{said()}.cdx.json").read_text()
    assert f"sboms/{project.name}.cdx.json" in read(built, "RECORD").decode()
    assert bill.fault(text) == ""


@each_project
def test_a_bill_names_what_a_wheel_wants_and_what_that_wants(dist: Path, project: Project) -> None:
    bill = json.loads((dist / "sboms" / f"{project.name}-{said()}.cdx.json").read_text())
    assert bill["metadata"]["component"]["purl"] == f"pkg:pypi/{project.name}@{said()}"
    named = {component["name"]: component["version"] for component in bill["components"]}
    wanted = [Requirement(text) for text in metadata(wheel(dist, project)).get_all("Requires-Dist", [])]
    plain = [it for it in wanted if it.marker is None or it.marker.evaluate({"extra": ""})]
    assert all(named[it.name.lower()] in it.specifier for it in plain)
    assert ("pydantic-core" in named) == (project.name == CORE or "kube-provision" in named)


def test_what_is_no_bill_is_told() -> None:
    assert "specVersion" in bill.fault('{"bomFormat": "CycloneDX"}')


def test_a_wheel_is_the_same_whenever_it_is_built(dist: Path, tmp_path: Path) -> None:
    project = PROJECTS[-1]
    build([project], tmp_path / "again")
    names = [path.name for path in (tmp_path / "again/packages").glob("*.whl")]
    assert names
    assert all((tmp_path / "again/packages" / it).read_bytes() == (dist / "packages" / it).read_bytes() for it in names)
