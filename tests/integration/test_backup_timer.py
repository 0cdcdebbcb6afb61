"""The timer in the page on backups: systemd takes its units, and what they start makes a backup."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage
import pytest
from doubles.memory import World
from servers.living_masters import LivingMasters

from kube_provision_core.backup import Keys, place
from kube_provision_core.backup.reader import check_backup
from kube_provision_core.cli import main
from kube_provision_core.folder.store import Folder

ROOT = Path(__file__).parents[2]
MASTER = {"m-prod-1": "127.63.9.1"}
KEY = pyrage.x25519.Identity.generate()


def units() -> dict[str, str]:
    """By their names. A block follows the line that names it."""
    page = (ROOT / "docs/backup.md").read_text().partition("## Every night\n")[2]
    found = re.findall(r"`(kube-provision-backup@\.\w+)`:\n\n((?:    .*\n|\n)+)", page)
    return {name: re.sub(r"^    ", "", block, flags=re.MULTILINE) for name, block in found}


def command(home: Path) -> list[str]:
    """What systemd starts for the cluster `prod`."""
    (line,) = re.findall(r"^ExecStart=(.*)$", units()["kube-provision-backup@.service"], re.MULTILINE)
    return shlex.split(line.replace("%h", str(home)).replace("%i", "prod"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An operator's, as the page has it, with a cluster that lives."""
    monkeypatch.syspath_prepend(str(ROOT / "tests/unit/cli/site"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    (tmp_path / "backups").mkdir()
    (tmp_path / "backup.recipients").write_text(f"# whom backups are for\n{KEY.to_public()}\n")
    (tmp_path / "prod.yml").write_text("target: memory\nos: plain\ndiscovery: table\nmasters: 1\nworkers: 0\n")
    for pause in ("TICK", "FIRST_LOOK"):
        monkeypatch.setattr(f"kube_provision_core.engine.executor.{pause}", 0.01)
    from kp_cli_doubles import Memory

    world = World()
    world.addresses |= MASTER
    monkeypatch.setattr(Memory, "shared", world)
    assert main(["--no-wait", "--name", "prod", "--config", str(tmp_path / "prod.yml")]) == 0
    folder = Folder.open(tmp_path / ".local/state/kube-provision", "prod")
    assert folder
    folder.mark_initialised()
    with LivingMasters(folder.pki, MASTER) as masters:
        masters.objects.configure("kubernetesVersion", "v1.37.1")
        yield tmp_path


def test_what_it_starts_makes_a_backup_and_keeps_so_many(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    shelf = home / "backups"
    folder = Folder.open(home / ".local/state/kube-provision", "prod")
    assert folder
    for days in range(1, 15):
        stamp = f"{datetime.now(UTC) - timedelta(days=days):%Y%m%dT%H%M%SZ}"
        (shelf / f"prod-{folder.cluster_id[:8]}-{stamp}.age").write_bytes(b"old")
    oldest = min(shelf.iterdir())
    assert main([*command(home)[1:], "--output", "json"]) == 0
    said = capfd.readouterr()
    made = json.loads(said.out[said.out.index("{") :])
    assert (len(list(shelf.iterdir())), oldest.exists()) == (14, False)
    with place(made["file"]).open() as source:
        checked = check_backup(source, Keys((KEY,)))
    names = set(checked.about.documents)
    assert names == {"1-prod.yml", "extra/1-command-line.yml"}
    assert checked.files["config/1-prod.yml"] == (home / "prod.yml").read_bytes()
    assert checked.files["config/extra/1-command-line.yml"] == b"name: prod\n"
    assert oldest.name in said.err


def test_systemd_takes_its_units(tmp_path: Path) -> None:
    found = units()
    assert set(found) == {"kube-provision-backup@.service", "kube-provision-backup@.timer"}
    program = Path(sys.executable).with_name("kube-provision")
    assert program.exists()
    for name, text in found.items():
        (tmp_path / name).write_text(text.replace("%h/.local/bin/kube-provision", str(program)))
    analyze = shutil.which("systemd-analyze")
    assert analyze
    for name in found:
        named = tmp_path / name.replace("@", "@prod")
        done = subprocess.run([analyze, "verify", "--man=no", str(named)], capture_output=True, text=True, timeout=120)
        mine = [line for line in done.stderr.splitlines() if "kube-provision" in line]
        assert (done.returncode, mine) == (0, []), done.stderr
    (calendar,) = re.findall(r"^OnCalendar=(.*)$", found["kube-provision-backup@.timer"], re.MULTILINE)
    assert subprocess.run([analyze, "calendar", calendar], capture_output=True, timeout=120).returncode == 0
