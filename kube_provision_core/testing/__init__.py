"""Contract suites for plugin authors: subclass one, tell it how to make your driver, run pytest.

    from kube_provision_core.testing import TargetContract

    class TestMyTarget(TargetContract):
        @pytest.fixture
        def make_driver(self, server):
            return lambda: MyTarget({role: MyConfig(...) for role in Role})

Every check is named for what it demands. Optional fixtures unlock further checks; see each suite.
"""

from .baking import BakingContract
from .discovery import DiscoveryContract
from .discovery_client import client_of
from .extension import ExtensionContract
from .os import OsContract
from .samples import boot_of, cluster_of, image_of, node_of
from .target import TargetContract

__all__ = [
    "BakingContract",
    "DiscoveryContract",
    "ExtensionContract",
    "OsContract",
    "TargetContract",
    "boot_of",
    "client_of",
    "cluster_of",
    "image_of",
    "node_of",
]
