"""`kube-provision plugins new`, as its user types it."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_paths_are_data_and_what_to_do_next_is_talk(run, folder: Path) -> None:
    ran = run("plugins", "new", "target", "my-cloud")
    assert ran.code == 0
    assert all(Path(line).is_file() for line in ran.out.splitlines())
    assert "kube-provision-my-cloud/pyproject.toml" in ran.out.splitlines()
    assert ran.line == "Next: cd kube-provision-my-cloud && pip install -e '.[test]' && pytest"


def test_the_folder_may_be_named(run, folder: Path) -> None:
    assert run("plugins", "new", "os", "my-os", "--directory", "somewhere/else").code == 0
    assert (folder / "somewhere/else/kube_provision_my_os/driver.py").is_file()


def test_what_to_do_next_may_be_pasted_for_any_folder(run) -> None:
    ran = run("plugins", "new", "os", "my-os", "--directory", "my plugins/os")
    assert ran.line == "Next: cd 'my plugins/os' && pip install -e '.[test]' && pytest"


def test_a_folder_that_exists_is_bad_input(run, folder: Path) -> None:
    (folder / "kube-provision-my-cloud").mkdir()
    ran = run("plugins", "new", "target", "my-cloud")
    assert ran.code == 2
    assert ran.line == (
        "kube-provision: kube-provision-my-cloud exists already; it is left as it is: choose another --directory"
    )


def test_a_name_that_cannot_be_one_is_bad_input(run) -> None:
    ran = run("plugins", "new", "target", "My_Cloud")
    assert ran.code == 2
    assert "lower-case letters and digits, joined by hyphens" in ran.line


def test_a_name_that_would_replace_an_installed_distribution_is_bad_input(run, folder: Path) -> None:
    ran = run("plugins", "new", "extension", "vsphere")
    assert (ran.code, list(folder.iterdir())) == (2, [])
    installed = "another kube-provision-vsphere, which is installed already"
    assert ran.line == f"kube-provision: 'vsphere' would make {installed}; choose another name"


def test_another_kind_is_refused_with_those_there_are(run) -> None:
    ran = run("plugins", "new", "network", "my-cloud")
    assert ran.code == 2
    assert "'target', 'os', 'discovery', 'extension'" in ran.err


def test_plugins_alone_still_lists_them(run) -> None:
    ran = run("plugins", "--output", "json")
    assert ran.code == 0
    assert '"vsphere"' in ran.out
