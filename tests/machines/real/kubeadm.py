"""In the way of a host's real kubeadm: notes each call, and fails, hangs or pauses it on demand, as the stand-in does.

It lets pass what hosts of tests lack, as they have no machine of their own: controllers of cgroup v2 for the kubelet's
limits, and the right to size the machine's table of connections, which kube-proxy would otherwise end over.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import yaml
from machines.standins.calls import noted
from machines.standins.faults import StandInError, carry_out, wish

REAL = "/usr/bin/kubeadm"
LENIENT = "--ignore-preflight-errors=SystemVerification"
CONNECTIONS = {"maxPerCore": 0, "min": 0}
"""kube-proxy's way of saying: as the machine has it."""


def main() -> None:
    arguments = sys.argv[1:]
    verb = arguments[0] if arguments else ""
    if verb not in ("init", "join", "reset", "upgrade"):
        os.execv(REAL, [REAL, *arguments])
    with noted(verb):
        if verb == "init":
            _leave_connections_alone(Path(arguments[arguments.index("--config") + 1]))
        _watch(verb, arguments if verb == "reset" else [*arguments, LENIENT])


def _leave_connections_alone(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))
    for document in documents:
        if document["kind"] == "KubeProxyConfiguration":
            document["conntrack"] = CONNECTIONS
    path.write_text(yaml.safe_dump_all(documents))


def _watch(verb: str, arguments: list[str]) -> None:
    """kubeadm says what it does as `[phase] …` or `[verb/phase] …`. It ends with us, however we end."""
    command = ["setpriv", "--pdeathsig", "KILL", REAL, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            if phase := re.match(r"\[(?:[a-z]+/)?([a-z-]+)\]", line):
                _strike(process, verb, phase[1])
    if process.returncode != 0:
        sys.exit(process.returncode)


def _strike(process: subprocess.Popen[str], verb: str, phase: str) -> None:
    asked = wish(verb, phase)
    if not asked:
        return
    process.send_signal(signal.SIGSTOP)
    try:
        carry_out(asked, phase)
    except StandInError:
        process.kill()
        raise
    process.send_signal(signal.SIGCONT)


if __name__ == "__main__":
    try:
        main()
    except StandInError as error:
        sys.exit(f"error: {error}")
