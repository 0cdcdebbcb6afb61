"""What a node is given, and how it publishes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kube_provision_core import PUBLISHER, Node
from kube_provision_fusion import stamp
from kube_provision_fusion.driver import Fusion

STATUS = json.dumps({"stage": "join", "state": "failed", "error": 'it said "no" \\ why'})


@pytest.fixture
def publisher(driver: Fusion, node: Callable[..., Node], tmp_path: Path) -> Path:
    (script,) = [file for file in driver.render_boot(node=node()).files if file.path == PUBLISHER]
    assert script.mode == 0o755
    path = tmp_path / "publish"
    path.write_text(str(script.content))
    path.chmod(0o755)
    return path


def publish(script: Path, *, tool: str = "vmware-rpctool", route: str = "src 172.16.133.77 uid 0") -> str:
    """What reaches the guest's tools."""
    bin_folder = script.parent / "guest"
    bin_folder.mkdir()
    programs = {
        tool: f'printf "%s\\n" "$@" > "{script.parent}/told"',
        "ip": f'[ -n "{route}" ] && echo "via 1.1.1.1 {route}"',
    }
    for name, body in programs.items():
        (bin_folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (bin_folder / name).chmod(0o755)
    subprocess.run(
        ["/bin/sh", script], input=STATUS, text=True, check=True, env={"PATH": f"{bin_folder}:{os.environ['PATH']}"}
    )
    return (script.parent / "told").read_text()


def test_the_status_and_the_address_are_published_together(publisher: Path) -> None:
    command, name, text = publish(publisher).strip().split(" ", 2)
    assert (command, name) == ("info-set", f"guestinfo.{stamp.STATUS}")
    published = stamp.load_published(text)
    assert published.address == "172.16.133.77"
    assert published.status
    assert published.status.error == 'it said "no" \\ why'


def test_a_node_without_a_route_publishes_its_status(publisher: Path) -> None:
    text = publish(publisher, route="").strip().split(" ", 2)[2]
    assert json.loads(text) == json.loads(STATUS)


def test_the_older_tool_will_do(publisher: Path) -> None:
    assert publish(publisher, tool="vmtoolsd").startswith("--cmd\ninfo-set guestinfo.")


def test_the_publisher_is_a_proper_script(publisher: Path) -> None:
    subprocess.run(["shellcheck", publisher], check=True)


def test_the_guest_agent_and_the_source_of_boot_data_are_asked_for(driver: Fusion, node: Callable[..., Node]) -> None:
    fragment = driver.render_boot(node=node())
    assert fragment.components == {"vmware-tools"}
    assert "datasource_list: [VMware]\n" in [file.content for file in fragment.files]
