"""`python -m kube_provision_core.config > docs/configuration.md`: the configuration's documentation."""

from __future__ import annotations

import sys
from importlib import resources

from ..registry import FoundDriver, choose, installed
from .markdown import reference


def documentation() -> str:
    """The introduction, then the reference of the core's keys and of those of all drivers of this project."""
    introduction = resources.files(__package__).joinpath("configuration.md").read_text("utf-8")
    return introduction + reference(_own_drivers())


def _own_drivers() -> list[FoundDriver]:
    own = [plugin for plugin in installed() if plugin.distribution.startswith("kube-provision-")]
    drivers = [choose(plugin.kind, plugin.name) for plugin in own]
    return list({(driver.kind, driver.name): driver for driver in drivers}.values())


if __name__ == "__main__":
    sys.stdout.write(documentation())
