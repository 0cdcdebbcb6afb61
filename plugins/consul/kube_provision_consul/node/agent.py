"""The Consul agent of a node: told what only its machine knows, and awaited.

    configure    write what the agent needs to know of this machine: its address; before every start
    wait         wait until the agent knows a Consul server that leads

Runs on a node, as `python3 -m discovery.agent`: standard library only, Python 3.9.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from . import GOSSIP_PORT, own_address
from .api import FOLDER, Agent, UnavailableError, read_identity
from .version import installed_version, tls_settings

MACHINE_CONFIGURATION = Path("/run/kube-provision/consul/machine.json")
"""The part of the agent's configuration that only the machine itself knows."""
AGENT_USER = "consul"

UNREACHABLE = "discovery unreachable: "
"""The words by which the node's runner knows a line about discovery."""

_JOIN_LIMIT = 240.0
_GOSSIP_LIMIT = 3.0
_SECRETS = ("consul/secrets.json", "consul/tls/key.pem")


def configure(folder: Path, target: Path) -> None:
    """Write which addresses the agent uses, and who it is where Consul is closed.

    A server that is open answers the operator's machine as well, any other agent only its own. What holds secrets becomes
    readable to the agent's user, which did not exist yet when it was delivered.
    """
    own, identity = json.loads((folder / "discovery.json").read_text()), read_identity(folder)
    address = own_address(own["interface"], own["servers"])
    is_open_server = own["is_server"] and not identity
    told = {"bind_addr": address, "client_addr": f"127.0.0.1 {address}" if is_open_server else "127.0.0.1"}
    target.parent.mkdir(parents=True, exist_ok=True)
    if identity:
        _close(target, told, identity, address if own["is_server"] else "")
    else:
        tls = tls_settings(own["tls"], installed_version()) if own.get("tls") else {}
        target.write_text(json.dumps({**told, **tls}))
        target.chmod(0o644)
    for name in _SECRETS:
        if (folder / name).exists():
            _let_agent_read(folder / name)


def _close(target: Path, told: Mapping[str, Any], identity: Mapping[str, Any], server: str) -> None:
    """What these programs are, only those machines have that need them: boot data is short of room."""
    from .closed import closed_configuration, tls_files

    version, contents = installed_version(), tls_files(identity)
    files = {name: target.with_name(f"{name}.pem") for name in contents}
    for name, content in contents.items():
        _write_secret(files[name], content)
    _write_secret(target, json.dumps({**told, **closed_configuration(identity, files, version)}))
    if server:
        from .server import server_configuration

        own = server_configuration(server, identity["token"], version, closing=identity.get("closing", False))
        _write_secret(target.with_name("server.json"), json.dumps(own))


def _write_secret(file: Path, content: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_text(content)
    _let_agent_read(file)


def _let_agent_read(secret: Path) -> None:
    try:
        shutil.chown(secret, "root", AGENT_USER)
    except LookupError as problem:
        raise UnavailableError(f"{problem}: the package consul makes it, is it installed?") from problem
    secret.chmod(0o640)


def wait_until_joined(agent: Agent, servers: Sequence[str], limit: float) -> None:
    """Wait until a server leads. Raises `UnavailableError` after `limit` seconds."""
    deadline = time.monotonic() + limit
    last = ""
    while True:
        try:
            if agent.ask("GET", "/v1/status/leader", {}).json():
                agent.check_token()
                agent.check_rights()
                return
            reason = "no Consul server leads"
        except UnavailableError as problem:
            reason = str(problem)
        reason += silence_of(servers)
        if reason != last:
            print(f"waiting: {UNREACHABLE}{reason}", flush=True)
            last = reason
        if time.monotonic() > deadline:
            where = f"Consul at {', '.join(f'{server}:{GOSSIP_PORT}' for server in servers)}" if servers else "Consul"
            raise UnavailableError(
                f"{where} was not joined within {limit:.0f} s: {reason}; journalctl -u kube-provision-consul says more"
            )
        time.sleep(1.0)


def silence_of(servers: Sequence[str]) -> str:
    """Why no server's gossip port answers, in brackets; empty where one does, and where there is none to ask."""
    reasons = []
    for reason in map(_silence, servers):
        if not reason:
            return ""
        reasons.append(reason)
    return f" ({'; '.join(reasons)})" if reasons else ""


def _silence(server: str) -> str:
    try:
        socket.create_connection((server, GOSSIP_PORT), timeout=_GOSSIP_LIMIT).close()
    except OSError as problem:
        return f"{server}:{GOSSIP_PORT}: {problem.strerror or problem}"
    return ""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("command", choices=("configure", "wait"))
    arguments.add_argument("--folder", type=Path, default=FOLDER)
    arguments.add_argument("--output", type=Path, default=MACHINE_CONFIGURATION)
    arguments.add_argument("--limit", type=float, default=_JOIN_LIMIT, help="seconds to wait")
    chosen = arguments.parse_args()
    os.umask(0o022)
    try:
        if chosen.command == "configure":
            configure(chosen.folder, chosen.output)
        else:
            own = json.loads((chosen.folder / "discovery.json").read_text())
            wait_until_joined(Agent.of(own, chosen.folder), own["servers"], chosen.limit)
    except UnavailableError as problem:
        print(f"{UNREACHABLE if chosen.command == 'wait' else ''}{problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
