"""The QEMU driver's keys."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from kube_provision_core import DriverConfig, LocalPath, option

from .places import default_root

Port = Annotated[int, Field(ge=1, le=65535)]


class QemuConfig(DriverConfig):
    template: LocalPath = option(
        per_role=True,
        help="Disk that machines start from: a qcow2 file made by `kube-provision bake`, or a cloud image in that format.",
    )
    vm_dir: LocalPath | None = option(
        None, help="Folder of the machines and their disks; unset: `kube-provision/qemu` in the user's data folder."
    )
    qemu_binary: str | None = option(
        None, min_length=1, help="Emulator, by name or path; unset: the one for this host's architecture."
    )
    qemu_accelerator: Literal["auto", "kvm", "hvf", "tcg"] = option(
        "auto", help="`kvm` or `hvf`, or `tcg` for plain emulation; `auto` takes what is seen to work."
    )
    forwarded_ports: list[Port] = option(
        [],
        per_role=True,
        help="More TCP ports of machines that this host can reach, besides SSH, the API server, etcd and discovery.",
    )

    @property
    def root(self) -> Path:
        return self.vm_dir or default_root(os.environ)
