"""Has this master's API server start anew with the keys of Secrets that it was given, one master at a time.

It reads them when it starts, and never after. Where it has started since with these, nothing happens: it may be broken off
anywhere, and run again.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import sys
from pathlib import Path

from . import patience
from .client import Client, connect_client
from .journal import log_to_journal
from .settings import Places, read_document
from .static_pods import PODS, PodError, StaticPods

log = logging.getLogger(__name__)

API_SERVER = next(pod for pod in PODS if pod.name == "kube-apiserver")
LOCK_LIMIT = 900.0
"""Seconds for the cluster's lock: a join, or a renewal of certificates, may have its turn before."""


def mark(path: Path) -> str:
    """What a manifest bears whose pod has these keys. Raises `OSError` where there are none."""
    return f"keys-{hashlib.sha256(path.read_bytes()).hexdigest()[:16]}"


def start_anew(places: Places, client: Client, pods: StaticPods) -> None:
    """Idempotent. Raises `OSError` where there are no keys, `PodError`, or what the client raises."""
    wanted = mark(places.kubernetes / "api-server/encryption.yaml")
    with client.lock(LOCK_LIMIT):
        pods.restart(API_SERVER, wanted, patience.wait("upgradeManifests"))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--root", type=Path, default=Path("/"))
    places = Places(arguments.parse_args().root)
    log_to_journal()
    client, unavailable = connect_client(read_document(places), places.config)
    try:
        start_anew(places, client, StaticPods(places))
    except (unavailable, PodError, OSError) as problem:
        print(problem, file=sys.stderr)
        return 1
    log.info("the API server has the keys that it was given")
    return 0


if __name__ == "__main__":
    sys.exit(main())
