"""The example package, as a company would use it: built, installed beside the project's own wheels, tested and run there."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml
from servers.wheels import ROOT, environment, succeed, wheel

EXAMPLE = ROOT / "examples/plugin"
CONFIG = """\
name: prod
target: vsphere
os: ubuntu
consul_ip: 10.0.0.1
vcenter_hostname: vcenter.example
vcenter_username: operator
vcenter_password: secret
template: ubuntu-24.04
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ours = (wheel(ROOT / "plugins" / name) for name in ("vsphere", "debian", "ubuntu", "consul"))
    folder = tmp_path_factory.mktemp("example")
    return environment(folder / "env", wheel(ROOT), *ours, wheel(EXAMPLE), "pytest", "types-PyYAML")


@pytest.fixture(scope="module")
def boot(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is rendered with the README's own configuration."""
    folder = tmp_path_factory.mktemp("site")
    block = (EXAMPLE / "README.md").read_text().partition("```yaml\n")[2].partition("```")[0]
    (folder / "config.yml").write_text(CONFIG + block)
    options = ("--config", "config.yml", "--state", "state", "--with-secrets")
    succeed(programs / "kube-provision", "render", *options, "boot", cwd=folder)
    return folder / "boot"


def test_its_own_tests_pass_where_it_is_installed(programs: Path) -> None:
    assert "passed" in succeed(programs / "python", "-m", "pytest", "-W", "error", "-p", "no:cacheprovider", cwd=EXAMPLE)


def test_a_strict_type_checker_has_no_objections(programs: Path, tmp_path: Path) -> None:
    command = (sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--python-executable={programs / 'python'}")
    succeed(*command, f"--cache-dir={tmp_path}", ".", cwd=EXAMPLE)


def test_extensions_are_listed(programs: Path) -> None:
    found = json.loads(succeed(programs / "kube-provision", "plugins", "--output", "json"))
    extensions = {(it["name"], it["problem"]) for it in found if it["kind"] == "extension"}
    assert extensions == {("node-labels", ""), ("syslog", "")}


@pytest.mark.parametrize("machine", ["m-prod-1", "m-prod-2", "w-prod-5"])
def test_every_machine_gets_the_package_the_file_and_the_step(boot: Path, machine: str) -> None:
    root = boot / machine
    steps = [(step["plugin"], step["name"]) for step in json.loads(find(root, "steps.json").read_text())]
    assert steps.index(("ubuntu", "packages")) < steps.index(("syslog", "restart"))
    assert 'target="logs.example.com"' in find(root, "60-company.conf").read_text()
    assert "rsyslog" in find(root, "ubuntu-packages.sh").read_text()


def test_labels_reach_kubeadm_by_role(boot: Path) -> None:
    assert labels(boot / "m-prod-1", "kubeadm-init.yaml") == "example.com/site=north"
    assert labels(boot / "m-prod-2", "kubeadm-join.yaml") == "example.com/site=north"
    assert labels(boot / "w-prod-1", "kubeadm-join.yaml") == "example.com/disk=fast,example.com/site=north"


def labels(root: Path, name: str) -> str:
    documents = [it for it in yaml.safe_load_all(find(root, name).read_text()) if "nodeRegistration" in it]
    (value,) = (it["value"] for it in documents[0]["nodeRegistration"]["kubeletExtraArgs"] if it["name"] == "node-labels")
    return str(value)


def find(root: Path, name: str) -> Path:
    (found,) = root.rglob(name)
    return found
