"""The user's containers: each a systemd unit that runs one on containerd, in the host's network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..contract.boot import NODE_CONFIG_DIR, BootFragment, File, Stage, Step, Unit
from ..contract.components import Component
from ..contract.errors import BootError
from . import registries
from .templating import render

if TYPE_CHECKING:
    from ..config.core import CoreConfig
    from ..config.script import Container

NAMESPACE = "kube-provision"
"""containerd's namespace of these containers, which keeps the kubelet's garbage collection away from their images."""

RESERVED = frozenset({"containerd", "kubelet", "nginx", "ssh", "sshd"})
"""Services of the node's own, which a container's unit would take the place of."""

START_LIMIT = 900
"""Seconds for pulling and starting all of them."""


def containers(config: CoreConfig) -> BootFragment:
    """Raises `BootError` for what a unit cannot express."""
    wanted = config.containers
    if not wanted:
        return BootFragment()
    names = tuple(f"{container.service}.service" for container in wanted)
    start = render("steps/start.sh", units=names)
    return BootFragment(
        components=frozenset({Component.CONTAINER_RUNTIME}),
        files=(*(_environment(container) for container in wanted), *registries.files(config)),
        units=tuple(map(_unit, wanted)),
        steps=(Step("containers", Stage.FINISH, start, timeout=START_LIMIT),),
    )


def _unit(container: Container) -> Unit:
    if container.service in RESERVED:
        raise BootError(f"containers: {container.service}: is the name of a service of the node's own; choose another one")
    content = render(
        "etc/systemd/system/container.service",
        namespace=NAMESPACE,
        service=container.service,
        image=full_reference(container.image),
        environment=_environment_path(container),
        args=tuple(container.args),
        mounts=tuple(_mount(container.service, volume) for volume in container.volumes),
        registries=registries.FOLDER,
    )
    return Unit(f"{container.service}.service", content)


def full_reference(image: str) -> str:
    """The image's whole name, which containerd wants: `nginx` is `docker.io/library/nginx:latest`."""
    first, _, rest = image.partition("/")
    if not rest or not ("." in first or ":" in first or first == "localhost"):
        image = f"docker.io/{image}" if rest else f"docker.io/library/{image}"
    last = image.rpartition("/")[2]
    return image if ":" in last or "@" in last else f"{image}:latest"


def _mount(service: str, volume: str) -> str:
    """A bind mount in `ctr`'s words."""
    source, _, rest = volume.partition(":")
    destination, _, access = rest.partition(":")
    if not (source.startswith("/") and destination.startswith("/") and access in ("", "ro", "rw")) or "," in volume:
        raise BootError(f"containers: {service}: volume {volume}: must be /source:/destination or /source:/destination:ro")
    return f"type=bind,src={source},dst={destination},options=rbind:{access or 'rw'}"


def _environment_path(container: Container) -> str:
    return f"{NODE_CONFIG_DIR}/containers/{container.service}.env"


def _environment(container: Container) -> File:
    """A file, since arguments of a process can be read by everybody on the machine."""
    for name, value in container.env.items():
        if "\n" in value:
            raise BootError(f"containers: {container.service}: env {name}: must be one line")
    content = "".join(f"{name}={value}\n" for name, value in container.env.items())
    return File(_environment_path(container), content, mode=0o600, secret=True)
