"""What `kube-provision plugins new` writes, as its author goes on: built, installed beside the core alone, tested there.

And what other people's packages may be like: broken, for another version of the contract, or both offering one name.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers.debian import require
from servers.wheels import ROOT, environment, install, run, succeed, uninstall, wheel

KINDS = {"target": "target", "os": "os", "apt": "os", "dnf": "os", "discovery": "discovery", "extension": "extension"}
"""By what each is called here; a system of a family is called like that."""
CONFIG = """\
name: prod
target: my-target
my_target_folder: machines
os: my-os
discovery: my-discovery
extensions: [my-extension]
my_discovery_server: 192.0.2.1
my_discovery_folder: share
seed_manifests: []
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment that has the core, pytest, and a new plugin of every kind."""
    folder = tmp_path_factory.mktemp("new")
    programs = environment(folder / "env", wheel(ROOT), "pytest")
    for kind in KINDS:
        family = ("--family", kind) if kind in ("apt", "dnf") else ()
        succeed(programs / "kube-provision", "plugins", "new", KINDS[kind], f"my-{kind}", *family, cwd=folder)
    install(programs, *(wheel(project(programs, kind)) for kind in KINDS))
    return programs


def project(programs: Path, kind: str) -> Path:
    return programs.parents[1] / f"kube-provision-my-{kind}"


def listed(programs: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(succeed(programs / "kube-provision", "plugins", "--output", "json"))
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_its_own_tests_pass_where_it_is_installed(programs: Path, kind: str) -> None:
    said = succeed(programs / "python", "-m", "pytest", "-rs", "-W", "error", cwd=project(programs, kind))
    assert "passed" in said
    assert "skipped" not in said, said


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the type checker knows of the core by its first plugin."""
    return tmp_path_factory.mktemp("types")


@pytest.mark.parametrize("kind", KINDS)
def test_a_strict_type_checker_has_no_objections(programs: Path, kind: str, types: Path) -> None:
    command = (sys.executable, "-m", "mypy", "--strict", f"--python-executable={programs / 'python'}")
    succeed(*command, f"--cache-dir={types}", ".", cwd=project(programs, kind))


@pytest.mark.parametrize("kind", KINDS)
def test_shellcheck_has_no_objections(programs: Path, kind: str) -> None:
    scripts = [path for path in project(programs, kind).rglob("*") if path.suffix == ".sh" or path.name == "publish"]
    if scripts:
        require("shellcheck")
        succeed("shellcheck", "--norc", "--exclude=SC2154", *scripts)  # what a step is given is set before it


@pytest.mark.parametrize("kind", KINDS)
def test_its_suite_runs_where_it_is_installed(programs: Path, kind: str, tmp_path: Path) -> None:
    done = run(programs / "kube-provision", "plugins", "check", f"my-{kind}", "--output", "json", cwd=tmp_path)
    checks = json.loads(done.stdout)
    assert (done.returncode, done.stderr, {it["result"] for it in checks}) == (0, "", {"passed"})
    assert len(checks) >= 10
    assert not list(tmp_path.iterdir())


def test_they_are_listed_and_work(programs: Path) -> None:
    found = {(it["kind"], it["name"], it["distribution"], it["problem"]) for it in listed(programs)}
    assert found == {(kind, f"my-{name}", f"kube-provision-my-{name}", "") for name, kind in KINDS.items()}


def test_they_make_machines_together(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yml").write_text(CONFIG)
    (tmp_path / "share").mkdir()
    options = ("--config", "config.yml", "--state", "state", "--masters", "1", "--workers", "1")
    succeed(programs / "kube-provision", *options, "--no-wait", cwd=tmp_path)
    assert {path.name for path in (tmp_path / "machines").iterdir() if path.is_dir()} == {"m-prod-1", "w-prod-1"}
    status = json.loads(succeed(programs / "kube-provision", "status", *options[:4], "--output", "json", cwd=tmp_path))
    addresses = {node["name"]: node["address"] for node in status["nodes"] if node["power"] == "on"}
    assert sorted(addresses.values()) == ["192.0.2.2", "192.0.2.3"]


# --- other people's packages ------------------------------------------------------------------------------------------


def variant(programs: Path, name: str, file: str, old: str, new: str, folder: Path) -> Path:
    """The wheel of a target `name` that has something else in one of its files."""
    succeed(programs / "kube-provision", "plugins", "new", "target", name, "--directory", folder / name)
    path = folder / name / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return wheel(folder / name)


@pytest.fixture(scope="module")
def bad_programs(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same plugins, with a package that cannot be imported and one for another version of the contract."""
    folder = tmp_path_factory.mktemp("bad")
    library = "from __future__ import annotations\n", "from __future__ import annotations\nimport no_such_library\n"
    version = "api_version = 1", "api_version = 2"
    broken = variant(programs, "broken", "kube_provision_broken/driver.py", *library, folder)
    future = variant(programs, "future", "kube_provision_future/driver.py", *version, folder)
    ours = (wheel(project(programs, kind)) for kind in KINDS)
    return environment(folder / "env", wheel(ROOT), *ours, broken, future)


@pytest.fixture
def twin(programs: Path, bad_programs: Path, tmp_path: Path) -> Iterator[str]:
    """The name of a package that offers a name which another one offers too, while it is installed."""
    install(bad_programs, variant(programs, "twin", "pyproject.toml", "\ntwin = ", "\nmy-target = ", tmp_path))
    yield "kube-provision-twin"
    uninstall(bad_programs, "kube-provision-twin")


def problem_of(programs: Path, name: str, distribution: str = "") -> str:
    (problem,) = (
        it["problem"]
        for it in listed(programs)
        if it["name"] == name and it["distribution"] == (distribution or f"kube-provision-{name}")
    )
    return str(problem)


def test_a_broken_package_is_listed_with_its_reason(bad_programs: Path) -> None:
    assert problem_of(bad_programs, "broken") == (
        "target driver 'broken' of kube-provision-broken cannot be loaded: ModuleNotFoundError: No module named"
        " 'no_such_library'; repair it (pip install --force-reinstall kube-provision-broken) or uninstall it"
    )


def test_a_package_for_another_version_is_refused_with_a_sentence(bad_programs: Path, tmp_path: Path) -> None:
    sentence = "Future speaks version 2 of the plugin contract, this kube-provision speaks 1; upgrade the older one"
    assert sentence in problem_of(bad_programs, "future")
    (tmp_path / "config.yml").write_text(CONFIG.replace("my-target", "future").replace("my_target", "future"))
    done = run(bad_programs / "kube-provision", "plan", "--config", "config.yml", cwd=tmp_path)
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_two_packages_with_one_name_are_both_named(bad_programs: Path, twin: str, tmp_path: Path) -> None:
    assert f"kube-provision-my-target and {twin}" in problem_of(bad_programs, "my-target", twin)
    (tmp_path / "config.yml").write_text(CONFIG)
    done = run(bad_programs / "kube-provision", "validate", "--config", "config.yml", cwd=tmp_path)
    assert (done.returncode, "uninstall one of them" in done.stderr) == (2, True)


@pytest.mark.parametrize("command", [("validate",), ("plan",), ("render", "boot"), ("status",)])
def test_none_of_them_stops_a_command_that_does_not_need_it(
    bad_programs: Path, command: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "config.yml").write_text(CONFIG)
    (tmp_path / "share").mkdir()
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    done = run(bad_programs / "kube-provision", *command, "--config", "config.yml", cwd=tmp_path, **state)
    assert (done.returncode, "broken" in done.stderr, "future" in done.stderr) == (0, False, False), done.stderr
