"""The controller manager or the scheduler, as far as others notice them: healthy while the API server lets them in.

    python3 -m machines.standins.controller --kubeconfig=/etc/kubernetes/scheduler.conf --secure-port=10259

Each start makes a new certificate for its own page, which nothing signs; the kubeconfig is read then, and never again.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from http.client import HTTPException
from pathlib import Path

from machines.standins.api import connect
from machines.standins.master import load_pki
from servers.control_plane import ControlPlaneServer

from kube_provision_core.folder.x509 import create_authority


def seconds(text: str) -> float:
    return float(text.removesuffix("s"))


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kubeconfig", type=Path, required=True)
    arguments.add_argument("--secure-port", type=int, required=True)
    # Without the API server for so long it has lost its lease, and ends; half of it is for one answer.
    arguments.add_argument("--profiling")
    arguments.add_argument("--terminated-pod-gc-threshold", type=int)
    arguments.add_argument("--leader-elect-renew-deadline", type=seconds, default=10.0)
    arguments.add_argument("--leader-elect-retry-period", type=seconds, default=2.0)
    chosen, _ = arguments.parse_known_args()
    deadline, period = chosen.leader_elect_renew_deadline, chosen.leader_elect_retry_period
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    api = connect(chosen.kubeconfig)
    own = create_authority("localhost", str(chosen.secure_port))
    heard = time.monotonic()
    with ControlPlaneServer(load_pki(), "127.0.0.1", chosen.secure_port, credential=own):
        while time.monotonic() < heard + deadline:
            try:
                if api.call("GET", "/readyz", timeout=deadline / 2)[0] == 200:
                    heard = time.monotonic()
            except (OSError, HTTPException):
                pass
            time.sleep(period)
    sys.exit("leaderelection lost")


if __name__ == "__main__":
    main()
