"""A Debian disk from packages alone: mmdebstrap makes the tree, mke2fs the file system. No root, no loop device.

The disk is one file system without partitions, and its kernel is booted directly. The bake script installs in the tree
already, at this host's speed: the machine that boots it later has the little left to do that needs one.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from kube_provision_core import Repository, TargetError, tell

from .. import files
from ..accelerator import host_architecture
from .sources import DebianRelease

PACKAGES = (
    *("systemd", "systemd-sysv", "systemd-resolved", "systemd-timesyncd", "dbus", "udev", "kmod", "initramfs-tools"),
    *("cloud-init", "openssh-server", "sudo", "iproute2", "iputils-ping", "procps", "less", "nano"),
    *("ca-certificates", "curl", "e2fsprogs"),
)
"""What a machine of ours needs to boot and to be looked at."""

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
ARCHIVE = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"

_PROGRAMS = (("mmdebstrap", "mmdebstrap"), ("mke2fs", "e2fsprogs"))
_FOR_USERS = ("newuidmap", "uidmap")
"""Programs and their packages; without root it takes the other users that a namespace has."""

TREE, DISK, KERNEL, INITRD = "rootfs.tar", "disk.raw", "vmlinuz", "initrd"

LIMIT = 3600.0
"""Seconds for each program, on a slow line."""

LOOK = 2.0
"""Seconds between two looks at the log, for people who wait."""
_LONGEST = 100

RETRIES = 5
"""For each file of a mirror, with pauses that double."""

_CONSEQUENCE = re.compile(r"E: (mmdebstrap failed|setup failed|run_chroot failed|apt-get |Some index files)")
"""What mmdebstrap and apt add to an error that they have told already."""


def require(architecture: str) -> None:
    """Raise `TargetError` unless this host can build disks for machines of that architecture."""
    for program, package in _PROGRAMS if os.geteuid() == 0 else (*_PROGRAMS, _FOR_USERS):
        if find(program) is None:
            raise TargetError(
                f"bake_from: Debian is built by {program}, which is not installed (Debian: apt install {package}). Or name "
                "a cloud image"
            )
    if architecture != host_architecture():
        raise TargetError(
            f"bake_from: Debian is built for this host's architecture, {host_architecture()}, and the machines are "
            f"{architecture}: name a cloud image of theirs"
        )


def find(program: str) -> str | None:
    """Administrators' programs are not on every user's PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def build(
    release: DebianRelease, script: str, mirrors: Mapping[str, Repository], folder: Path, log: Path, size_gib: int
) -> tuple[Path, Path, Path]:
    """Disk (raw), kernel and initrd, in the folder. Raises `TargetError` or OSError.

    `script` is the bake script; what it and the programs say is added to the `log`. The folder must be one that only its
    owner can enter from outside: inside, other users of a user namespace write.
    """
    work = folder / "build"
    work.mkdir()
    work.chmod(0o777)  # its parent is private
    (work / "bake.sh").write_text(script)
    for name in ("prepare.sh", "disk.sh"):
        (work / name).write_text(resources.files(__package__).joinpath("debian_scripts", name).read_text())
    _run("mmdebstrap", list(_bootstrap(release)), work, log, sources(mirrors, release.codename))
    _run("mke2fs", ["mmdebstrap", "--unshare-helper", "sh", "disk.sh", f"{size_gib}G"], work, log)
    (work / TREE).unlink()
    return work / DISK, work / KERNEL, work / INITRD


def _bootstrap(release: DebianRelease) -> Iterator[str]:
    architecture = ARCHITECTURES[host_architecture()]
    packages = ",".join([*PACKAGES, f"linux-image-cloud-{architecture}"])
    yield from ("mmdebstrap", "--variant=minbase", "--format=tar", f"--architectures={architecture}")
    yield from ("--aptopt=APT::Install-Recommends false", f"--aptopt=Acquire::Retries {RETRIES}", f"--include={packages}")
    # mmdebstrap carries the file in, whoever owns the tree then.
    yield from ("--customize-hook=upload bake.sh /var/tmp/bake.sh", "--customize-hook=upload prepare.sh /var/tmp/prepare.sh")
    yield '--customize-hook=mv "$1"/etc/apt/sources.list.d/*.sources "$1/etc/apt/sources.list.d/debian.sources"'
    yield '--customize-hook=cat /etc/resolv.conf >"$1/etc/resolv.bake"; mv -f "$1/etc/resolv.bake" "$1/etc/resolv.conf"'
    yield '--customize-hook=chroot "$1" bash /var/tmp/bake.sh packages'
    yield '--customize-hook=chroot "$1" sh /var/tmp/prepare.sh'
    yield from (release.codename, TREE, "-")


def sources(mirrors: Mapping[str, Repository], codename: str) -> str:
    """As Debian writes them. Updates for security have an archive of their own, which mirrors carry beside the other one.

    Raises `TargetError`.
    """
    mirror = mirrors.get("os") or Repository(ARCHIVE)
    url, key = mirror.url.rstrip("/"), _key(mirror)
    stanzas = ((url, f"{codename} {codename}-updates"), (f"{url}-security", f"{codename}-security"))
    return "\n".join(
        f"Types: deb\nURIs: {archive}\nSuites: {suites}\nComponents: main\nSigned-By:{key}\n" for archive, suites in stanzas
    )


def _key(mirror: Repository) -> str:
    """A file's name, or the key itself, indented as apt wants it."""
    if mirror.key.startswith("https://"):
        raise TargetError("package_repositories: os: building Debian needs the key as a file or as text, not as a URL")
    if mirror.key:
        return "".join(f"\n {line or '.'}" for line in mirror.key.strip().splitlines())
    if not Path(KEYRING).exists():
        raise TargetError(f"bake_from: Debian's signing keys {KEYRING} are missing: install debian-archive-keyring")
    return f" {KEYRING}"


def _run(program: str, command: list[str], work: Path, log: Path, told: str = "") -> None:
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin", "LC_ALL": "C.UTF-8"}
    if os.geteuid() == 0:
        environment["TMPDIR"] = str(work)  # others' trees must lie where every user may enter
    (work / "input").write_text(told)
    with log.open("ab") as output, _living(command, cwd=work, env=environment, stdout=output, stderr=output) as process:
        code = _follow(process, program, log)
    if code:
        raise TargetError(f"{program} failed: {last_words(log)} (see {log})")


@contextlib.contextmanager
def _living(command: list[str], **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A program that ends with us, however we end, and takes what it has started along: see `lifeline.sh`."""
    script = resources.files(__package__).joinpath("debian_scripts/lifeline.sh").read_text()
    watched = ["sh", "-c", script, "lifeline", *command]
    process = subprocess.Popen(watched, stdin=subprocess.PIPE, start_new_session=True, **options)
    assert process.stdin
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()


def _follow(process: subprocess.Popen[bytes], program: str, log: Path) -> int:
    """Tell what the program says, until it has ended; its exit code."""
    deadline, said = time.monotonic() + LIMIT, ""
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return process.wait(LOOK)
        if time.monotonic() > deadline:
            raise TargetError(f"{program} takes longer than {LIMIT / 60:.0f} minutes: {last_words(log)} (see {log})")
        before, said = said, _last_step(log)
        if said != before:
            tell(f"{program}: {said}")


def _last_step(log: Path) -> str:
    """What mmdebstrap, or the bake script, says that it does, or what has just gone wrong."""
    lines = [line.strip() for line in files.read_tail(log, 65536).splitlines()]
    steps = [line.removeprefix("I: ") for line in lines if line.startswith(("I: ", "bake: ", "E: ", "curl: "))]
    return steps[-1][:_LONGEST] if steps else "begins"


def last_words(log: Path) -> str:
    """The last cause that the log names, else its last line."""
    lines = [line.strip() for line in files.read_tail(log, 65536).splitlines() if line.strip()]
    causes = [line for line in lines if line.startswith(("E: ", "bake: ", "mke2fs: ")) and not _CONSEQUENCE.match(line)]
    return (causes or lines or ["without a word"])[-1]
