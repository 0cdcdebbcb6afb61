"""containerd, told what kubeadm's nodes need of it."""

from __future__ import annotations

from ..model import File
from .templating import render

REGISTRY_HOSTS = "/etc/containerd/certs.d"
"""Where containerd looks for mirrors of a registry."""


def configuration() -> File:
    return File("/etc/containerd/config.toml", render("etc/containerd/config.toml", registry_hosts=REGISTRY_HOSTS))


def docker_hub_mirror(url: str) -> File:
    """Asked before Docker Hub itself."""
    content = render("etc/containerd/certs.d/docker.io/hosts.toml", mirror=url)
    return File(f"{REGISTRY_HOSTS}/docker.io/hosts.toml", content)
