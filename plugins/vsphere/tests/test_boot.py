"""This driver's part of a node's boot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from servers.debian import install

from kube_provision_core import PUBLISHER, BootError, BootFragment, File, Node, NodeStatus, Role, Stage
from kube_provision_core.testing import cluster_of
from kube_provision_vsphere import stamp
from kube_provision_vsphere.config import VsphereConfig
from kube_provision_vsphere.driver import Vsphere

TRICKY = {"stage": "join", "state": "failed", "error": 'it\'s "no" $HOME `id` \\ 100%\nsecond line; é'}

RECORDER = """#!/usr/bin/env python3
import json, sys
json.dump(sys.argv, open(sys.argv[0] + ".json", "w"))
"""


def config(**keys: Any) -> VsphereConfig:
    return VsphereConfig(vcenter_hostname="vc", vcenter_username="u", vcenter_password="p", template="t", **keys)


KEYS = dict.fromkeys(Role, config())


@pytest.fixture
def fragment(node: Callable[..., Node]) -> BootFragment:
    return Vsphere(KEYS).render_boot(node(), cluster_of())


@pytest.fixture
def publisher(fragment: BootFragment, tmp_path: Path) -> Path:
    script = tmp_path / "publish"
    script.write_text(content(fragment, PUBLISHER))
    script.chmod(0o755)
    return script


def content(fragment: BootFragment, path: str) -> str:
    (file,) = [file for file in fragment.files if file.path == path]
    assert isinstance(file, File)
    return str(file.content)


def publish(publisher: Path, tool: str, document: str) -> list[str]:
    """What the tool was called with when the document was published."""
    recorder = publisher.parent / tool
    recorder.write_text(RECORDER)
    recorder.chmod(0o755)
    environment = {**os.environ, "PATH": f"{recorder.parent}:{os.environ['PATH']}"}
    subprocess.run([publisher], input=document, text=True, env=environment, timeout=60, check=True)
    called: list[str] = json.loads(recorder.with_name(f"{tool}.json").read_text())
    return called[1:]


def test_any_status_reaches_the_agent_as_one_argument(publisher: Path) -> None:
    option, command = publish(publisher, "vmtoolsd", json.dumps(TRICKY, indent=1))
    assert option == "--cmd"
    words = command.split(" ", 2)
    assert words[:2] == ["info-set", stamp.STATUS]
    assert NodeStatus.parse(words[2]) == NodeStatus(Stage.JOIN, "failed", TRICKY["error"])


def test_a_failing_agent_is_not_hidden(publisher: Path) -> None:
    tool = publisher.parent / "vmtoolsd"
    tool.write_text("#!/bin/sh\nexit 7\n")
    tool.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tool.parent}:{os.environ['PATH']}"}
    done = subprocess.run([publisher], input="{}", text=True, env=environment, timeout=60, check=False)
    assert done.returncode == 7


def test_a_tool_without_a_privileged_channel_is_not_used(publisher: Path) -> None:
    tool = publisher.parent / "vmware-rpctool"
    tool.write_text('#!/bin/sh\necho asked >"$0.asked"\n')
    tool.chmod(0o755)
    publish(publisher, "vmtoolsd", "{}")
    assert not tool.with_suffix(".asked").exists()


def test_the_programs_are_clean_shell(fragment: BootFragment, tmp_path: Path) -> None:
    install("shellcheck")
    for file in fragment.files:
        if file.mode & 0o111:
            script = tmp_path / Path(file.path).name
            script.write_text(str(file.content))
            subprocess.run(["shellcheck", script], timeout=60, check=True)


@pytest.mark.parametrize("role", Role)
def test_every_machine_empties_its_user_data_before_it_installs_or_joins(node: Callable[..., Node], role: Role) -> None:
    (step,) = Vsphere(KEYS).render_boot(node(role=role), cluster_of()).steps
    assert (step.name, step.stage) == ("empty-user-data", Stage.PREPARE)


def test_the_guest_agent_is_asked_for(fragment: BootFragment) -> None:
    assert fragment.components == {"vmware-tools"}


def test_later_boots_look_nowhere_else(fragment: BootFragment) -> None:
    document = yaml.safe_load(content(fragment, "/etc/cloud/cloud.cfg.d/90-kube-provision-vsphere.cfg"))
    assert document == {"datasource_list": ["VMware"]}


def test_rendering_imports_no_vcenter_client() -> None:
    program = (
        "import sys; from kube_provision_core import Role; from kube_provision_core.testing import cluster_of, node_of;"
        "from kube_provision_vsphere.config import VsphereConfig; from kube_provision_vsphere.driver import Vsphere;"
        "keys = {'vcenter_hostname': 'vc', 'vcenter_username': 'u', 'vcenter_password': 'p', 'template': 't'};"
        "Vsphere(dict.fromkeys(Role, VsphereConfig(**keys))).render_boot(node_of('w-1'), cluster_of());"
        "assert not [name for name in sys.modules if name.startswith(('pyVmomi', 'pyVim'))]"
    )
    subprocess.run([sys.executable, "-c", program], timeout=60, check=True)


def test_a_machine_that_no_static_address_is_left_for_is_not_rendered(node: Callable[..., Node]) -> None:
    """So that `validate` tells of it, which asks no server."""
    driver = Vsphere({Role.WORKER: config(static_ip={"addresses": ["10.0.0.9/24"]})})
    assert driver.render_boot(node(1), cluster_of())
    with pytest.raises(BootError, match=r"^static_ip: has 1 address, and w-prod-2 needs number 2: add 1$"):
        driver.render_boot(node(2), cluster_of())


def test_the_timeout_for_addresses_is_the_configurations() -> None:
    assert Vsphere(dict.fromkeys(Role, config(wait_for_ip_address_timeout=42))).address_timeout == 42
