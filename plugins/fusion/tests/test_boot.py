"""What a node is given, and how it publishes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kube_provision_core import PUBLISHER, Node, Stage
from kube_provision_core.testing import cluster_of
from kube_provision_fusion import stamp
from kube_provision_fusion.driver import Fusion

STATUS = json.dumps({"stage": "join", "state": "failed", "error": 'it said "no" \\ why'})


@pytest.fixture
def publisher(driver: Fusion, node: Callable[..., Node], tmp_path: Path) -> Path:
    (script,) = [file for file in driver.render_boot(node=node(), cluster=cluster_of()).files if file.path == PUBLISHER]
    assert script.mode == 0o755
    path = tmp_path / "publish"
    path.write_text(str(script.content))
    path.chmod(0o755)
    return path


def publish(script: Path, *, four: str = "src 172.16.133.77 uid 0", six: str = "") -> str:
    """What reaches the guest's tools."""
    bin_folder = script.parent / "guest"
    bin_folder.mkdir()
    programs = {
        "vmtoolsd": f'printf "%s\\n" "$@" > "{script.parent}/told"',
        "ip": f'case $1 in -4) src="{four}" ;; *) src="{six}" ;; esac; [ -n "$src" ] && echo "via 1.1.1.1 $src"',
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
    assert (command, name) == ("--cmd\ninfo-set", f"guestinfo.{stamp.STATUS}")
    published = stamp.load_published(text)
    assert published.address == "172.16.133.77"
    assert published.status
    assert published.status.error == 'it said "no" \\ why'


def test_a_node_without_a_route_publishes_its_status(publisher: Path) -> None:
    text = publish(publisher, four="").strip().split(" ", 2)[2]
    assert json.loads(text) == json.loads(STATUS)


def test_an_address_that_is_of_no_use_alone_is_told(publisher: Path) -> None:
    text = publish(publisher, four="", six="src 2001:db8::7 metric 256").strip().split(" ", 2)[2]
    assert stamp.load_published(text).address == "2001:db8::7"


def test_the_publisher_is_a_proper_script(publisher: Path) -> None:
    subprocess.run(["shellcheck", publisher], check=True)


def test_the_guest_agent_and_the_source_of_boot_data_are_asked_for(driver: Fusion, node: Callable[..., Node]) -> None:
    fragment = driver.render_boot(node=node(), cluster=cluster_of())
    assert fragment.components == {"vmware-tools"}
    assert "datasource_list: [VMware]\n" in [file.content for file in fragment.files]


def test_the_node_empties_its_user_data_before_it_installs_anything(driver: Fusion, node: Callable[..., Node]) -> None:
    fragment = driver.render_boot(node=node(), cluster=cluster_of())
    (step,) = fragment.steps
    assert (step.name, step.stage) == ("empty-user-data", Stage.PREPARE)
    assert step.script in [file.path for file in fragment.files]
