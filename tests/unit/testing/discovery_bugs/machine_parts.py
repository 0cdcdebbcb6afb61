"""Bugs in what machines are given."""

from __future__ import annotations

from dataclasses import replace

from kube_provision_core import NODE_DIR, BootFragment, File, hookimpl

from ..part_bugs import part_bugs
from ..planted import fails
from .sound import Sound

globals().update(part_bugs(Sound, "a-token"))


@fails("test_every_node_gets_a_discovery_client")
class DeliversNoClient(Sound):
    @hookimpl
    def render_boot(self, node, cluster):
        return BootFragment(files=super().render_boot(node, cluster).files[1:])


def beginning(line):
    """The driver, with another first line in its client."""

    class Driver(Sound):
        @hookimpl
        def render_boot(self, node, cluster):
            client, *others = super().render_boot(node, cluster).files
            return BootFragment(files=(replace(client, content=f"{line}\n{client.content}"), *others))

    return Driver


def bringing(name, content):
    """The driver, with one more file among the programs."""

    class Driver(Sound):
        @hookimpl
        def render_boot(self, node, cluster):
            return BootFragment(files=(*super().render_boot(node, cluster).files, File(f"{NODE_DIR}/{name}", content)))

    return Driver


@fails("test_every_node_gets_a_discovery_client")
class DeliversTwoClients(bringing("discovery/__init__.py", "from ._client import UnavailableError, connect\n")):
    pass


@fails("test_programs_need_nothing_but_the_standard_library")
class ImportsWhatNoNodeHas(beginning("import requests")):
    pass


@fails("test_programs_need_nothing_but_the_standard_library")
class ImportsFromAPackageThatItIsNot(beginning("from .share import Share")):
    pass


@fails("test_programs_need_nothing_but_the_standard_library")
class ImportsTheProgramsOfANode(beginning("from kube_provision_node import settings")):
    pass


@fails("test_programs_need_nothing_but_the_standard_library")
class BringsAProgramThatImportsWhatNoNodeHas(bringing("whisper/wait.py", "import requests\n")):
    pass


@fails("test_programs_are_written_in_the_python_of_the_oldest_node")
class BringsAProgramOfALaterPython(bringing("whisper.py", "match 1:\n    case 1:\n        pass\n")):
    pass
