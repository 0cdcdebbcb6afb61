"""A whole cluster on a simulated vCenter, in half a minute: what a user types, and what comes of it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from demo.kubectl import get_nodes
from demo.world import NAME, SEED, World, open_world

PROGRAM = Path(sys.executable).with_name("kube-provision")


INTRODUCTION = """\
This is the main job of kube-provision, on a vCenter that is simulated on this machine. The simulator's machines do not
really boot; what they would tell is told for them. Everything else is real: the program, the vSphere API, TLS, Consul,
etcd. In place of the Kubernetes API servers stand-ins answer, under the cluster's own certificates.
"""


def main() -> None:
    say(INTRODUCTION)
    with tempfile.TemporaryDirectory(prefix="kube-provision-demo-") as folder:
        home = Path(folder)
        with open_world(home / "state") as world:
            tell_story(world, home)


def tell_story(world: World, home: Path) -> None:
    config = write_config(world, home)
    run = Program(world, home)
    say(f"1. The configuration, {config.name}. The password is in KUBE_PROVISION_VCENTER_PASSWORD.\n")
    print(config.read_text())
    provision = ("--config", config.name, "--masters", "3", "--workers", "3", "--name", NAME)
    say("2. One command. No Consul is named, so its machine is made first; then all others at once. With --no-wait it ends")
    say("   when every machine has an address, and leaves them booting.")
    run(*provision, "--no-wait")
    say("3. What a machine that is on its way says of itself, through its hypervisor.")
    run("why", f"w-{NAME}-1", "--config", config.name, "--name", NAME)
    say("4. The same command again. It observes, creates nothing, and now waits: what the nodes tell is told for them here.")
    run(*provision)
    say("5. What exists now.")
    run("status", "--config", config.name, "--name", NAME)
    say("6. The kubeconfig works: the cluster's nodes, as its API server lists them.\n")
    for node in get_nodes(home / "state" / NAME / "kubeconfig"):
        print(f"   {node}")
    say("")
    calls, machines = sum(world.vcenter.counts().values()), len(world.vcenter.machine_names())
    say(f"That was all: {machines} machines, {calls} calls of the vSphere API.")


def write_config(world: World, home: Path) -> Path:
    path = home / "config.yml"
    keys = {**world.vcenter.keys, "os": "ubuntu"}
    path.write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))
    return path


class Program:
    """Runs `kube-provision` as a user would, in the folder of the demo."""

    def __init__(self, world: World, home: Path) -> None:
        self._home = home
        secrets = {"VCENTER_PASSWORD": world.vcenter.password, "CONSUL_SEED": SEED}
        self._environment = os.environ | {f"KUBE_PROVISION_{key}": secret for key, secret in secrets.items()}

    def __call__(self, *arguments: str) -> None:
        say(f"\n   $ kube-provision {' '.join(arguments)}\n")
        command = [str(PROGRAM), *arguments, "--state", str(self._home / "state")]
        code = subprocess.run(command, cwd=self._home, env=self._environment, timeout=120, check=False).returncode
        if code != 0:
            raise SystemExit(f"the command above ended with {code}")
        print()


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
