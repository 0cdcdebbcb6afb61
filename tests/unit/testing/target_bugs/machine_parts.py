"""Bugs in `render_boot`."""

from __future__ import annotations

from kube_provision_core import PUBLISHER, BootFragment, File, Role, hookimpl

from ..part_bugs import part_bugs
from ..planted import fails
from .sound import Sound

globals().update(part_bugs(Sound, "password-of-the-target"))


def _publishing(*files):
    class Driver(Sound):
        @hookimpl
        def render_boot(self, node, cluster):
            return BootFragment(files=files)

    return Driver


@fails("test_every_node_gets_a_publisher")
class PublishesNothing(_publishing()):
    pass


@fails("test_every_node_gets_a_publisher")
class PublishesByWhatCannotRun(_publishing(File(PUBLISHER, "#!/bin/sh\n"))):
    pass


@fails("test_every_node_gets_a_publisher")
class PublishesByNoProgram(_publishing(File(PUBLISHER, "logger", mode=0o755))):
    pass


@fails("test_every_node_gets_a_publisher")
class PublishesForMastersAlone(Sound):
    @hookimpl
    def render_boot(self, node, cluster):
        return super().render_boot(node, cluster) if node.role is Role.MASTER else None
