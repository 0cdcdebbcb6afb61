"""New packages: what they are called, what they hold, what is refused. That they work, tests/packaging says."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from kube_provision_core import ConfigError, __version__, registry
from kube_provision_core.cli.commands.plugins import FAMILIES, KINDS
from kube_provision_core.scaffold import create


def test_every_kind_of_plugin_can_be_made() -> None:
    assert KINDS == registry.KINDS


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_model_is_left_under_its_own_name(kind: str, tmp_path: Path) -> None:
    files = create(kind, "my-cloud", tmp_path / "new")
    for path in files:
        assert "acme" not in (str(path) + (tmp_path / "new" / path).read_text()).lower()


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_is_named(kind: str, tmp_path: Path) -> None:
    files = create(kind, "my-cloud", tmp_path / "new")
    assert set(files) == {path.relative_to(tmp_path / "new") for path in tmp_path.rglob("*") if path.is_file()}
    package = Path("kube_provision_my_cloud")
    assert {Path("pyproject.toml"), Path("README.md"), package / "py.typed", Path("tests/test_my_cloud.py")} <= set(files)


@pytest.mark.parametrize("kind", KINDS)
def test_the_entry_point_bears_the_name_as_users_write_it(kind: str, tmp_path: Path) -> None:
    create(kind, "my-cloud", tmp_path / "new")
    project = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())["project"]
    assert project["name"] == "kube-provision-my-cloud"
    assert project["entry-points"][f"kube_provision.{kind}"] == {"my-cloud": "kube_provision_my_cloud.driver:MyCloud"}


@pytest.mark.parametrize("kind", KINDS)
def test_its_contract_suite_is_found_by_its_name(kind: str, tmp_path: Path) -> None:
    create(kind, "my-cloud", tmp_path / "new")
    project = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["kube_provision.contract"] == {"my-cloud": "kube_provision_my_cloud.contract"}
    assert (tmp_path / "new/kube_provision_my_cloud/contract.py").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_published_and_checked_as_it_is(kind: str, tmp_path: Path) -> None:
    files = create(kind, "my-cloud", tmp_path / "new")
    assert {Path("LICENSE"), Path(".gitignore"), Path(".github/workflows/test.yml")} <= set(files)
    assert "the authors of kube-provision-my-cloud" in (tmp_path / "new/LICENSE").read_text()
    written = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())
    assert (written["project"]["license"], written["project"]["license-files"]) == ("MIT", ["LICENSE"])
    assert written["tool"]["mypy"] == {"strict": True, "packages": ["kube_provision_my_cloud"]}
    steps = yaml.safe_load((tmp_path / "new/.github/workflows/test.yml").read_text())["jobs"]["test"]["steps"]
    assert [step["run"] for step in steps if "run" in step][-2:] == ["mypy", "pytest"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_package_asks_for_this_version_of_the_core(kind: str, tmp_path: Path) -> None:
    create(kind, "my-cloud", tmp_path / "new")
    project = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())["project"]
    (requirement,) = map(Requirement, project["dependencies"])
    assert requirement.name == "kube-provision"
    assert __version__ in requirement.specifier


@pytest.mark.parametrize("family", FAMILIES)
def test_a_system_of_a_family_says_only_what_it_has_of_its_own(family: str, tmp_path: Path) -> None:
    files = create("os", "my-cloud", tmp_path / "new", family)
    assert {path.name for path in files if path.parent == Path("kube_provision_my_cloud")} == {
        "__init__.py",
        "contract.py",
        "driver.py",
        "py.typed",
    }
    for path in files:
        assert "acme" not in (str(path) + (tmp_path / "new" / path).read_text()).lower()
    code = (tmp_path / "new/kube_provision_my_cloud/driver.py").read_text()
    assert f"class MyCloud({family.capitalize()}System):" in code
    assert len(code.splitlines()) < 25


def test_only_an_operating_system_has_a_family(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--family is of operating systems; a target has none"):
        create("target", "my-cloud", tmp_path / "new", "apt")
    assert not (tmp_path / "new").exists()


def test_keys_are_identifiers(tmp_path: Path) -> None:
    create("target", "my-cloud", tmp_path / "new")
    assert "my_cloud_folder: LocalPath" in (tmp_path / "new/kube_provision_my_cloud/config.py").read_text()


def test_a_name_that_holds_the_models_own_is_taken_as_it_is(tmp_path: Path) -> None:
    create("target", "acme-one", tmp_path / "new")
    project = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())["project"]
    assert project["entry-points"]["kube_provision.target"] == {"acme-one": "kube_provision_acme_one.driver:AcmeOne"}


@pytest.mark.parametrize(
    "name", ["", "My-Cloud", "my_cloud", "-x", "x-", "1cloud", "a--b", "../x", "a b", "class", "é", "x" * 41]
)
def test_what_cannot_be_a_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be a plugin's name"):
        create("target", name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_word_of_pythons_is_refused_as_that(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'class' cannot be a plugin's name: it is a word of Python's"):
        create("target", "class", tmp_path / "new")


@pytest.mark.parametrize(("kind", "name"), [("target", "core"), ("discovery", "masters"), ("discovery", "name")])
def test_names_with_a_meaning_of_their_own_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has a meaning of its own"):
        create(kind, name, tmp_path / "new")


def test_the_name_of_an_installed_plugin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'vsphere' is already offered by kube-provision-vsphere"):
        create("target", "vsphere", tmp_path / "new")


@pytest.mark.parametrize("kind", ["os", "discovery", "extension"])
def test_so_is_the_name_of_an_installed_distribution(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'vsphere' would make another kube-provision-vsphere, which is installed already"):
        create(kind, "vsphere", tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_so_is_the_name_of_a_package_of_the_programs_own(kind: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'node' would make another package kube_provision_node, which is installed"):
        create(kind, "node", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def occupy_with_file(path: Path) -> None:
    path.write_text("mine")


@pytest.mark.parametrize("occupy", [Path.mkdir, occupy_with_file])
def test_what_exists_is_left_as_it_is(occupy: Callable[[Path], None], tmp_path: Path) -> None:
    occupy(tmp_path / "new")
    with pytest.raises(ConfigError, match="exists already; it is left as it is"):
        create("target", "my-cloud", tmp_path / "new")
    assert (tmp_path / "new").is_file() or not list((tmp_path / "new").iterdir())


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/new cannot be written"):
        create("target", "my-cloud", tmp_path / "file/new")
