"""kube-provision's public plugin API: the contract, the model, the errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
from .hookspecs import API_VERSION, hookimpl
from .model import (
    DISCOVERY_CLIENT,
    NODE_CONFIG_DIR,
    NODE_DIR,
    PUBLISHER,
    Boot,
    BootFragment,
    Cluster,
    Discovery,
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

if TYPE_CHECKING:
    from .driver import DriverConfig, option
    from .local import LocalFile, LocalPath

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "DISCOVERY_CLIENT",
    "NODE_CONFIG_DIR",
    "NODE_DIR",
    "PUBLISHER",
    "Boot",
    "BootError",
    "BootFragment",
    "Cluster",
    "ConfigError",
    "ControlPlaneError",
    "Discovery",
    "DiscoveryError",
    "DriverConfig",
    "File",
    "FolderError",
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
    "Unit",
    "Vm",
    "hookimpl",
    "option",
]


def __getattr__(name: str) -> Any:
    """Load pydantic only for who declares a configuration: `kube-provision --help` does without it."""
    if name in ("DriverConfig", "option"):
        from . import driver

        return getattr(driver, name)
    if name in ("LocalFile", "LocalPath"):
        from . import local

        return getattr(local, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
