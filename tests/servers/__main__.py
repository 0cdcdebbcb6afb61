"""Fetch and build what the tests and the demo run, so that none of them waits for it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from machines.image import RELEASES, image
from servers.consul import consul_binary
from servers.debian import install, unpacked
from servers.guest import guest_files
from servers.simulator import build

PACKAGES = (
    "apt-utils",
    "chromium",
    "cloud-init",
    "createrepo-c",
    "curl",
    "debian-archive-keyring",
    "dnf",
    "e2fsprogs",
    "etcd-client",
    "etcd-server",
    "gnupg",
    "golang-github-coreos-bbolt-dev",
    "golang-github-vmware-govmomi-dev",
    "golang-go",
    "iproute2",
    "libjansson4",
    "libndp0",
    "libnginx-mod-stream",
    "libnm0",
    "mmdebstrap",
    "netbase",
    "nginx",
    "openssh-client",
    "openssh-server",
    "openssl",
    "procps",
    "python3-firewall",
    "python3-nftables",
    "qemu-system-x86",
    "qemu-utils",
    "rpm",
    "secilc",
    "shellcheck",
    "systemd",
    "systemd-container",
    "util-linux",
    "xfsprogs",
)

if __name__ == "__main__":
    install(*PACKAGES)
    print(f"simulator: {build()}")
    print(f"guest: {guest_files()[0]}")
    print(f"consul: {consul_binary()}")
    for package in ("containerd", "docker-registry", "firewalld"):
        print(f"{package}: {unpacked(package)}")
    with ThreadPoolExecutor() as pool:
        for made in pool.map(image, RELEASES):
            print(f"hosts: {made.root}")
