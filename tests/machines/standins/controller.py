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

RENEW_DEADLINE = 10.0
"""Seconds without the API server after which it has lost its lease, and ends."""
PERIOD = 2.0


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--kubeconfig", type=Path, required=True)
    arguments.add_argument("--secure-port", type=int, required=True)
    chosen = arguments.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    api = connect(chosen.kubeconfig)
    own = create_authority("localhost", str(chosen.secure_port))
    heard = time.monotonic()
    with ControlPlaneServer(load_pki(), "127.0.0.1", chosen.secure_port, credential=own):
        while time.monotonic() < heard + RENEW_DEADLINE:
            try:
                if api.call("GET", "/readyz", timeout=PERIOD)[0] == 200:
                    heard = time.monotonic()
            except (OSError, HTTPException):
                pass
            time.sleep(PERIOD)
    sys.exit("leaderelection lost")


if __name__ == "__main__":
    main()
