"""What a template is to hold: the packages and images of every role that uses it, as a script and as boot data."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from ..image import Image
from ..model import NODE_DIR, PUBLISHER, Boot, Cluster, File, Machine, Node, Packages, Stage, Step
from . import container_runtime, proxies
from .assemble import ask_packages, mirrors
from .bake_script import file_command, step_command
from .cloud_config import document
from .containers import NAMESPACE
from .merge import unit_path
from .relay import NamedFragment, fragments
from .templating import IMPORTED, render

if TYPE_CHECKING:
    import pluggy

    from ..config.core import CoreConfig
    from . import Configuration

UNIT = "kube-provision-bake.service"
SCRIPT = f"{NODE_DIR}/bake.sh"

SIZE = Machine(cpu=2, memory_gib=2)
"""What installing packages and unpacking images takes. Machines that are made of the template have sizes of their own."""

_NO_SPEC = "@SPEC@"
"""Stands in the script for the hash of the script."""


def bake(
    plugins: pluggy.PluginManager, nodes: Sequence[Node], cluster: Cluster, config: Configuration, source: str
) -> Image:
    """See `kube_provision_core.boot.bake`."""
    contributed = [fragment for node in nodes for fragment in fragments(plugins, node, cluster)]
    packages = ask_packages(plugins, contributed, config)
    configs = [config.by_role[node.role] for node in nodes]
    target = _files_of(contributed, config.core.target)
    programs = tuple(filter(_is_program, target))
    body = render(
        "bake.sh",
        spec=_NO_SPEC,
        files=tuple(map(file_command, (*packages.files, *(file for file in target if file not in programs)))),
        packages=tuple(_installing(contributed, packages, config.core.os)),
        images=tuple(_imaging(contributed, configs)),
        list_versions=packages.list_versions,
        list_images=_list_images(configs[0]) if _has("kubeadm", contributed) else "",
        seals=tuple(_sealing(plugins)),
    )
    spec = hashlib.sha256(f"{source}\n{body}".encode()).hexdigest()[:12]
    script = body.replace(_NO_SPEC, spec)
    boot = _boot(f"bake-{spec}", script, programs, configs[0], cluster)
    return Image(spec, boot, script, SIZE, mirrors(config))


# --- the script's parts --------------------------------------------------------------------------------------------


def _installing(contributed: Sequence[NamedFragment], packages: Packages, system: str) -> Iterator[str]:
    """The system's own preparations, such as seeing whether it is the right one, then its packages."""
    prepare = [step for fragment in contributed if _is_of(fragment, system) for step in fragment.steps]
    steps = [step for step in (*prepare, *packages.steps) if step.stage is Stage.PREPARE]
    steps += [step for step in packages.steps if step.stage is Stage.INSTALL]
    return (step_command(system, step) for step in dict.fromkeys(steps))


def _imaging(contributed: Sequence[NamedFragment], configs: Sequence[CoreConfig]) -> Iterator[str]:
    """With the container runtime configured as a node has it: images are pulled as a node would pull them."""
    if not _has("kubeadm", contributed):
        return
    config = configs[0]
    runtime = render("steps/container-runtime.sh", image_repository=config.image_repository)
    pull = render("steps/kubernetes-images.sh", image_repository=config.image_repository, archives=config.image_archives)
    yield file_command(container_runtime.configuration())
    yield step_command("kubeadm", Step("container-runtime", Stage.INSTALL, runtime, timeout=180))
    if config.image_archives:
        yield step_command("kubeadm", _archives(config.image_archives, any(it.containers for it in configs)))
    yield step_command("kubeadm", Step("images", Stage.INSTALL, pull, timeout=3600))


def _archives(source: str, with_containers: bool) -> Step:
    """As at a first boot, which then finds written down what it need not import again."""
    namespaces = ("k8s.io", NAMESPACE) if with_containers else ("k8s.io",)
    script = render("steps/images.sh", source=source, namespaces=namespaces)
    lines = " ".join(shlex.quote(f"{namespace} {source}") for namespace in namespaces)
    return Step("archives", Stage.INSTALL, f"{script}printf '%s\\n' {lines} >{IMPORTED}\n", timeout=1800)


def _sealing(plugins: pluggy.PluginManager) -> Iterator[str]:
    """The plugins' steps, then the core's own."""
    for steps in plugins.hook.seal_image():
        yield from (step_command("seal", step) for step in steps)
    yield step_command("seal", Step("seal", Stage.FINISH, render("steps/seal.sh"), timeout=600))


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
    )
    return Boot(name, name, document(name, files, (), {}, {}, start=UNIT), files)


# --- details -------------------------------------------------------------------------------------------------------


def _has(component: str, contributed: Sequence[NamedFragment]) -> bool:
    return any(component in fragment.components for fragment in contributed)


def _is_of(fragment: NamedFragment, driver: str) -> bool:
    """A driver's plugin bears its name, or kind and name where another plugin has that name too."""
    return fragment.plugin == driver or fragment.plugin in (f"os-{driver}", f"target-{driver}")


def _files_of(contributed: Sequence[NamedFragment], driver: str) -> tuple[File, ...]:
    return tuple(dict.fromkeys(chain.from_iterable(it.files for it in contributed if _is_of(it, driver))))


def _is_program(file: File) -> bool:
    return file.path.startswith(f"{NODE_DIR}/")
