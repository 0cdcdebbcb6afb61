"""The extension `acme`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace

from kube_provision_core import BootFragment, Cluster, Extension, File, Node, Role, Stage, Step, hookimpl

from .config import AcmeConfig

GREETING = "/etc/motd.d/acme"
BANNER = "/etc/issue.d/acme.issue"


class Acme(Extension):
    """Hooks may be called from several threads at once, and for machines in any order."""

    Config = AcmeConfig
    api_version = 1

    def __init__(self, config: Mapping[Role, AcmeConfig]) -> None:
        """No input or output here: whatever is needed is opened by the first hook that needs it."""
        self._config = config

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        """The same every time: `plan` and `render` ask, too, and a run asks again for every machine."""
        config = self._config[node.role]
        text = config.acme_text.replace("{name}", node.name)
        return BootFragment(
            packages=frozenset(config.acme_packages),
            files=(File(GREETING, f"{text}\n"),),
            steps=(Step("greeting", Stage.FINISH, f"test -s {GREETING}", timeout=60),),
        )

    @hookimpl(wrapper=True, specname="render_boot")
    def show_steps(self, node: Node) -> Generator[None, list[BootFragment], list[BootFragment]]:
        """It wraps what all plugins add, secrets included: what it does not change, it hands on as it is."""
        fragments = yield
        names = sorted({step.name for fragment in fragments for step in fragment.steps})
        banner = File(BANNER, f"{node.name}: {', '.join(names)}\n")
        return [replace(it, files=(*it.files, banner)) if _is_ours(it) else it for it in fragments]


def _is_ours(fragment: BootFragment) -> bool:
    return any(file.path == GREETING for file in fragment.files)
