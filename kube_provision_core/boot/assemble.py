"""One machine's fragments → its `Boot`."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..contract.boot import NODE_CONFIG_DIR, NODE_DIR, Boot, File, Stage, Step
from ..contract.errors import BootError, PluginError
from ..contract.machines import Node, Role
from ..contract.packages import Packages, Repository
from .cloud_config import document
from .components import components, versions
from .kubeadm import recheck
from .merge import CORE, merge
from .minify import minify
from .private_keys import value_holds_private_key
from .relay import NamedFragment, plugin_names
from .step_order import OwnedStep
from .trust import trusted

if TYPE_CHECKING:
    from ..registry import Plugins
    from . import Configuration

ROOT = "root:root"


def assemble(plugins: Plugins, contributed: Sequence[NamedFragment], node: Node, config: Configuration) -> Boot:
    """See `Renderer.render`. `contributed`: what plugins and the core's parts have answered for this node."""
    packages = ask_packages(plugins, contributed, config)
    installed = NamedFragment(plugin=config.core.os, files=packages.files, steps=packages.steps)
    everything = (*contributed, trusted(plugins, config), installed)
    merged = merge((*everything, _ownership(everything)), node.role, plugin_names("os", config.core.os))
    if _is_wrapped(plugins):
        recheck(merged.files, config.core.kubernetes_version)
    files = (*map(minified, merged.files), _steps_file(merged.steps))
    user = config.by_role[node.role].cloud_init
    _refuse_private_key(user, node.role)
    return Boot(
        hostname=node.name,
        instance_id=f"{node.name}-{uuid.uuid4()}",
        user_data=document(node.name, files, merged.enabled, merged.cloud_config, user),
        files=files,
    )


def _is_wrapped(plugins: Plugins) -> bool:
    """Whether a plugin may have changed what the core's own parts had checked."""
    return any(impl.wrapper for impl in plugins.hook.render_boot.get_hookimpls())


def minified(file: File) -> File:
    """Programs of ours travel without their comments."""
    ours = file.path.startswith(f"{NODE_DIR}/") and file.path.endswith(".py") and isinstance(file.content, str)
    return _shortened(file) if ours else file


@lru_cache(maxsize=64)
def _shortened(file: File) -> File:
    """The same on every machine."""
    return replace(file, content=minify(str(file.content)))


def ask_packages(plugins: Plugins, contributed: Sequence[NamedFragment], config: Configuration) -> Packages:
    """What the OS driver says, asked once for the union."""
    answer = plugins.ask.os_packages(
        components=components(contributed),
        versions=versions(contributed),
        repositories=mirrors(config),
        extra=frozenset().union(*(fragment.packages for fragment in contributed)),
    )
    if answer is None:
        raise PluginError(f"os driver {config.core.os} does not answer os_packages, so nothing can be installed")
    return answer


def mirrors(config: Configuration) -> dict[str, Repository]:
    """The configured mirrors by component."""
    return {name: Repository(it.url, it.key) for name, it in config.core.package_repositories.items()}


def _ownership(contributed: Iterable[NamedFragment]) -> NamedFragment:
    """Gives files to their owners once those exist: `write_files` runs before users and packages do."""
    owners = {file.path: file.owner for fragment in contributed for file in fragment.files if file.owner != ROOT}
    script = "\n".join(f"chown {shlex.quote(owner)} {shlex.quote(path)}" for path, owner in sorted(owners.items()))
    return NamedFragment(plugin=CORE, steps=(Step("ownership", Stage.INSTALL, script),) if owners else ())


@lru_cache(maxsize=16)
def _steps_file(steps: tuple[OwnedStep, ...]) -> File:
    """What the runner walks through; on machines of one kind the same."""
    listed = [
        {
            "stage": owned.step.stage,
            "plugin": owned.plugin,
            "name": owned.step.name,
            "path": owned.path,
            "timeout": owned.step.timeout,
            "attempts": owned.step.attempts,
        }
        for owned in steps
    ]
    return File(f"{NODE_CONFIG_DIR}/steps.json", json.dumps(listed, indent=1) + "\n")


def _refuse_private_key(user: Mapping[str, Any], role: Role) -> None:
    if role is not Role.MASTER and value_holds_private_key(user):
        raise BootError(f"cloud_init: holds a private key, and a {role} machine must not be given one")
