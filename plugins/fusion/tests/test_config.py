"""The configuration of 2019 works word for word; what cannot work is told at its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kube_provision_core import ConfigError, Role
from kube_provision_core.config import load
from kube_provision_fusion.config import CloneType, FusionConfig

OF_2019 = """\
os: ubuntu
consul_bind_interface: ens33
target: vmware-fusion
template: /Users/home/Virtual Machines.localized/ubuntu_base.vmwarevm/ubuntu_base.vmx
vm_dir: /Users/home/Virtual Machines.localized/
"""


def config(tmp_path: Path, text: str) -> dict[Role, FusionConfig]:
    (tmp_path / "config.yml").write_text(text)
    loaded = load([tmp_path / "config.yml"], flags={"name": "prod"}, environ={})
    (driver,) = [driver for driver in loaded.drivers if driver.kind == "target"]
    return dict(driver.config)  # type: ignore[arg-type]  # the chosen driver's own model


def test_the_file_of_2019_works(tmp_path: Path) -> None:
    read = config(tmp_path, OF_2019)[Role.MASTER]
    assert read.template == Path("/Users/home/Virtual Machines.localized/ubuntu_base.vmwarevm/ubuntu_base.vmx")
    assert read.vm_dir == Path("/Users/home/Virtual Machines.localized")
    assert (read.clone_type, read.snapshot, read.vmrun) == (CloneType.LINKED, None, None)


def test_roles_may_have_templates_of_their_own(tmp_path: Path) -> None:
    read = config(tmp_path, f"{OF_2019}workers: {{template: big.vmx, clone_type: full, snapshot: before upgrade}}\n")
    assert read[Role.WORKER].template == tmp_path / "big.vmx"
    assert (read[Role.WORKER].clone_type, read[Role.WORKER].snapshot) == (CloneType.FULL, "before upgrade")
    assert read[Role.MASTER].clone_type is CloneType.LINKED


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("template: /vm/base.vmwarevm", "config.yml:4: template: is a bundle: name the .vmx file in it, such as /vm/base"),
        ("template: /vm/base.vmdk", "config.yml:4: template: must name a .vmx file"),
        ("clone_type: fast", "clone_type"),
        ("snapshot: ''", "snapshot"),
        ("vm_dri: /vm", "vm_dir"),
    ],
)
def test_what_cannot_work_is_told_at_its_line(tmp_path: Path, line: str, told: str) -> None:
    key = line.partition(":")[0]
    kept = [each for each in OF_2019.splitlines() if not each.startswith(f"{key}:")]
    kept.insert(3, line)
    with pytest.raises(ConfigError, match=told.replace(".", r"\.")):
        config(tmp_path, "\n".join(kept))
