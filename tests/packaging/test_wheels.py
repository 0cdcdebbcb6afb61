"""The distributions as users get them: wheels, in an environment that has nothing else of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
TRACKED = subprocess.run(
    ["git", "ls-files", "pyproject.toml", "plugins/*/pyproject.toml"], cwd=ROOT, capture_output=True, text=True, check=True
)
PROJECTS = [(ROOT / path).parent for path in TRACKED.stdout.split()]
CONFIG = """\
target: vsphere
os: ubuntu
vcenter_hostname: vcenter.example
vcenter_username: operator
datacenter: dc
cluster: cl
datastore: ds
network: lan
template: ubuntu-24.04
"""


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment["KUBE_PROVISION_VCENTER_PASSWORD"] = "secret"
    return subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def succeed(*command: str | Path, cwd: Path | None = None) -> str:
    done = run(*command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def distribution(project: Path) -> str:
    name: str = tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"]
    return name


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every distribution's wheel, by the distribution's name."""
    built = {}
    for project in PROJECTS:
        folder = tmp_path_factory.mktemp("dist")
        succeed(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, project)
        (built[distribution(project)],) = folder.glob("*.whl")
    return built


def install(folder: Path, *wheels: Path) -> Path:
    """A new environment with these wheels and what they depend on; the path of its `kube-provision`."""
    succeed(sys.executable, "-m", "venv", "--without-pip", folder)
    succeed(
        *(sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "-q"),
        *("-c", ROOT / "constraints.txt", *wheels),
    )
    return folder / "bin/kube-provision"


@pytest.fixture(scope="module")
def program(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("all"), *wheels.values())


@pytest.fixture(scope="module")
def bare_program(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tmp_path_factory.mktemp("bare"), wheels["kube-provision"])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("project", PROJECTS, ids=distribution)
def test_a_wheel_holds_every_file_of_its_package_and_nothing_else(project: Path, wheels: dict[str, Path]) -> None:
    package = next(path.parent for path in project.glob("kube_provision_*/__init__.py"))
    listed = succeed("git", "ls-files", "--cached", "--others", "--exclude-standard", package.name, cwd=project).split()
    sources = {name for name in listed if (project / name).exists()}
    held = {name for name in zipfile.ZipFile(wheels[distribution(project)]).namelist() if ".dist-info/" not in name}
    assert held == sources
    assert f"{package.name}/py.typed" in held


def test_help_is_there(program: Path) -> None:
    assert "kube-provision --config config.yml" in succeed(program, "--help")


def test_every_driver_is_found_and_works(program: Path) -> None:
    found = json.loads(succeed(program, "plugins", "--output", "json"))
    names = {plugin["name"] for plugin in found}
    assert {"vsphere", "ubuntu", "consul"} <= names
    assert [plugin for plugin in found if plugin.get("problem")] == []


def test_a_configuration_is_valid_for_installed_drivers(program: Path, config: Path) -> None:
    succeed(program, "validate", "--config", config, "--name", "prod")


def test_boot_data_is_rendered_from_the_files_in_the_wheels(program: Path, config: Path, tmp_path: Path) -> None:
    arguments = ("--config", config, "--name", "prod", "--consul-ip", "10.0.0.1", "--state", tmp_path / "state")
    succeed(program, "render", *arguments, tmp_path / "boot")
    assert {path.name for path in (tmp_path / "boot").iterdir()} >= {"m-prod-1", "w-prod-3"}


def test_a_driver_that_is_not_installed_is_named_with_its_distribution(bare_program: Path, config: Path) -> None:
    done = run(bare_program, "validate", "--config", config, "--name", "prod")
    assert done.returncode == 2
    assert "kube-provision-vsphere" in done.stderr


def test_the_core_alone_lists_no_drivers(bare_program: Path) -> None:
    assert json.loads(succeed(bare_program, "plugins", "--output", "json")) == []
