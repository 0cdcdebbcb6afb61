"""A site's own mirror: apt repositories that are signed, and served inside the network of the hosts.

with Mirror(tmp_path, "10.77.0.1") as mirror:
    mirror.add_kubernetes(packages)
    mirror.add_suite("consul", "trixie", "main", [package])
    config = {"kubernetes": {"url": mirror.url(KUBERNETES), "key": mirror.key}}
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from machines.packages import architecture
from servers.debian import install

TOOLS = ("gnupg", "apt-utils")
"""Debian's packages that make a repository. To be installed before the only network is one that leads nowhere."""
PORT = 8080
KUBERNETES = "kubernetes/1.37/"
_MINOR = "1.37"
"""Which the page speaks of."""
PAGE = Path(__file__).parents[2] / "docs/air-gap.md"
_DOCUMENTED = re.compile(r"```sh\n(mkdir --parents kubernetes/1.37 .*?)```", re.DOTALL)


def kubernetes_of(version: str) -> str:
    """Where the repository of a release's minor lies."""
    return KUBERNETES.replace(_MINOR, ".".join(version.split(".")[:2]))


class Mirror:
    """Serves while the context is open. Its signing key is made anew each time."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder / "mirror"
        self.address = address
        self.architecture = architecture()
        self.key = ""
        """The signing key, ASCII-armoured."""
        self.served: list[str] = []
        """Paths that were asked for."""
        self._home = folder / "gnupg"
        self._server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        install(*TOOLS)
        self.folder.mkdir(parents=True)
        self._home.mkdir(mode=0o700)
        self._gpg("--passphrase", "", "--quick-generate-key", "site <site@kube-provision.invalid>", "ed25519", "sign")
        self.key = self._gpg("--armor", "--export")
        self._server = ThreadingHTTPServer((self.address, PORT), partial(_Handler, self))
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        command = ["gpgconf", "--homedir", str(self._home), "--kill", "all"]
        subprocess.run(command, capture_output=True, timeout=20, check=False)

    def url(self, name: str) -> str:
        return f"http://{self.address}:{PORT}/{name}"

    def add_kubernetes(self, packages: Iterable[Path], minor: str = _MINOR) -> None:
        """A minor's repository, whose packages lie beside their index: made by the very commands that operators are told."""
        found = _DOCUMENTED.search(PAGE.read_text())
        assert found, f"{PAGE}: no commands that make a repository"
        tools = self._home / "bin"
        tools.mkdir(exist_ok=True)
        downloading = tools / "apt-get"  # what it would download is here already
        downloading.write_text(f"#!/bin/sh\nexec cp {' '.join(map(str, packages))} .\n")
        downloading.chmod(0o755)
        environment = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}", "GNUPGHOME": str(self._home)}
        command = ["bash", "-euo", "pipefail", "-c", found[1].replace(_MINOR, minor)]
        subprocess.run(command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, check=True, timeout=120)
        assert (self.folder / "site.asc").read_text() == self.key

    def add_suite(self, name: str, suite: str, component: str, packages: Iterable[Path]) -> None:
        """One suite, with one component, of a repository that may have several."""
        root = self.folder / name
        pool, dists = root / "pool", root / "dists" / suite
        index = f"{component}/binary-{self.architecture}/Packages"
        pool.mkdir(parents=True, exist_ok=True)
        content = "\n".join(_entry(shutil.copy(package, pool), root) for package in packages)
        (dists / index).parent.mkdir(parents=True)
        (dists / index).write_text(content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        release = f"Suite: {suite}\nCodename: {suite}\nComponents: {component}\nArchitectures: {self.architecture}\n"
        release += f"Date: {_now()}\nSHA256:\n {digest} {len(content.encode())} {index}\n"
        (dists / "Release").write_text(release)
        self._gpg("--clearsign", "--output", str(dists / "InRelease"), str(dists / "Release"))

    def _gpg(self, *arguments: str) -> str:
        command = ["gpg", "--homedir", str(self._home), "--batch", "--yes", "--quiet", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


class _Handler(SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, mirror: Mirror, *arguments: object) -> None:
        self._mirror = mirror
        super().__init__(*arguments, directory=str(mirror.folder))  # type: ignore[arg-type] # as the base class's

    def do_GET(self) -> None:
        self._mirror.served.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
        """Quiet."""


def _entry(package: Path | str, root: Path) -> str:
    """What an index says about one package."""
    path = Path(package)
    command = ["dpkg-deb", "--field", str(path)]
    control = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    content = path.read_bytes()
    return (
        f"{control.strip()}\nFilename: {path.relative_to(root)}\nSize: {len(content)}\n"
        f"SHA256: {hashlib.sha256(content).hexdigest()}\n"
    )


def _now() -> str:
    return subprocess.run(["date", "-Ru"], capture_output=True, text=True, check=True).stdout.strip().replace("+0000", "UTC")
