"""The Consul agent of a node: told what only its machine knows, and awaited.

    configure    write what the agent needs to know of this machine: its address; before every start
    wait         wait until the agent knows a Consul server that leads

Runs on a node, as `python3 -m discovery.agent`: standard library only, Python 3.9.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from . import GOSSIP_PORT, own_address
from .api import FOLDER, Agent, UnavailableError, read_identity
from .closed import closed_configuration, tls_files

MACHINE_CONFIGURATION = Path("/run/kube-provision/consul/machine.json")
"""The part of the agent's configuration that only the machine itself knows."""
AGENT_USER = "consul"
CONSUL = "consul"
"""The program, on the way of the unit."""

UNREACHABLE = "discovery unreachable: "
"""The words by which the node's runner knows a line about discovery."""

_JOIN_LIMIT = 240.0
_GOSSIP_LIMIT = 3.0


def configure(folder: Path, target: Path, program: str = CONSUL) -> None:
    """Write which addresses the agent uses, and who it is where Consul is closed.

    A server that is open answers the operator's machine as well, any other agent only its own. What holds secrets becomes
    readable to the agent's user, which did not exist yet when it was delivered.
    """
    own, identity = json.loads((folder / "discovery.json").read_text()), read_identity(folder)
    address = own_address(own["interface"], own["server"])
    is_open_server = own["is_server"] and not identity
    addresses = {"bind_addr": address, "client_addr": f"127.0.0.1 {address}" if is_open_server else "127.0.0.1"}
    target.parent.mkdir(parents=True, exist_ok=True)
    if identity:
        contents = tls_files(identity)
        files = {name: target.with_name(f"{name}.pem") for name in contents}
        for name, content in contents.items():
            _write_secret(files[name], content)
        server = address if own["is_server"] else ""
        _write_secret(target, json.dumps(addresses | closed_configuration(identity, files, server, _version(program))))
    else:
        target.write_text(json.dumps(addresses))
        target.chmod(0o644)
    secrets = folder / "consul/secrets.json"
    if secrets.exists():
        _give(secrets)


def _write_secret(file: Path, content: str) -> None:
    file.unlink(missing_ok=True)
    file.touch(0o600)
    file.write_text(content)
    _give(file)


def _give(file: Path) -> None:
    """To the agent, to be read."""
    try:
        shutil.chown(file, "root", AGENT_USER)
    except LookupError as problem:
        raise UnavailableError(f"{problem}: the package consul makes it, is it installed?") from problem
    file.chmod(0o640)


def _version(program: str) -> tuple[int, ...]:
    """(1, 8) of `Consul v1.8.7`."""
    try:
        said = subprocess.run([program, "version"], capture_output=True, text=True, timeout=60, check=True).stdout
    except (OSError, subprocess.SubprocessError) as problem:
        raise UnavailableError(f"`consul version` fails: {problem}") from problem
    found = re.search(r"v(\d+)\.(\d+)", said)
    if not found:
        raise UnavailableError(f"`consul version` says no version: {said.strip()[:100]}")
    return int(found[1]), int(found[2])


def wait_until_joined(agent: Agent, server: str, limit: float) -> None:
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
        reason += silence_of(server)
        if reason != last:
            print(f"waiting: {UNREACHABLE}{reason}", flush=True)
            last = reason
        if time.monotonic() > deadline:
            where = f"Consul at {server}:8301" if server else "Consul"
            raise UnavailableError(
                f"{where} was not joined within {limit:.0f} s: {reason}; journalctl -u kube-provision-consul says more"
            )
        time.sleep(1.0)


def silence_of(server: str) -> str:
    """Why a server's gossip port does not answer, in brackets; empty where it does, and where there is no server to ask."""
    try:
        if server:
            socket.create_connection((server, GOSSIP_PORT), timeout=_GOSSIP_LIMIT).close()
    except OSError as problem:
        return f" ({server}:{GOSSIP_PORT}: {problem.strerror or problem})"
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
            wait_until_joined(Agent.of(own, chosen.folder), own["server"], chosen.limit)
    except UnavailableError as problem:
        print(f"{UNREACHABLE if chosen.command == 'wait' else ''}{problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
