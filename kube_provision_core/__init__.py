"""kube-provision's public plugin API: the contract, the model, the errors."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .driver import DriverConfig, option
    from .errors import (
        BootError,
        ConfigError,
        ControlPlaneError,
        DiscoveryError,
        FolderError,
        KubeProvisionError,
        PluginError,
        TargetError,
    )
    from .guestinfo import GuestInfo
    from .hookspecs import API_VERSION, hookimpl
    from .image import BAKED, Baked, Baking, Image, Template
    from .kept_files import UNFINISHED, create_file, replace_file, replace_link, telling_os_errors, wait_for_lock
    from .local import LocalFile, LocalPath
    from .model import (
        DISCOVERY_CLIENT,
        NODE_CONFIG_DIR,
        NODE_DIR,
        PUBLISHER,
        Boot,
        BootFragment,
        Cluster,
        Discovery,
        Endpoint,
        File,
        Machine,
        MasterRecord,
        Node,
        NodeStatus,
        Packages,
        Power,
        Repository,
        Role,
        Stage,
        Stamp,
        Step,
        Unit,
        Vm,
    )
    from .shell import shell_arrays

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "BAKED",
    "DISCOVERY_CLIENT",
    "NODE_CONFIG_DIR",
    "NODE_DIR",
    "PUBLISHER",
    "UNFINISHED",
    "Baked",
    "Baking",
    "Boot",
    "BootError",
    "BootFragment",
    "Cluster",
    "ConfigError",
    "ControlPlaneError",
    "Discovery",
    "DiscoveryError",
    "DriverConfig",
    "Endpoint",
    "File",
    "FolderError",
    "GuestInfo",
    "Image",
    "KubeProvisionError",
    "LocalFile",
    "LocalPath",
    "Machine",
    "MasterRecord",
    "Node",
    "NodeStatus",
    "Packages",
    "PluginError",
    "Power",
    "Repository",
    "Role",
    "Stage",
    "Stamp",
    "Step",
    "TargetError",
    "Template",
    "Unit",
    "Vm",
    "create_file",
    "hookimpl",
    "option",
    "replace_file",
    "replace_link",
    "shell_arrays",
    "telling_os_errors",
    "wait_for_lock",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for, pydantic last: `kube-provision --help` needs none of it."""
    if name in __all__:
        for part in ("errors", "model", "image", "kept_files", "shell", "hookspecs", "driver", "local", "guestinfo"):
            module = import_module(f".{part}", __name__)
            if hasattr(module, name):
                return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
