"""The extension on docs/plugins-together.md does what the page says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pluggy

from kube_provision_core import BootFragment, DriverConfig, Role, Stage, Step, hookimpl
from kube_provision_core.contract import hookspecs
from kube_provision_core.testing import cluster_of, node_of

PAGE = Path(__file__).parents[3] / "docs/plugins-together.md"


def extension() -> Any:
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)  # the page's own text
    return names["Patient"](dict.fromkeys(Role, DriverConfig()))


class Slow:
    @hookimpl
    def render_boot(self) -> BootFragment:
        return BootFragment(steps=(Step("slow", Stage.FINISH, "true", timeout=60),))


def test_it_changes_what_others_answer() -> None:
    plugins = pluggy.PluginManager(hookspecs.PROJECT)
    plugins.add_hookspecs(hookspecs)
    plugins.register(Slow())
    plugins.register(extension())
    (fragment,) = plugins.hook.render_boot(node=node_of("w-1"), cluster=cluster_of())
    assert [step.timeout for step in fragment.steps] == [120]
