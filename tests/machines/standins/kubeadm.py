"""kubeadm: the commands that a node calls, with their options, and no others."""

from __future__ import annotations

import argparse
import socket
import sys
from pathlib import Path

from machines.standins import certificates, configuration, master, upgrade
from machines.standins.calls import noted
from machines.standins.etcd import Etcd, EtcdError
from machines.standins.faults import StandInError
from machines.standins.initialise import initialise
from machines.standins.join import join
from machines.standins.manifests import REPOSITORY
from machines.standins.places import MANIFESTS
from machines.standins.release import Release, own


def main() -> None:
    chosen = _arguments().parse_args()
    if chosen.verb == "version":
        print(own())
    elif chosen.verb == "config" and chosen.what == "validate":
        configuration.validate(chosen.config)
        print("ok")
    elif chosen.verb == "config":
        _images(chosen.how, chosen.kubernetes_version, chosen.image_repository)
    elif chosen.verb == "upgrade" and chosen.what == "plan":
        upgrade.plan(chosen.version)
    elif chosen.verb == "certs" and chosen.what == "check-expiration":
        certificates.tell_expiration()
    else:
        with noted(chosen.verb):
            _act(chosen)


def _act(chosen: argparse.Namespace) -> None:
    if chosen.verb == "init":
        initialise(chosen.config, chosen.ignore_preflight_errors)
    elif chosen.verb == "join":
        join(chosen.config)
    elif chosen.verb == "certs":
        certificates.renew(chosen.name)
    elif chosen.verb == "upgrade" and chosen.what == "apply":
        upgrade.apply(chosen.version, chosen.config, yes=chosen.yes)
    elif chosen.verb == "upgrade":
        upgrade.node(chosen.config)
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
    init.add_argument("--ignore-preflight-errors", action="append", default=[])
    for verb in (init, verbs.add_parser("join")):
        verb.add_argument("--config", type=Path, required=True)
    verbs.add_parser("reset").add_argument("-f", "--force", action="store_true", required=True)
    certs = verbs.add_parser("certs").add_subparsers(dest="what", required=True)
    certs.add_parser("renew").add_argument("name", choices=["all", *(leaf.name for leaf in certificates.LEAVES)])
    certs.add_parser("check-expiration").add_argument("-o", "--output", choices=["json"], required=True)
    ups = verbs.add_parser("upgrade").add_subparsers(dest="what", required=True)
    ups.add_parser("plan").add_argument("version", nargs="?", default="")
    apply, node = ups.add_parser("apply"), ups.add_parser("node")
    apply.add_argument("version", nargs="?", default="")
    apply.add_argument("-y", "--yes", action="store_true")
    for verb in (apply, node):
        verb.add_argument("--config", type=Path)
    configs = verbs.add_parser("config").add_subparsers(dest="what", required=True)
    configs.add_parser("validate").add_argument("--config", type=Path, required=True)
    ways = configs.add_parser("images").add_subparsers(dest="how", required=True)
    for way in (ways.add_parser("list"), ways.add_parser("pull")):
        way.add_argument("--kubernetes-version", default=str(own()))
        way.add_argument("--image-repository", default=REPOSITORY)
    return parser


def _images(how: str, version: str, repository: str) -> None:
    """`pull` only says that it does: nothing runs in containers here."""
    for image in Release(version).images(repository).values():
        print("[config/images] Pulled " * (how == "pull") + image)


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


if __name__ == "__main__":
    try:
        main()
    except StandInError as error:
        print(f"error: {error}", file=sys.stderr)
        print("To see the stack trace of this error execute with --v=5 or higher", file=sys.stderr)
        sys.exit(1)
