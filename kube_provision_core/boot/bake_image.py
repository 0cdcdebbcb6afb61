"""What a template is to hold: the packages and images of every role that uses it, as a script and as boot data."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from ..contract.boot import NODE_DIR, PUBLISHER, Boot, File, Stage, Step
from ..contract.components import Component
from ..contract.machines import Cluster, Machine, Node
from ..contract.packages import Packages
from ..contract.templates import Image
from . import container_runtime, kubelet, proxies, registries
from .assemble import ask_packages, mirrors
from .bake_script import file_command, step_command
from .cloud_config import document
from .containers import NAMESPACE
from .merge import unit_path
from .relay import NamedFragment, plugin_names
from .templating import IMPORTED, render
from .trust import trusted

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..registry import Plugins
    from . import Configuration

UNIT = "kube-provision-bake.service"
SCRIPT = f"{NODE_DIR}/bake.sh"

SIZE = Machine(cpu=2, memory_gib=2)
"""What installing packages and unpacking images takes. Machines that are made of the template have sizes of their own."""

_NO_SPEC = "@SPEC@"
"""Stands in the script for the hash of the script."""


def bake(
    plugins: Plugins,
    contributed: Sequence[NamedFragment],
    nodes: Sequence[Node],
    cluster: Cluster,
    config: Configuration,
    source: str,
) -> Image:
    """See `Renderer.bake`. `contributed`: what plugins and the core's parts have answered for all these nodes."""
    packages = ask_packages(plugins, contributed, config)
    configs = [config.by_role[node.role] for node in nodes]
    target = _files_of(contributed, config.core.target)
    programs = tuple(filter(_is_program, target))
    trust = trusted(plugins, config)
    pulls = _has(Component.KUBEADM, contributed)
    units = (kubelet.once_configured(),) if pulls else ()
    written = (*packages.files, *trust.files, *(file for file in target if file not in programs), *units)
    body = render(
        "bake.sh",
        spec=_NO_SPEC,
        files=tuple(map(file_command, written)),
        packages=tuple(_installing(contributed, packages, trust, config.core.os)),
        images=tuple(_imaging(configs)) if pulls else (),
        list_versions=packages.list_versions,
        list_images=_list_images(configs[0]) if pulls else "",
        seals=tuple(_sealing(plugins, configs[0])),
    )
    spec = hashlib.sha256(f"{source}\n{body}".encode()).hexdigest()[:12]
    script = body.replace(_NO_SPEC, spec)
    boot = _boot(f"bake-{spec}", script, programs, configs[0], cluster)
    return Image(spec, boot, script, SIZE, mirrors(config))


# --- the script's parts --------------------------------------------------------------------------------------------


def _installing(
    contributed: Sequence[NamedFragment], packages: Packages, trust: NamedFragment, system: str
) -> Iterator[str]:
    """The system's own preparations, such as seeing whether it is the right one, then whom it trusts, then its packages."""
    prepare = [step for fragment in contributed if fragment.plugin in plugin_names("os", system) for step in fragment.steps]
    steps = [step for step in (*prepare, *trust.steps, *packages.steps) if step.stage is Stage.PREPARE]
    steps += [step for step in packages.steps if step.stage is Stage.INSTALL]
    return (step_command(system, step) for step in dict.fromkeys(steps))


def _imaging(configs: Sequence[CoreConfig]) -> Iterator[str]:
    """With the container runtime configured as a node has it: images are pulled as a node would pull them."""
    config = configs[0]
    pull = render("steps/kubernetes-images.sh", image_repository=config.image_repository, archives=config.image_archives)
    yield file_command(container_runtime.configuration())
    yield from map(_registry_command, registries.files(config))
    yield step_command("kubeadm", container_runtime.start(config, Stage.INSTALL))
    if config.image_archives:
        yield step_command("kubeadm", _archives(config.image_archives, any(it.containers for it in configs)))
    yield step_command("kubeadm", Step("images", Stage.INSTALL, pull, timeout=3600))


def _registry_command(file: File) -> str:
    """A script shows no password: such a file comes with the boot data, or somebody has written it."""
    if not file.secret:
        return file_command(file)
    lacks = f"{file.path} is missing: it holds a password, which this script does not (see docs/registries.md)"
    return f"[ -e {shlex.quote(file.path)} ] || refuse {shlex.quote(lacks)}"


def _archives(source: str, with_containers: bool) -> Step:
    """As at a first boot, which then finds written down what it need not import again."""
    namespaces = ("k8s.io", NAMESPACE) if with_containers else ("k8s.io",)
    script = render("steps/images.sh", source=source, namespaces=namespaces)
    lines = " ".join(shlex.quote(f"{namespace} {source}") for namespace in namespaces)
    return Step("archives", Stage.INSTALL, f"{script}printf '%s\\n' {lines} >{IMPORTED}\n", timeout=1800)


def _sealing(plugins: Plugins, config: CoreConfig) -> Iterator[str]:
    """The plugins' steps, then the core's own."""
    for steps in plugins.ask.seal_image():
        yield from (step_command("seal", step) for step in steps)
    brought = tuple(file.path for file in registries.files(config))
    yield step_command("seal", Step("seal", Stage.FINISH, render("steps/seal.sh", registries=brought), timeout=600))


def _list_images(config: CoreConfig) -> str:
    options = f" --image-repository {shlex.quote(config.image_repository)}" if config.image_repository else ""
    return f'kubeadm config images list --kubernetes-version "$(kubeadm version --output short)"{options}'


# --- the boot data -------------------------------------------------------------------------------------------------


def _boot(name: str, script: str, programs: Sequence[File], config: CoreConfig, cluster: Cluster) -> Boot:
    """A machine that boots it runs the script once; it is no node, and none of the users of nodes is made.

    `programs` are the target's, which the script has no use for elsewhere; its other files the script itself writes.
    """
    unit = render(f"etc/systemd/system/{UNIT}", publisher=PUBLISHER, proxy=proxies.ENVIRONMENT, script=SCRIPT)
    files = (
        *programs,
        File(SCRIPT, script, mode=0o700),
        File(unit_path(UNIT), unit),
        *((proxies.environment_file(config, cluster),) if proxies.is_proxied(config) else ()),
        *(file for file in registries.files(config) if file.secret),
    )
    return Boot(name, name, document(name, files, (), {}, {}, start=UNIT), files)


# --- details -------------------------------------------------------------------------------------------------------


def _has(component: Component, contributed: Sequence[NamedFragment]) -> bool:
    return any(component in fragment.components for fragment in contributed)


def _files_of(contributed: Sequence[NamedFragment], target: str) -> tuple[File, ...]:
    names = plugin_names("target", target)
    return tuple(dict.fromkeys(chain.from_iterable(it.files for it in contributed if it.plugin in names)))


def _is_program(file: File) -> bool:
    return file.path.startswith(f"{NODE_DIR}/")
