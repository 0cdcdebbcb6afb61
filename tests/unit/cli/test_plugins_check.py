"""`kube-provision plugins check`, as its user types it: on packages as `plugins new` makes them, as if installed."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kube_provision_core.scaffold import create


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """A function that makes a new extension and puts it where it is found, with a change to one of its files."""
    before = set(sys.modules)

    def install(name: str, file: str = "driver.py", old: str = "", new: str = "") -> Path:
        folder = tmp_path / name
        create("extension", name, folder)
        package = folder / f"kube_provision_{name}"
        text = (package / file).read_text()
        assert old in text
        (package / file).write_text(text.replace(old, new) if old else text)
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        info = folder / f"{package.name}-0.1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
        lines = (f"[{group}]\n{name} = {it[name]}\n" for group, it in project["entry-points"].items())
        (info / "entry_points.txt").write_text("\n".join(lines))
        monkeypatch.syspath_prepend(str(folder))
        return folder

    yield install
    for name in set(sys.modules) - before:
        if name.startswith(("kube_provision_good", "kube_provision_bad")):
            del sys.modules[name]


def test_a_plugin_that_keeps_its_promises_passes_every_check(run, install: Callable[..., Path]) -> None:
    install("good")
    ran = run("plugins", "check", "good", "--output", "json")
    checks = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert {it["result"] for it in checks} == {"passed"}
    assert {it["suite"] for it in checks} == {"TestContract"}
    assert "test_keys_begin_with_its_name" in {it["check"] for it in checks}


def test_a_broken_plugin_is_shown_check_by_check_with_the_reason(run, install: Callable[..., Path]) -> None:
    install("bad", old="packages=frozenset(config.bad_packages),", new="packages=config.bad_packages,")
    ran = run("plugins", "check", "bad")
    assert ran.code == 2
    assert "checks failed" in ran.line
    (row,) = (line for line in ran.out.splitlines() if "test_render_boot_adds_what_a_machine_can_take" in line)
    assert "failed" in row
    assert "packages: ('htop',) is a tuple, where frozenset[str] is expected" in row


def test_a_suite_that_cannot_be_imported_is_a_failed_check(run, install: Callable[..., Path]) -> None:
    install("bad", "contract.py", "import pytest\n", "import pytest\nimport no_such_library\n")
    ran = run("plugins", "check", "bad")
    assert ran.code == 2
    assert "no_such_library" in ran.out


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("def (", "contract.py:1: SyntaxError: invalid syntax"),
        ("1 / 0", "contract.py:1: ZeroDivisionError: division by zero"),
        ("import no_such_library", "contract.py:1: ModuleNotFoundError: No module named 'no_such_library'"),
        ("raise SystemExit(3)", "contract.py:1: SystemExit: 3"),
        ("import pytest; pytest.exit('enough')", "Exit: enough"),
    ],
)
def test_a_suite_that_ends_before_its_checks_is_a_failed_check_that_says_where(
    run, install: Callable[..., Path], line: str, why: str
) -> None:
    folder = install("bad")
    (folder / "kube_provision_bad/contract.py").write_text(line + "\n")
    ran = run("plugins", "check", "bad", "--output", "json")
    assert (ran.code, ran.line) == (2, "kube-provision: bad: 1 of 1 checks failed")
    (row,) = json.loads(ran.out)
    assert why in row["why"]


def test_a_suite_that_is_not_where_its_author_says_is_a_failed_check(run, install: Callable[..., Path]) -> None:
    (install("bad") / "kube_provision_bad/contract.py").unlink()
    ran = run("plugins", "check", "bad", "--output", "json")
    assert (ran.code, ran.line) == (2, "kube-provision: bad: 1 of 1 checks failed")
    (row,) = json.loads(ran.out)
    assert row["why"].startswith("module or package not found: kube_provision_bad.contract")


def test_ctrl_c_ends_the_checks_and_is_no_success(run, install: Callable[..., Path]) -> None:
    old = "class TestContract(ExtensionContract):"
    new = "import signal\n\n\ndef test_press():\n    signal.raise_signal(signal.SIGINT)\n\n\n" + old
    install("bad", "contract.py", old, new)
    assert run("plugins", "check", "bad").code == 130


def test_a_name_that_is_not_installed_is_bad_input(run) -> None:
    ran = run("plugins", "check", "moon")
    assert ran.code == 2
    assert ran.line.startswith("kube-provision: no plugin 'moon' is installed")


def test_a_misspelt_name_is_told_with_the_nearest(run, install: Callable[..., Path]) -> None:
    install("good")
    assert "did you mean good?" in run("plugins", "check", "goood").line


def test_a_plugin_without_a_suite_says_how_it_would_bring_one(run, install: Callable[..., Path]) -> None:
    folder = install("good")
    (points,) = folder.rglob("entry_points.txt")
    points.write_text(points.read_text().partition("[kube_provision.contract]")[0])
    ran = run("plugins", "check", "good")
    assert ran.code == 2
    assert "by an entry point 'good' of the group kube_provision.contract" in ran.line


def test_without_pytest_it_is_told_what_to_install(
    run, install: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("good")
    for name in [name for name in sys.modules if name.startswith("kube_provision_core.testing")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "pytest", None)
    ran = run("plugins", "check", "good")
    assert ran.code == 2
    assert "pip install pytest" in ran.line
