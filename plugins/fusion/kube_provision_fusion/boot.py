"""This driver's part of a node's boot: the guest agent, how the node publishes its stage, receives tasks, and empties its
user-data."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.resources import files

from kube_provision_core import PUBLISHER, BootFragment, Component, File, GuestInfo

DATASOURCE = "/etc/cloud/cloud.cfg.d/90-kube-provision-fusion.cfg"
"""Later boots must not find their data anywhere else: another instance id would make them first boots."""


@cache
def fragment(interface: str = "") -> BootFragment:
    """`interface`: the one in the nodes' network, of several."""
    script = files(__package__).joinpath("files", "publish").read_text().replace("@INTERFACE@", interface)
    emptying = GuestInfo.emptied_by_the_node()
    return replace(
        emptying,
        components=frozenset({Component.VMWARE_TOOLS}),
        files=(
            File(PUBLISHER, script, mode=0o755),
            GuestInfo.receiver(),
            File(DATASOURCE, "datasource_list: [VMware]\n"),
            *emptying.files,
        ),
    )
