"""What the hosts of tests run: Debian with systemd, cloud-init and what a node's template has, as a folder.

It is made from packages of the mirror that this machine uses, once per recipe, and kept outside of the checkout.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from machines.network import INTERFACE
from servers.cache import cache_folder, locked
from servers.debian import install, mirrors

TRIXIE, BOOKWORM = RELEASES = ("trixie", "bookworm")
"""Debian 13, which hosts run unless they are told otherwise, and Debian 12."""
LIMIT = 1500.0
"""Seconds for making it, on a slow line."""

PACKAGES = (
    *("systemd", "systemd-sysv", "dbus", "udev", "kmod", "iproute2", "procps", "openssh-server", "sudo", "cloud-init"),
    *("ca-certificates", "curl", "iptables", "containerd", "nginx", "libnginx-mod-stream"),
    # What the stand-ins for Kubernetes need: a node's real packages bring as much in images.
    *("etcd-server", "etcd-client", "python3-cryptography", "python3-urllib3", "python3-yaml"),
)
LEFT_OUT = ("conntrack", "ethtool", "socat")
"""Packages that a node needs and that this template lacks, so that hosts really install from a mirror of Debian."""

MODULES = ("kernel/fs/overlayfs/overlay.ko", "kernel/net/bridge/br_netfilter.ko")
"""A container cannot load modules: these count as built into the kernel, which the machine sees to."""

CLOUD_INIT = """\
datasource_list: [NoCloud]
# A folder that is mounted read-only: what a seed disk is to a virtual machine.
datasource: {NoCloud: {seedfrom: /media/seed/}}
ssh_genkeytypes: [ed25519]
# Debian 12 would make a locale, which takes a package that is not here and a minute of a slow machine.
locale: C.UTF-8
"""

CUSTOMISE = f"""\
set -eu
root=$1
chroot "$root" apt-get install --yes --quiet --download-only --no-install-recommends \\
  --option Dir::Cache::Archives=/var/cache/left-out {" ".join(LEFT_OUT)}
: >"$root/etc/machine-id"
rm -f "$root"/var/lib/dbus/machine-id "$root"/etc/ssh/ssh_host_* "$root/etc/hostname" "$root/etc/resolv.conf"
cat >"$root/etc/cloud/cloud.cfg.d/90-machine.cfg" <<'END'
{CLOUD_INIT}END
mkdir -p "$root/media/seed" "$root/media/channel" "$root/var/log/journal" "$root/lib/modules/$(uname -r)"
# No router advertises itself to hosts: Debian 12 would wait for one for 12 seconds of every boot.
mkdir -p "$root/etc/systemd/network/10-cloud-init-{INTERFACE}.network.d"
printf '[Network]\\nIPv6AcceptRA=no\\n' >"$root/etc/systemd/network/10-cloud-init-{INTERFACE}.network.d/quiet.conf"
chroot "$root" systemctl --quiet enable systemd-networkd.service
chroot "$root" systemctl --quiet disable nginx.service containerd.service ssh.service
chroot "$root" systemctl --quiet mask etcd.service systemd-firstboot.service
printf '%s\\n' {" ".join(MODULES)} >"$root/lib/modules/$(uname -r)/modules.builtin"
touch "$root/lib/modules/$(uname -r)/modules.order"
chroot "$root" depmod "$(uname -r)"
rm -rf "$root"/var/lib/apt/lists/*
"""


@dataclass(frozen=True)
class Image:
    """Never written to: hosts put an overlay on it."""

    release: str
    root: Path
    layer: Path | None = None
    """Files that hosts have besides those of `root`."""

    @property
    def lower(self) -> str:
        """What a host's overlay lies on."""
        return ":".join(str(folder) for folder in (self.layer, self.root) if folder)

    @property
    def left_out(self) -> tuple[Path, ...]:
        """The packages that were left out, with what they depend on."""
        return tuple(sorted((self.root / "var/cache/left-out").glob("*.deb")))


def image(release: str = TRIXIE) -> Image:
    """Make it if there is none of this recipe. Raises `RuntimeError` where that is impossible, with the reason."""
    install("mmdebstrap", "systemd-container")
    root = cache_folder() / f"host-{release}-{_recipe(release)}"
    with locked(f"host-{release}"):
        if not root.exists():
            _make(release, root)
    return Image(release, root)


def _recipe(release: str) -> str:
    recipe = "\n".join([release, *PACKAGES, CUSTOMISE, os.uname().release])
    return hashlib.sha256(recipe.encode()).hexdigest()[:16]


def _make(release: str, root: Path) -> None:
    if os.geteuid() != 0:
        raise RuntimeError("hosts for tests are made and run by root")
    part = root.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    hook = root.with_suffix(".hook")
    hook.write_text(CUSTOMISE)
    mirror = next(iter(mirrors()), "")
    command = [
        *("mmdebstrap", "--variant=minbase", "--mode=root", "--aptopt=APT::Install-Recommends false"),
        *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
        *("--skip=cleanup/apt/lists", f'--customize-hook=sh {hook} "$1"', f"--include={','.join(PACKAGES)}"),
        *(release, str(part), f"deb {mirror} {release} main"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    hook.unlink()
    if done.returncode != 0:
        shutil.rmtree(part, ignore_errors=True)
        raise RuntimeError(f"the hosts' image could not be made:\n{done.stderr[-3000:]}")
    part.rename(root)


if __name__ == "__main__":
    for release in RELEASES:
        print(f"hosts: {image(release).root}")
