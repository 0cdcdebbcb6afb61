"""The distributions as users get them: wheels, in an environment that has nothing else of ours."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest
from servers.wheels import distribution, environment, install, projects, run, succeed, wheel

PROJECTS = projects()
PASSWORD = {"KUBE_PROVISION_VCENTER_PASSWORD": "secret"}
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


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment(tmp_path_factory.mktemp("all"), *map(wheel, PROJECTS)) / "kube-provision"


@pytest.fixture(scope="module")
def bare_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (core,) = (project for project in PROJECTS if distribution(project) == "kube-provision")
    return environment(tmp_path_factory.mktemp("bare"), wheel(core)) / "kube-provision"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config.yml"
    path.write_text(CONFIG)
    return path


@pytest.mark.parametrize("project", PROJECTS, ids=distribution)
def test_a_wheel_holds_every_file_of_its_packages_and_nothing_else(project: Path) -> None:
    packages = [path.name for path in project.glob("kube_provision_*")]
    listed = succeed("git", "ls-files", "--cached", "--others", "--exclude-standard", *packages, cwd=project).split()
    sources = {name for name in listed if (project / name).exists()}
    held = {name for name in zipfile.ZipFile(wheel(project)).namelist() if ".dist-info/" not in name}
    assert held == sources
    assert any(f"{package}/py.typed" in held for package in packages)


def test_help_is_there(program: Path) -> None:
    assert "kube-provision --config config.yml" in succeed(program, "--help")


def test_every_driver_is_found_and_works(program: Path) -> None:
    found = json.loads(succeed(program, "plugins", "--output", "json"))
    names = {plugin["name"] for plugin in found}
    assert {"vsphere", "ubuntu", "consul"} <= names
    assert [plugin for plugin in found if plugin.get("problem")] == []


def test_a_configuration_is_valid_for_installed_drivers(program: Path, config: Path) -> None:
    succeed(program, "validate", "--config", config, "--name", "prod", **PASSWORD)


def test_boot_data_is_rendered_from_the_files_in_the_wheels(program: Path, config: Path, tmp_path: Path) -> None:
    arguments = ("--config", config, "--name", "prod", "--consul-ip", "10.0.0.1", "--state", tmp_path / "state")
    succeed(program, "render", *arguments, tmp_path / "boot", **PASSWORD)
    assert {path.name for path in (tmp_path / "boot").iterdir()} >= {"m-prod-1", "w-prod-3"}


def test_a_driver_that_is_not_installed_is_named_with_its_distribution(bare_program: Path, config: Path) -> None:
    done = run(bare_program, "validate", "--config", config, "--name", "prod")
    assert done.returncode == 2
    assert "kube-provision-vsphere" in done.stderr


def test_the_core_alone_lists_no_drivers(bare_program: Path) -> None:
    assert json.loads(succeed(bare_program, "plugins", "--output", "json")) == []


def test_all_of_ours_bring_their_contract_suites_along(program: Path, tmp_path: Path) -> None:
    """Systems are checked whole, and discovery by masters; of the others what needs no QEMU, no Consul and no hypervisor."""
    install(program.parent, "pytest")
    (tmp_path / "bash").symlink_to(str(shutil.which("bash")))
    plugins = json.loads(succeed(program, "plugins", "--output", "json"))
    for name, kind in ((plugin["name"], plugin["kind"]) for plugin in plugins):
        bare = {} if kind == "os" else {"PATH": str(tmp_path)}
        whole = kind == "os" or name == "kubernetes"
        ran = run(program, "plugins", "check", name, "--output", "json", cwd=tmp_path, **bare)
        results = {it["result"] for it in json.loads(ran.stdout)}
        assert (name, ran.returncode, results) == (name, 0, {"passed"} | (set() if whole else {"not checked"}))
