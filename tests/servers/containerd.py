"""Debian's containerd, for what it says about images. It runs no containers."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.debian import unpacked
from servers.process import ServerProcess

CONFIGURATION = """\
version = 2
disabled_plugins = ["io.containerd.grpc.v1.cri"]
"""
"""Its client, `ctr`, needs no more."""

PLACES = """\
root = "{folder}/root"
state = "{folder}/state"
"""
SOCKETS = """
[grpc]
address = "{folder}/containerd.sock"
[ttrpc]
address = "{folder}/ttrpc.sock"
"""


def serves_its_client(environment: dict[str, str]) -> bool:
    """Whether `ctr` has an answer: the socket is there before anybody serves it."""
    asked = [environment["CTR"], "version"]
    return not subprocess.run(asked, env=environment, capture_output=True, timeout=60, check=False).returncode


@contextmanager
def containerd(
    configuration: str = CONFIGURATION, is_ready: Callable[[dict[str, str]], bool] = serves_its_client
) -> Iterator[dict[str, str]]:
    """One that serves; what the environment of its client, `ctr`, needs besides. `configuration` says nothing of places."""
    programs = unpacked("containerd") / "usr/bin"
    with tempfile.TemporaryDirectory(prefix="containerd-") as name:
        folder = Path(name)
        settings = folder / "config.toml"
        settings.write_text(PLACES.format(folder=folder) + configuration + SOCKETS.format(folder=folder))
        server = ServerProcess([str(programs / "containerd"), "--config", str(settings)], folder / "log")
        environment = {"CONTAINERD_ADDRESS": str(folder / "containerd.sock"), "CTR": str(programs / "ctr")}
        try:
            server.wait_until(lambda: is_ready(environment))
            yield environment
        finally:
            server.stop()
