"""The driver's keys."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from kube_provision_qemu.config import QemuConfig
from kube_provision_qemu.places import default_root


def test_a_template_is_all_that_must_be_said() -> None:
    config = QemuConfig(template=Path("/images/debian.qcow2"))
    assert (config.qemu_accelerator, config.qemu_binary, config.forwarded_ports) == ("auto", None, [])


def test_a_template_must_be_said() -> None:
    with pytest.raises(ValidationError, match="template"):
        QemuConfig()


@pytest.mark.parametrize("port", [0, 65536])
def test_a_port_is_a_port(port: int) -> None:
    with pytest.raises(ValidationError, match="forwarded_ports"):
        QemuConfig(template=Path("/images/debian.qcow2"), forwarded_ports=[port])


def test_an_accelerator_is_one_that_there_is() -> None:
    with pytest.raises(ValidationError, match="qemu_accelerator"):
        QemuConfig(template=Path("/images/debian.qcow2"), qemu_accelerator="xen")


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({"HOME": "/home/a"}, "/home/a/.local/share/kube-provision/qemu"),
        ({"HOME": "/home/a", "XDG_DATA_HOME": "/data"}, "/data/kube-provision/qemu"),
        ({"HOME": "/home/a", "XDG_DATA_HOME": "data"}, "/home/a/.local/share/kube-provision/qemu"),
    ],
)
def test_machines_lie_in_the_users_data_folder(environ: dict[str, str], root: str) -> None:
    assert default_root(environ) == Path(root)
