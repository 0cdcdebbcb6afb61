"""kube-provision's public plugin API: the contract, the model, the errors."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .contract.addresses import MachineAddresses, judge_addresses
    from .contract.boot import (
        DISCOVERY_CLIENT,
        DISCOVERY_PACKAGE,
        NODE_CONFIG_DIR,
        NODE_DIR,
        PUBLISHER,
        REBOOT_REQUIRED,
        RECEIVER,
        Boot,
        BootFragment,
        File,
        Stage,
        Step,
        Unit,
    )
    from .contract.certificates import valid_certificates
    from .contract.components import Component
    from .contract.driver import DriverConfig, option, raise_faults, tell
    from .contract.errors import (
        BackupError,
        BootError,
        BusyError,
        ConfigError,
        ControlPlaneError,
        DiscoveryError,
        FolderError,
        KubeProvisionError,
        PluginError,
        TargetError,
    )
    from .contract.home import xdg_folder
    from .contract.hookspecs import API_VERSION, hookimpl
    from .contract.host_memory import HostMemory, host_memory
    from .contract.hosts import HostAndPort
    from .contract.kept_files import UNFINISHED, create_file, replace_file, replace_link, telling_os_errors, wait_for_lock
    from .contract.kinds import DiscoveryDriver, Extension, OsDriver, TargetDriver
    from .contract.kubeadm_limits import node_label_fault
    from .contract.local_paths import LocalFile, LocalPath
    from .contract.machines import (
        Cluster,
        Discovery,
        Endpoint,
        FailureDomain,
        Machine,
        MasterRecord,
        Node,
        Power,
        Role,
        Stamp,
        Vm,
    )
    from .contract.networks import (
        NetworkCard,
        Networks,
        Route,
        StaticIp,
        address_shortages,
        interface_name,
        key_in_networks,
        node_card,
        static_ip_problems,
    )
    from .contract.node_network import OnNodeNetwork, check_node_network
    from .contract.packages import Packages, Repository
    from .contract.shell import shell_arrays
    from .contract.status import NodeStatus
    from .contract.subnets import subnets
    from .contract.tasks import task_digest
    from .contract.templates import BAKED, Baked, Baking, Image, Template
    from .contract.urls import Url, without_credentials
    from .datasources.network_config import network_config
    from .datasources.nocloud import NoCloudSeed
    from .datasources.vmware import GuestInfo
    from .families.apt.archive import CODENAME, Archive
    from .families.apt.system import AptSystem
    from .families.dnf.config import DnfConfig
    from .families.dnf.package_sets import DnfPackageSet
    from .families.dnf.system import DnfSystem
    from .families.package_set import PackageSet
    from .support.hiding import hide

__version__ = "0.1.0"

__all__ = [
    "API_VERSION",
    "BAKED",
    "CODENAME",
    "DISCOVERY_CLIENT",
    "DISCOVERY_PACKAGE",
    "NODE_CONFIG_DIR",
    "NODE_DIR",
    "PUBLISHER",
    "REBOOT_REQUIRED",
    "RECEIVER",
    "UNFINISHED",
    "AptSystem",
    "Archive",
    "Baked",
    "Baking",
    "BackupError",
    "Boot",
    "BootError",
    "BootFragment",
    "BusyError",
    "Cluster",
    "Component",
    "ConfigError",
    "ControlPlaneError",
    "Discovery",
    "DiscoveryDriver",
    "DiscoveryError",
    "DnfConfig",
    "DnfPackageSet",
    "DnfSystem",
    "DriverConfig",
    "Endpoint",
    "Extension",
    "FailureDomain",
    "File",
    "FolderError",
    "GuestInfo",
    "HostAndPort",
    "HostMemory",
    "Image",
    "KubeProvisionError",
    "LocalFile",
    "LocalPath",
    "Machine",
    "MachineAddresses",
    "MasterRecord",
    "NetworkCard",
    "Networks",
    "NoCloudSeed",
    "Node",
    "NodeStatus",
    "OnNodeNetwork",
    "OsDriver",
    "PackageSet",
    "Packages",
    "PluginError",
    "Power",
    "Repository",
    "Role",
    "Route",
    "Stage",
    "Stamp",
    "StaticIp",
    "Step",
    "TargetDriver",
    "TargetError",
    "Template",
    "Unit",
    "Url",
    "Vm",
    "address_shortages",
    "check_node_network",
    "create_file",
    "hide",
    "hookimpl",
    "host_memory",
    "interface_name",
    "judge_addresses",
    "key_in_networks",
    "network_config",
    "node_card",
    "node_label_fault",
    "option",
    "raise_faults",
    "replace_file",
    "replace_link",
    "shell_arrays",
    "static_ip_problems",
    "subnets",
    "task_digest",
    "tell",
    "telling_os_errors",
    "valid_certificates",
    "wait_for_lock",
    "without_credentials",
    "xdg_folder",
]


_PARTS = (
    "contract.errors",
    "contract.machines",
    "contract.components",
    "contract.boot",
    "contract.packages",
    "contract.status",
    "contract.tasks",
    "contract.templates",
    "contract.kept_files",
    "contract.home",
    "contract.kubeadm_limits",
    "contract.shell",
    "contract.addresses",
    "contract.certificates",
    "contract.host_memory",
    "contract.hookspecs",
    "contract.driver",
    "contract.kinds",
    "contract.local_paths",
    "contract.node_network",
    "contract.subnets",
    "contract.hosts",
    "contract.urls",
    "contract.networks",
    "datasources.vmware",
    "datasources.nocloud",
    "datasources.network_config",
    "families.package_set",
    "families.apt.archive",
    "families.apt.system",
    "families.dnf.package_sets",
    "families.dnf.config",
    "families.dnf.system",
    "support.hiding",
)
"""Pydantic comes late, as `kube-provision --help` needs none of it, and last what few plugins ask for."""


def __getattr__(name: str) -> Any:
    """Load what is asked for."""
    if name in __all__:
        for part in _PARTS:
            module = import_module(f".{part}", __name__)
            if hasattr(module, name):
                return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
