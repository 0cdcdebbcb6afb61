"""What tests need from Debian: installed when we may, named when we may not."""

from __future__ import annotations

import os
import shutil
import subprocess

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
}
"""Debian package by program."""


def require(*programs: str) -> None:
    """Make sure that `programs` can be run, as root by installing their packages.

    Raises `RuntimeError` that names the packages otherwise.
    """
    missing = [PACKAGE_OF.get(program, program) for program in programs if not shutil.which(program)]
    install(*missing)


def install(*packages: str) -> None:
    """Install Debian packages that are not installed yet."""
    missing = [package for package in packages if not _installed(package)]
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError(f"the tests need these Debian packages: {' '.join(missing)}")
    with locked("apt"):
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-qq", "-y", "--no-install-recommends", *missing]):
            done = subprocess.run(
                ["apt-get", *command], env=environment, capture_output=True, text=True, timeout=900, check=False
            )
            if done.returncode != 0:
                raise RuntimeError(f"apt-get {command[0]} failed: {done.stderr.strip()[-2000:]}")


def _installed(package: str) -> bool:
    status = subprocess.run(
        ["dpkg-query", "-W", "-f=${Status}", package], capture_output=True, text=True, timeout=60, check=False
    )
    return status.stdout == "install ok installed"
