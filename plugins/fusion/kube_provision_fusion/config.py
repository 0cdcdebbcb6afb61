"""The driver's keys of the configuration."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

from kube_provision_core import DriverConfig, LocalPath, option


class CloneType(StrEnum):
    LINKED = "linked"
    FULL = "full"


def _machine_file(path: Path) -> Path:
    if path.suffix.lower() == ".vmwarevm":
        raise ValueError(f"is a bundle: name the .vmx file in it, such as {path / path.with_suffix('.vmx').name}")
    if path.suffix.lower() != ".vmx":
        raise ValueError("must name a .vmx file")
    return path


class FusionConfig(DriverConfig):
    """Which machine is cloned, and where the clones lie. Paths are those of the computer that runs this program."""

    template: Annotated[LocalPath, AfterValidator(_machine_file)] = option(
        per_role=True,
        example="~/Virtual Machines.localized/ubuntu.vmwarevm/ubuntu.vmx",
        help="The .vmx file of the machine that is cloned. It must be shut down and not encrypted.",
    )
    bake_from: Annotated[LocalPath, AfterValidator(_machine_file)] | None = option(
        None, help="The .vmx file of the machine that `bake` makes the template from; shut down and not encrypted."
    )
    vm_dir: LocalPath = option(
        example="~/Virtual Machines.localized", help="Folder in which each machine gets a folder of its own. It must exist."
    )
    snapshot: Annotated[str, StringConstraints(min_length=1)] | None = option(
        None,
        per_role=True,
        help="Snapshot of the template to clone; unset: linked clones start from one that is taken once per state of the "
        "template, full ones from its current state.",
    )
    clone_type: CloneType = option(
        CloneType.LINKED,
        per_role=True,
        help="`linked`: fast, small, and bound to the template. `full`: independent, and the boot disk can grow.",
    )
    vmrun: LocalPath | None = option(
        None, help="The program vmrun; unset: VMware Fusion's on macOS, VMware Workstation's on Linux."
    )
