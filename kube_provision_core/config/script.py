"""The boot script's vocabulary: the user's own files, commands, users, volumes … on every node, whatever its system."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from ..contract.driver import DriverConfig, option
from ..contract.local_paths import LocalFile
from .words import (
    AbsolutePath,
    ImageReference,
    Line,
    Mode,
    MountPoint,
    Owner,
    PublicKey,
    ServiceName,
    Sysctl,
    UserName,
    Variable,
    Word,
)

FileSystem = Literal["ext4", "xfs"]

MAX_DISK_GIB = 65536


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, defer_build=True)


class Source(Strict):
    """The longer form of a file or a template: where it comes from, who owns it."""

    source: LocalFile
    owner: Owner = "root:root"
    mode: Mode = "0644"


def _long_form(value: object) -> object:
    return value if isinstance(value, (Source, dict)) else {"source": value}


FileSource = Annotated[Source, BeforeValidator(_long_form, json_schema_input_type=str | Source)]
"""Written as a local path, or in the longer form; always read as the longer form."""


def _refuse_docker_args(value: object) -> None:
    raise ValueError("there is no Docker on a node; containers run by `ctr run --net-host`: use `args`, `env`, `volumes`")


class Container(Strict):
    """A container that runs as a systemd unit on the node's container runtime, on the host's network."""

    image: ImageReference
    service: ServiceName
    env: dict[Variable, str] = {}
    args: list[str] = []
    volumes: list[str] = []
    """`source:destination` or `source:destination:ro`."""
    ports: list[str] = []
    """Informational: the container shares the host's network."""
    docker_args: Annotated[None, BeforeValidator(_refuse_docker_args), WithJsonSchema({"not": {}})] = None
    """Refused: there is no Docker on a node."""


class User(Strict):
    name: UserName
    ssh_keys: list[PublicKey] = []


class Volume(Strict):
    """A block device, formatted once and mounted at every boot."""

    dev: AbsolutePath
    mount: MountPoint
    format: FileSystem = "ext4"
    owner: Owner = "root:root"
    size: str | None = None
    """Informational: how large the device is meant to be."""


class DataVolume(Strict):
    """A disk that a machine is made with: formatted once and mounted at every boot."""

    size: int = Field(ge=1, le=MAX_DISK_GIB)
    """GiB."""
    mount: MountPoint
    format: FileSystem = "ext4"


class ScriptConfig(DriverConfig):
    """Keys of the boot script. All may differ per role."""

    files: dict[AbsolutePath, FileSource] = option(
        {},
        per_role=True,
        help="Files put on the node: remote path to local path, or to `{source, owner, mode}`.",
    )
    templates: dict[AbsolutePath, FileSource] = option(
        {},
        per_role=True,
        help="Jinja templates put on the node, written like `files`. They see `node`, `cluster` and `env_vars`.",
    )
    pre_commands: list[str] = option([], per_role=True, help="Shell commands before the cluster's own steps.")
    commands: list[str] = option([], per_role=True, help="Shell commands after the node has joined.")
    phone_home: list[str] = option([], per_role=True, help="Shell commands at the end of every first boot.")
    packages: list[Word] = option([], per_role=True, help="Extra packages, in the operating system's own words.")
    containers: list[Container] = option(
        [],
        per_role=True,
        help="Containers run as systemd units on the container runtime: `image`, `service`, `env`, `args`, `volumes`.",
    )
    sysctls: dict[Sysctl, Line] = option({}, per_role=True, help="Kernel parameters.")
    env_vars: dict[Variable, str] = option(
        {}, per_role=True, help="Environment variables for every login and for the boot script."
    )
    mounts: dict[MountPoint, str] = option({}, per_role=True, help="File systems to mount: mount point to source.")
    volumes: list[Volume] = option(
        [], per_role=True, help="Block devices to format once and mount: `dev`, `mount`, `format`, `owner`, `size`."
    )
    users: list[User] = option(
        [],
        per_role=True,
        example='[{name: me, ssh_keys: ["${SSH_KEY}"]}]',
        help="Users with `ssh_keys` and password-less sudo.",
    )
    cloud_init: dict[str, Any] = option({}, per_role=True, help="Raw cloud-config, merged in last.")
