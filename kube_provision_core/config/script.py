"""The boot script's vocabulary: the user's own files, commands, users, volumes … on every node, whatever its system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from ..driver import DriverConfig, option

AbsolutePath = Annotated[str, StringConstraints(pattern=r"^/")]
Mode = Annotated[str, StringConstraints(pattern=r"^0?[0-7]{3,4}$")]


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Source(Strict):
    """The longer form of a file or a template: where it comes from, who owns it."""

    source: Path
    owner: str = "root:root"
    mode: Mode = "0644"


class Container(Strict):
    """A container that runs as a systemd unit on the node's container runtime, on the host's network."""

    image: str
    service: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    env: dict[str, str] = {}
    args: list[str] = []
    volumes: list[str] = []
    """`source:destination` or `source:destination:ro`."""
    ports: list[str] = []
    """Informational: the container shares the host's network."""
    docker_args: Any = None
    """Refused: there is no Docker on a node."""


class User(Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]
    ssh_keys: list[str] = []


class Volume(Strict):
    """A block device, formatted once and mounted at every boot."""

    dev: AbsolutePath
    mount: AbsolutePath
    format: Literal["ext4", "xfs"] = "ext4"
    owner: str = "root:root"
    size: str | None = None
    """Informational: how large the device is meant to be."""


class ScriptConfig(DriverConfig):
    """Keys of the boot script. All may differ per role."""

    files: dict[AbsolutePath, Path | Source] = option(
        {}, per_role=True, help="Files put on the node: remote path to local path."
    )
    templates: dict[AbsolutePath, Path | Source] = option(
        {},
        per_role=True,
        help="Jinja templates put on the node: remote path to local path. They see `node`, `cluster` and `env_vars`.",
    )
    pre_commands: list[str] = option([], per_role=True, help="Shell commands before the cluster's own steps.")
    commands: list[str] = option([], per_role=True, help="Shell commands after the node has joined.")
    phone_home: list[str] = option([], per_role=True, help="Shell commands at the end of every first boot.")
    packages: list[str] = option([], per_role=True, help="Extra packages, in the operating system's own words.")
    containers: list[Container] = option([], per_role=True, help="Containers run as systemd units on the container runtime.")
    sysctls: dict[str, str | int] = option({}, per_role=True, help="Kernel parameters.")
    env_vars: dict[str, str] = option(
        {}, per_role=True, help="Environment variables for every login and for the boot script."
    )
    mounts: dict[AbsolutePath, str] = option({}, per_role=True, help="File systems to mount: mount point to source.")
    volumes: list[Volume] = option([], per_role=True, help="Block devices to format once and mount.")
    users: list[User] = option([], per_role=True, help="Users with SSH keys and password-less sudo.")
    cloud_init: dict[str, Any] = option({}, per_role=True, help="Raw cloud-config, merged in last.")
