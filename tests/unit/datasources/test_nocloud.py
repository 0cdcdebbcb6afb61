"""Seeds, read by the tools that will read them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pycdlib
import pytest
from servers.debian import install
from servers.qemu import boot, node

from kube_provision_core import TargetError
from kube_provision_qemu import addresses, seed

USER_DATA = "#cloud-config\nsecret: 0pen-sesame\n" + "# filler\n" * 1000


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "seed.iso"
    seed.write(path, boot(node("w-home-1"), USER_DATA), addresses.network_config("10.0.2.21", "52:54:00:00:00:01"))
    return path


def read(image: Path, name: str) -> str:
    file = image.with_suffix(".out")
    iso = pycdlib.PyCdlib()
    iso.open(str(image))
    iso.get_file_from_iso(str(file), joliet_path=f"/{name}")
    iso.close()
    return file.read_text()


def test_a_seed_bears_the_label_that_cloud_init_looks_for(image: Path) -> None:
    said = subprocess.run(["blkid", "-o", "value", "-s", "LABEL", image], capture_output=True, text=True, timeout=60)
    assert said.stdout == "cidata\n"


def test_a_seed_says_who_the_machine_is(image: Path) -> None:
    assert json.loads(read(image, "meta-data")) == {"instance-id": "w-home-1-1", "local-hostname": "w-home-1"}
    assert read(image, "user-data") == USER_DATA


def test_nobody_else_may_read_a_seed(image: Path) -> None:
    assert image.stat().st_mode & 0o777 == 0o600


def test_a_scrubbed_seed_is_empty_cloud_config_and_keeps_the_rest(image: Path) -> None:
    before = {name: read(image, name) for name in ("meta-data", "network-config")}
    seed.scrub(image)
    seed.scrub(image)
    assert read(image, "user-data").strip() == "#cloud-config"
    assert {name: read(image, name) for name in before} == before
    assert b"0pen-sesame" not in image.read_bytes()


def test_a_scrub_that_was_killed_half_way_leaves_user_data_that_can_be_read_and_scrubbed(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(seed.os, "fsync", killed)
    with pytest.raises(KeyboardInterrupt):
        seed.scrub(image)
    monkeypatch.undo()
    assert read(image, "user-data").startswith("#cloud-config\n")
    seed.scrub(image)
    assert read(image, "user-data").strip() == "#cloud-config"


def test_what_is_no_seed_is_never_overwritten(tmp_path: Path) -> None:
    other = tmp_path / "seed.iso"
    other.write_bytes(b"precious" * 5000)
    with pytest.raises(TargetError, match="is no seed any more"):
        seed.scrub(other)
    assert other.read_bytes() == b"precious" * 5000


def test_the_network_is_understood_by_cloud_init(image: Path) -> None:
    install("cloud-init")
    script = (
        "import sys, yaml\n"
        "from cloudinit.net.network_state import parse_net_config_data\n"
        "from cloudinit.net.networkd import Renderer\n"
        "state = parse_net_config_data(yaml.safe_load(sys.stdin))\n"
        "print(*Renderer({})._render_content(state).values())\n"
    )
    done = subprocess.run(
        ["/usr/bin/python3", "-c", script], input=read(image, "network-config"), capture_output=True, text=True, timeout=60
    )
    lines = {line for line in done.stdout.splitlines() if "=" in line}
    assert {"Address=10.0.2.21/24", "MACAddress=52:54:00:00:00:01", "Gateway=10.0.2.2", "DNS=10.0.2.3"} <= lines
