"""This driver's part of a node's boot: the guest agent, and how the node publishes its stage."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from kube_provision_core import PUBLISHER, BootFragment, File

DATASOURCE = "/etc/cloud/cloud.cfg.d/90-kube-provision-fusion.cfg"
"""Later boots must not find their data anywhere else: another instance id would make them first boots."""


@cache
def fragment() -> BootFragment:
    script = files(__package__).joinpath("files", "publish").read_text()
    return BootFragment(
        components=frozenset({"vmware-tools"}),
        files=(File(PUBLISHER, script, mode=0o755), File(DATASOURCE, "datasource_list: [VMware]\n")),
    )
