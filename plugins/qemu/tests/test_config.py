"""The driver's keys."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError
from servers.qemu import CLUSTER, node

from kube_provision_core import ConfigError
from kube_provision_qemu.baking.download import cache_folder
from kube_provision_qemu.config import QemuConfig
from kube_provision_qemu.driver import Qemu
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


@pytest.mark.parametrize("folder", [default_root, cache_folder])
@pytest.mark.parametrize("environ", [{}, {"HOME": "", "XDG_DATA_HOME": "", "XDG_CACHE_HOME": ""}], ids=["unset", "empty"])
def test_where_the_environment_says_nothing_it_is_the_users_own_all_the_same(
    folder: Callable[..., Path], environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "")
    assert folder(environ).is_relative_to(pwd.getpwuid(os.getuid()).pw_dir)
    monkeypatch.setattr(os, "getuid", lambda: 2**31 - 5)
    with pytest.raises(ConfigError, match="has no home folder here: set HOME"):
        folder(environ)


def test_machines_make_one_ssh_host_key(make_driver: Callable[..., Qemu]) -> None:
    fragment = make_driver().render_boot(node=node("w-home-1"), cluster=CLUSTER)
    assert fragment.cloud_config == {"ssh_genkeytypes": ["ed25519"]}


class TestBaking:
    PATH = Path("/images/debian.qcow2")

    def test_a_file_is_made_absolute(self) -> None:
        assert QemuConfig(template=self.PATH, bake_from="cloud.qcow2").bake_from == str(Path("cloud.qcow2").absolute())

    @pytest.mark.parametrize("release", ["debian-12", "debian-13"])
    def test_a_release_stays_one(self, release: str) -> None:
        assert QemuConfig(template=self.PATH, bake_from=release).bake_from == release

    def test_a_release_that_is_not_built(self) -> None:
        with pytest.raises(ValidationError, match="Debian 11 is not built here; 12 and 13 are"):
            QemuConfig(template=self.PATH, bake_from="debian-11")

    def test_a_url_needs_a_checksum(self) -> None:
        with pytest.raises(ValidationError, match="bake_from_checksum is missing"):
            QemuConfig(template=self.PATH, bake_from="https://cloud.example/debian.qcow2")

    def test_a_checksum_needs_an_image(self) -> None:
        with pytest.raises(ValidationError, match="names none"):
            QemuConfig(template=self.PATH, bake_from="debian-13", bake_from_checksum=f"sha256:{'0' * 64}")

    @pytest.mark.parametrize("checksum", ["0" * 64, f"md5:{'0' * 32}", f"sha256:{'0' * 63}"])
    def test_a_checksum_is_one_of_two_kinds(self, checksum: str) -> None:
        with pytest.raises(ValidationError, match="bake_from_checksum"):
            QemuConfig(template=self.PATH, bake_from="https://x.example/i", bake_from_checksum=checksum)

    def test_other_schemes_are_refused(self) -> None:
        with pytest.raises(ValidationError, match="a URL"):
            QemuConfig(template=self.PATH, bake_from="ftp://cloud.example/debian.qcow2")
