"""How ssh logs in on a machine: its address, its port, and its host keys, which it has told through its hypervisor."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ..contract.errors import ConfigError, TargetError
from ..contract.machines import Endpoint, Power, Vm
from ..engine.session import Session
from .asking import ask
from .planning import look
from .refusals import refuse_strangers
from .run import User

PORT = 22
_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+=*", re.ASCII)
"""The kind of a public key and the key, without the comment."""


@dataclass(frozen=True)
class Way:
    """To one machine."""

    at: Endpoint
    login: str
    """Empty: whom ssh itself takes."""
    alias: str
    """What the machine is called in `Folder.known_hosts`: another one, once it is made anew."""
    known: bool
    """Its host keys are there."""


def way(session: Session, name: str, login: str | None) -> Way:
    """Look where it is. Raises `ConfigError` for what is no machine of the cluster, or does not run."""
    facts = look(session)
    stamps = {vm.name: vm.stamp for vm in facts.seen.ours.values() if vm.stamp}
    refuse_strangers([name], sorted(stamps), facts.seen.cluster.name, "machine")
    vm, stamp = facts.seen.ours[name], stamps[name]
    if vm.power is not Power.ON:
        raise ConfigError(f"{name} is {vm.power.value}, and nobody can log in there: start it")
    alias = f"{name}.{stamp.instance}".lower()
    users = session.config.by_role[stamp.role].users
    login = login or next((user.name for user in users if user.ssh_keys), "")
    return Way(_reached(vm), login, alias, any(line.startswith(f"{alias} ") for line in _kept(session)))


def learn_host_keys(session: Session, name: str, way: Way, user: User) -> None:
    """Have the machine tell them, and keep them: told once, they need not be asked for while it is the same machine.

    Raises `ConfigError`, or `TargetError`, where it cannot or does not tell; and `FolderError`.
    """
    told = ask(session, "ssh", name, "cat /etc/ssh/ssh_host_*_key.pub", 60, user)
    keys = [found[0] for line in told.text.decode(errors="replace").splitlines() if (found := _KEY.match(line))]
    if not keys:
        raise TargetError(f"{name} has told no host key, as one does that runs no SSH server")
    others = [line for line in _kept(session) if not line.startswith(f"{name.lower()}.")]
    session.folder.write_known_hosts(
        "".join(f"{line}\n" for line in [*others, *(f"{way.alias} {key}" for key in keys)]).encode()
    )


def command_line(session: Session, way: Way, command: Sequence[str], *, accept_new: bool) -> tuple[str, ...]:
    """Of ssh. `accept_new`: the machine has told no keys, and ssh goes by the user's own known hosts, and adds to them."""
    file = str(session.folder.known_hosts).replace("%", "%%")
    of_cluster = (f'UserKnownHostsFile="{file}"', "GlobalKnownHostsFile=/dev/null", f"HostKeyAlias={way.alias}")
    checked = (*of_cluster, "StrictHostKeyChecking=yes", "CheckHostIP=no", "UpdateHostKeys=no")
    options = ("StrictHostKeyChecking=accept-new",) if accept_new and not way.known else checked
    login = ("-l", way.login) if way.login else ()
    return ("ssh", "-p", str(way.at.port), *login, *(word for it in options for word in ("-o", it)), way.at.host, *command)


def _kept(session: Session) -> list[str]:
    file = session.folder.known_hosts
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []


def _reached(vm: Vm) -> Endpoint:
    if vm.address is None:
        raise TargetError(f"{vm.name}: its address is not known{f' ({vm.notice})' if vm.notice else ''}")
    return vm.reach.get(PORT) or Endpoint(vm.address, PORT)
