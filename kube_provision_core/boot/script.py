"""The core's own part for what users add to a machine: their files, commands, users, variables, disks and containers."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..contract.boot import NODE_CONFIG_DIR, BootFragment, File, Stage, Step
from ..contract.errors import BootError
from ..contract.machines import Cluster, Node, Role
from . import local_files, storage
from .containers import containers
from .templating import render

if TYPE_CHECKING:
    from jinja2 import Environment

    from ..config.core import CoreConfig
    from ..config.script import Source
    from ..folder.pki import JoinSecrets

ENVIRONMENT = f"{NODE_CONFIG_DIR}/environment"
"""An `EnvironmentFile` of the runner's, so that every step has these variables."""
SYSCTLS = "/etc/sysctl.d/90-kube-provision-user.conf"
"""Read after the core's own, so that the user's values win."""
SYSCTLS_LATER = "/etc/udev/rules.d/90-kube-provision-sysctls.rules"
"""Parameters of a module are there once something needs it, at every boot anew: nf_conntrack is loaded for kube-proxy."""
COMMANDS_LIMIT = 3600
"""Seconds for a list of the user's commands."""


class ScriptPart:
    """The keys of the boot script, and the core's few that concern a machine rather than the cluster."""

    def __init__(self, config: Mapping[Role, CoreConfig]) -> None:
        self._config = config

    def render_boot(self, node: Node, cluster: Cluster, secrets: JoinSecrets) -> BootFragment:
        """Raises `BootError`, with a line for each of the user's files that cannot be read or rendered."""
        config = self._config[node.role]
        pieces = (
            _environment(config),
            _kernel_parameters(config),
            storage.mounts(config.mounts),
            storage.volumes(config.volumes),
            storage.data_volumes(config.further_disks, config.volumes),
            _commands("pre-commands", Stage.PREPARE, config.pre_commands),
            containers(config),
            _commands("commands", Stage.FINISH, config.commands),
            _commands("phone-home", Stage.FINISH, config.phone_home),
            BootFragment(files=_users_files(config, node, cluster), packages=frozenset(config.packages)),
        )
        return BootFragment(
            components=frozenset().union(*(piece.components for piece in pieces)),
            packages=frozenset().union(*(piece.packages for piece in pieces)),
            files=tuple(chain.from_iterable(piece.files for piece in pieces)),
            units=tuple(chain.from_iterable(piece.units for piece in pieces)),
            steps=tuple(chain.from_iterable(piece.steps for piece in pieces)),
            cloud_config=_cloud_config(config),
        )


# --- files and templates -------------------------------------------------------------------------------------------


def _users_files(config: CoreConfig, node: Node, cluster: Cluster) -> tuple[File, ...]:
    def render_template(source: Path, key: str) -> str:
        return _render_template(source, key, {"node": node, "cluster": cluster, "env_vars": config.env_vars})

    files: list[File] = []
    faults: list[str] = []
    for section, sources, content in (
        ("files", config.files, local_files.read),
        ("templates", config.templates, render_template),
    ):
        for path, source in sources.items():
            try:
                files.append(_file(path, source, content(source.source, f"{section}: {path}")))
            except BootError as error:
                faults.append(str(error))
    if faults:
        raise BootError("\n".join(faults))
    return tuple(files)


def _file(path: str, source: Source, content: str | bytes) -> File:
    mode = int(source.mode, 8)
    return File(path, content, mode, _owner(source.owner), secret=not mode & 0o077)


def _owner(owner: str) -> str:
    """A user alone means its own group, as with `chown user:`."""
    return "root:root" if owner in ("root", "root:root") else owner if ":" in owner else f"{owner}:"


def _render_template(path: Path, key: str, values: Mapping[str, Any]) -> str:
    from jinja2 import TemplateError

    local_files.read_text(path, key)
    try:
        return _templates_of(path.parent).get_template(path.name).render(values)
    except (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise BootError(f"{key}: {path}{f':{line}' if line else ''}: {error}") from error


@lru_cache(maxsize=32)
def _templates_of(folder: Path) -> Environment:
    """Templates of one folder may include each other."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    return Environment(
        loader=FileSystemLoader(folder),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - what it makes are configuration files, not HTML
        keep_trailing_newline=True,
    )


# --- the rest ------------------------------------------------------------------------------------------------------


def _commands(name: str, stage: Stage, commands: list[str]) -> BootFragment:
    """One script, so that what one command sets the next one sees."""
    return BootFragment(steps=(Step(name, stage, "\n".join(commands), timeout=COMMANDS_LIMIT),) if commands else ())


def _environment(config: CoreConfig) -> BootFragment:
    """For the steps, for shells that people log in to, and for the services of users."""
    if not config.env_vars:
        return BootFragment()
    for name, value in config.env_vars.items():
        if "\n" in value:
            raise BootError(f"env_vars: {name}: must be one line")
    quoted = {name: shlex.quote(value) for name, value in config.env_vars.items()}
    exports = "".join(f"export {name}={value}\n" for name, value in quoted.items())
    assignments = "".join(f"{name}={value}\n" for name, value in quoted.items())
    return BootFragment(files=(File(ENVIRONMENT, assignments), File("/etc/profile.d/kube-provision.sh", exports)))


def _kernel_parameters(config: CoreConfig) -> BootFragment:
    if not config.sysctls:
        return BootFragment()
    content = "".join(f"{name} = {value}\n" for name, value in config.sysctls.items())
    paths = tuple(map(_sysctl_path, config.sysctls))
    step = Step("sysctls", Stage.PREPARE, render("steps/sysctls.sh", file=SYSCTLS, paths=paths), timeout=60)
    rule = File(SYSCTLS_LATER, render(SYSCTLS_LATER.lstrip("/"), file=SYSCTLS))
    return BootFragment(files=(File(SYSCTLS, content), rule), steps=(step,))


def _sysctl_path(name: str) -> str:
    """Below /proc/sys. Either separator may stand in the other's place, the first one decides: see sysctl.d(5)."""
    dotted = name.find("/") == -1 or 0 <= name.find(".") < name.find("/")
    return name.translate({ord("."): "/", ord("/"): "."}) if dotted else name


def _cloud_config(config: CoreConfig) -> dict[str, Any]:
    """What cloud-init does better than a step."""
    values: dict[str, Any] = {}
    if config.users:
        values["users"] = ["default", *(_user(user.name, user.ssh_keys) for user in config.users)]
    if config.timezone:
        values["timezone"] = config.timezone
    return values


def _user(name: str, ssh_keys: list[str]) -> dict[str, Any]:
    # A group of that name may be there already, as `operator` is on most systems: useradd alone would refuse the user then.
    group = {"groups": [name], "primary_group": name}
    user = {"name": name, **group, "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL", "lock_passwd": True}
    return user | ({"ssh_authorized_keys": list(ssh_keys)} if ssh_keys else {})
