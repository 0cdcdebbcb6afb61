"""New packages: what they are called, what they hold, what is refused. That they work, tests/packaging says."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from kube_provision_core import ConfigError, __version__
from kube_provision_core.scaffold import KINDS, create


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
    assert project["entry-points"] == {f"kube_provision.{kind}": {"my-cloud": "kube_provision_my_cloud.driver:MyCloud"}}


@pytest.mark.parametrize("kind", KINDS)
def test_the_package_asks_for_this_version_of_the_core(kind: str, tmp_path: Path) -> None:
    create(kind, "my-cloud", tmp_path / "new")
    project = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())["project"]
    (requirement,) = map(Requirement, project["dependencies"])
    assert requirement.name == "kube-provision"
    assert __version__ in requirement.specifier


def test_keys_are_identifiers(tmp_path: Path) -> None:
    create("target", "my-cloud", tmp_path / "new")
    assert "my_cloud_folder: LocalPath" in (tmp_path / "new/kube_provision_my_cloud/config.py").read_text()


def test_a_name_that_holds_the_models_own_is_taken_as_it_is(tmp_path: Path) -> None:
    create("target", "acme-one", tmp_path / "new")
    project = tomllib.loads((tmp_path / "new/pyproject.toml").read_text())["project"]
    assert project["entry-points"] == {"kube_provision.target": {"acme-one": "kube_provision_acme_one.driver:AcmeOne"}}


@pytest.mark.parametrize(
    "name", ["", "My-Cloud", "my_cloud", "-x", "x-", "1cloud", "a--b", "../x", "a b", "class", "é", "x" * 41]
)
def test_what_cannot_be_a_name_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be a plugin's name"):
        create("target", name, tmp_path / "new")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(("kind", "name"), [("target", "core"), ("discovery", "masters"), ("discovery", "name")])
def test_names_with_a_meaning_of_their_own_are_refused(kind: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has a meaning of its own"):
        create(kind, name, tmp_path / "new")


def test_the_name_of_an_installed_plugin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'vsphere' is already offered by kube-provision-vsphere"):
        create("target", "vsphere", tmp_path / "new")


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
