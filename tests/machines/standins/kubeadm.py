"""kubeadm: the commands that a node calls, with their options, and no others."""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from machines.standins import master
from machines.standins.etcd import Etcd, EtcdError
from machines.standins.faults import StandInError
from machines.standins.initialise import initialise
from machines.standins.join import join
from machines.standins.places import CALLS, MANIFESTS

VERSION = "v1.36.4"
IMAGES = ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")


def main() -> None:
    chosen = _arguments().parse_args()
    if chosen.verb == "version":
        print(VERSION)
    elif chosen.verb == "config":
        _images(chosen.how, chosen.kubernetes_version, chosen.image_repository)
    else:
        with _noted(chosen.verb):
            _act(chosen)


def _act(chosen: argparse.Namespace) -> None:
    if chosen.verb == "init":
        initialise(chosen.config)
    elif chosen.verb == "join":
        join(chosen.config)
    else:
        _reset()


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubeadm", allow_abbrev=False)
    verbs = parser.add_subparsers(dest="verb", required=True)
    version = verbs.add_parser("version")
    version.add_argument("-o", "--output", choices=["short"], required=True)
    init = verbs.add_parser("init")
    init.add_argument("--upload-certs", action="store_true", required=True)
    init.add_argument("--skip-token-print", action="store_true", required=True)
    init.add_argument("--skip-certificate-key-print", action="store_true", required=True)
    for verb in (init, verbs.add_parser("join")):
        verb.add_argument("--config", type=Path, required=True)
    verbs.add_parser("reset").add_argument("-f", "--force", action="store_true", required=True)
    images = verbs.add_parser("config").add_subparsers(dest="what", required=True).add_parser("images")
    ways = images.add_subparsers(dest="how", required=True)
    for way in (ways.add_parser("list"), ways.add_parser("pull")):
        way.add_argument("--kubernetes-version", default=VERSION)
        way.add_argument("--image-repository", default="registry.k8s.io")
    return parser


def _images(how: str, version: str, repository: str) -> None:
    """`pull` only says that it does: nothing runs in containers here."""
    versioned = [f"{name}:{version}" for name in IMAGES]
    for image in (*versioned, "coredns/coredns:v1.14.2", "pause:3.10.2", "etcd:3.6.8-0"):
        print("[config/images] Pulled " * (how == "pull") + f"{repository}/{image}")


def _reset() -> None:
    """Like the real one it removes the local member only, and carries on where etcd does not answer.

    It has to read the configuration of the node's API server from the cluster, and does nothing where that has never run.
    """
    if (MANIFESTS / "kube-apiserver.yaml").exists():
        try:
            members = Etcd().members()
            mine = [member for member in members if member.name == socket.gethostname()]
            if len(members) > 1:
                for member in mine:
                    Etcd().remove(member.id)
        except (EtcdError, OSError) as error:
            print(f"[reset] the etcd member could not be removed: {error}", file=sys.stderr)
    master.wipe()


@contextmanager
def _noted(verb: str) -> Iterator[None]:
    """Begin and end of a call, as seconds that all hosts of a machine share; a call that was killed has no end."""
    _note({"pid": os.getpid(), "verb": verb, "begin": time.time()})
    ok = False
    try:
        yield
        ok = True
    finally:
        _note({"pid": os.getpid(), "verb": verb, "end": time.time(), "ok": ok})


def _note(event: dict[str, object]) -> None:
    with CALLS.open("a") as file:
        file.write(json.dumps(event) + "\n")


if __name__ == "__main__":
    try:
        main()
    except StandInError as error:
        print(error, file=sys.stderr)
        print("To see the stack trace of this error execute with --v=5 or higher", file=sys.stderr)
        sys.exit(1)
