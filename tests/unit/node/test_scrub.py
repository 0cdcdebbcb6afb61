"""What of the user-data leaves cloud-init's cache, and what must stay for a reboot to be no first boot."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_node import scrub

SECRET = "the-private-key"
INSTANCE = "var/lib/cloud/instances/iid-1"
WITH_SECRETS = (
    f"{INSTANCE}/user-data.txt",
    f"{INSTANCE}/user-data.txt.i",
    f"{INSTANCE}/cloud-config.txt",
    f"{INSTANCE}/obj.pkl",
    f"{INSTANCE}/scripts/runcmd",
    f"{INSTANCE}/scripts/part-001",
    "run/cloud-init/instance-data-sensitive.json",
    "run/cloud-init/combined-cloud-config.json",
    "var/lib/cloud/seed/nocloud/user-data",
)
WITHOUT_SECRETS = (
    "var/lib/cloud/data/instance-id",
    f"{INSTANCE}/sem/config_users_groups",
    f"{INSTANCE}/boot-finished",
    "run/cloud-init/instance-data.json",
    "var/lib/cloud/seed/nocloud/meta-data",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path in WITH_SECRETS:
        _write(tmp_path / path, SECRET)
    for path in WITHOUT_SECRETS:
        _write(tmp_path / path, "harmless")
    _write(tmp_path / "run/cloud-init/result.json", "{}")
    (tmp_path / "var/lib/cloud/instance").symlink_to(tmp_path / INSTANCE)
    return tmp_path


def test_no_secret_is_left_anywhere(root: Path) -> None:
    scrub.scrub(root)
    left = [path for path in root.rglob("*") if path.is_file() and SECRET in path.read_text()]
    assert left == []


def test_what_tells_a_reboot_from_a_first_boot_stays(root: Path) -> None:
    scrub.scrub(root)
    assert all((root / path).read_text() == "harmless" for path in WITHOUT_SECRETS)


def test_a_seed_folder_stays_a_seed(root: Path) -> None:
    scrub.scrub(root)
    assert (root / "var/lib/cloud/seed/nocloud/user-data").read_text() == "#cloud-config\n"


def test_a_second_time_is_no_harm(root: Path) -> None:
    scrub.scrub(root)
    scrub.scrub(root)


def test_nothing_is_taken_from_a_cloud_init_that_still_runs(root: Path) -> None:
    (root / "run/cloud-init/result.json").unlink()
    with pytest.raises(scrub.UnfinishedError, match="cloud-init status"):
        scrub.scrub(root, limit=0.1)
    assert (root / INSTANCE / "obj.pkl").exists()


def test_a_machine_without_cloud_init_has_nothing_to_scrub(tmp_path: Path) -> None:
    scrub.scrub(tmp_path)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
