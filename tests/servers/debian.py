"""What tests need from Debian: installed when we may, named when we may not."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servers.cache import locked

PACKAGE_OF = {
    "go": "golang-go",
    "nginx": "nginx",
    "shellcheck": "shellcheck",
    "cloud-init": "cloud-init",
    "etcd": "etcd-server",
    "openssl": "openssl",
    "systemd-analyze": "systemd",
    "ip": "iproute2",
    "dpkg-deb": "dpkg",
    "rpmbuild": "rpm",
    "createrepo_c": "createrepo-c",
}
"""Debian package by program."""

_MAIN_ARCHIVE = ("--no-release-info", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")


def require(*programs: str) -> None:
    """Make sure that `programs` can be run, as root by installing their packages.

    Raises `RuntimeError` that names the packages otherwise.
    """
    missing = [PACKAGE_OF.get(program, program) for program in programs if not shutil.which(program)]
    install(*missing)


def install(*packages: str) -> None:
    """Install Debian packages that are not installed yet; their services are not started."""
    if all(map(_installed, packages)):
        return
    with locked("apt"):
        missing = [package for package in packages if not _installed(package)]
        if not missing:
            return
        if os.geteuid() != 0 or not shutil.which("apt-get"):
            raise RuntimeError(f"the tests need these Debian packages: {' '.join(missing)}")
        with _without_services():
            _apt_get("update", "-qq")
            _apt_get("install", "-qq", "-y", "--no-install-recommends", *missing)


def mirrors() -> list[str]:
    """The mirrors that this machine takes Debian itself from, whichever way its sources are written."""
    rows = [line.split() for line in _output("apt-get", "indextargets", *_MAIN_ARCHIVE).splitlines()]
    codename = _output("sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME").strip()
    return list(dict.fromkeys(row[0] for row in rows if row[1:] == [codename, "main"]))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def unpacked(package: str) -> Path:
    """The folder of a Debian package's files, for one that brings a service which must not be installed on this machine."""
    with locked(f"unpacked-{package}") as cache:
        folder = cache / f"unpacked-{package}"
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=cache) as work:
                _download(package, Path(work))
                (archive,) = Path(work).glob("*.deb")
                files = Path(work) / "files"
                subprocess.run(["dpkg-deb", "-x", archive, files], check=True, capture_output=True, timeout=60)
                files.rename(folder)
    return folder


def _download(package: str, folder: Path) -> None:
    """Into `folder`. The lists of packages are fetched only if the machine's are missing or old."""
    command = ["apt-get", "-o", "APT::Sandbox::User=", "download", package]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode != 0:
        _apt_get("update", "-qq")
        subprocess.run(command, cwd=folder, capture_output=True, timeout=300, check=True)


def _installed(package: str) -> bool:
    status = subprocess.run(
        ["dpkg-query", "-W", "-f=${Status}", package], capture_output=True, text=True, timeout=60, check=False
    )
    return status.stdout == "install ok installed"


def _apt_get(*arguments: str) -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(["apt-get", *arguments], env=environment, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"apt-get {arguments[0]} failed: {done.stderr.strip()[-2000:]}")


@contextmanager
def _without_services() -> Iterator[None]:
    """Debian starts what it installs, and an etcd or nginx of the machine's own would hold the ports of ours."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()
