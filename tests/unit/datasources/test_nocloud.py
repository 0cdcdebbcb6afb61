"""Seeds, read by other tools than wrote them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pycdlib
import pytest

from kube_provision_core import Boot, NoCloudSeed, TargetError
from kube_provision_core.datasources import nocloud

USER_DATA = "#cloud-config\nsecret: 0pen-sesame\n" + "# filler\n" * 1000
BOOT = Boot("w-home-1", "w-home-1-1", USER_DATA)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "seed.iso"
    NoCloudSeed(BOOT, "version: 2\n").write(path)
    return path


def read(image: Path, name: str) -> str:
    file = image.with_suffix(".out")
    iso = pycdlib.PyCdlib()
    iso.open(str(image))
    iso.get_file_from_iso(str(file), joliet_path=f"/{name}")
    iso.close()
    return file.read_text()


def names(image: Path) -> set[str]:
    iso = pycdlib.PyCdlib()
    iso.open(str(image))
    found = {child.file_identifier().decode("utf-16-be") for child in iso.list_children(joliet_path="/") if child.is_file()}
    iso.close()
    return found


def test_a_seed_bears_the_label_that_cloud_init_looks_for(image: Path) -> None:
    said = subprocess.run(["blkid", "-o", "value", "-s", "LABEL", image], capture_output=True, text=True, timeout=60)
    assert said.stdout == "cidata\n"


def test_a_seed_says_who_the_machine_is(image: Path) -> None:
    assert json.loads(read(image, "meta-data")) == {"instance-id": "w-home-1-1", "local-hostname": "w-home-1"}
    assert read(image, "user-data") == USER_DATA


def test_a_seed_brings_a_network_configuration_where_there_is_one(image: Path, tmp_path: Path) -> None:
    assert read(image, "network-config") == "version: 2\n"
    NoCloudSeed(BOOT).write(tmp_path / "none.iso")
    assert names(tmp_path / "none.iso") == {"meta-data", "user-data"}


def test_nobody_else_may_read_a_seed(image: Path) -> None:
    assert image.stat().st_mode & 0o777 == 0o600


def test_a_scrubbed_seed_is_empty_cloud_config_and_keeps_the_rest(image: Path) -> None:
    before = {name: read(image, name) for name in ("meta-data", "network-config")}
    NoCloudSeed.scrub(image)
    NoCloudSeed.scrub(image)
    assert read(image, "user-data").strip() == "#cloud-config"
    assert {name: read(image, name) for name in before} == before
    assert b"0pen-sesame" not in image.read_bytes()


def test_a_scrub_that_was_killed_half_way_leaves_user_data_that_can_be_read_and_scrubbed(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(nocloud.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        NoCloudSeed.scrub(image)
    monkeypatch.undo()
    assert read(image, "user-data").startswith("#cloud-config\n")
    NoCloudSeed.scrub(image)
    assert read(image, "user-data").strip() == "#cloud-config"


def test_what_is_no_seed_is_never_overwritten(tmp_path: Path) -> None:
    other = tmp_path / "seed.iso"
    other.write_bytes(b"precious" * 5000)
    with pytest.raises(TargetError, match="is no seed any more"):
        NoCloudSeed.scrub(other)
    assert other.read_bytes() == b"precious" * 5000
