"""A guest that boots in seconds under plain emulation: Debian's kernel and a busybox, in memory alone.

    driver = Qemu({role: QemuConfig(template=guest_template(folder), …) for role in Role})
    driver.provision_vm(node=node, boot=guest_boot(driver, node))

It reads its NoCloud seed as cloud-init would, takes its cards' addresses and routes from there, runs the publisher that its
user data carries (what follows the line `# publisher`; the receiver follows `# receiver`), serves HTTP on ports 22, 6443 and
8500, and powers off when its button is pressed. The boot disk keeps both programs, for later boots: a scrubbed seed carries
neither. The seed as it was at power-on stays in its page cache. Over HTTP: `/name`; `/cgi-bin/seed` reads the seed's user
data anew; `/cgi-bin/task` is what the receiver says; `/cgi-bin/fetch?HOST:PORT/PATH` passes on what another server says;
`/cgi-bin/network` is what the kernel says of cards and routes.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from servers.cache import locked
from servers.qemu import CLUSTER, boot

from kube_provision_core import PUBLISHER, RECEIVER, Boot, Node, NodeStatus, Stage
from kube_provision_qemu.driver import Qemu

MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_legacy_dev", "virtio_pci_modern_dev", "virtio_pci", "virtio_blk"),
    *("failover", "net_failover", "virtio_net", "virtio_console", "cdrom", "isofs", "button", "evdev"),
)
"""In the order in which they need each other."""

INIT = r"""#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /proc /sys /dev /seed /www/cgi-bin /etc/acpi/PWRF
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
for module in MODULES; do
  if [ -e /modules/$module.ko ]; then $b insmod /modules/$module.ko; fi
done
$b mount -t iso9660 -o ro /dev/vdb /seed
$b ip link set lo up
$b awk -F'"' '
  /"eth[0-9]+": \{/ { card = $2; print "link set", card, "up" }
  /^ *"[0-9.]+\/[0-9]+",?$/ { print "addr add", $2, "dev", card }
  $2 == "mtu" { sub(/[^0-9]+/, "", $3); print "link set", card, "mtu", int($3) }
  $2 == "to" { to = $4 }
  $2 == "via" { print "route add", to, "via", $4 }
' /seed/network-config | while read -r words; do $b ip $words; done

$b mkdir -p /dev/virtio-ports
for port in /sys/class/virtio-ports/*; do
  $b ln -s "/dev/${port##*/}" "/dev/virtio-ports/$($b cat "$port/name")"
done

$b sed -n 's|.*"local-hostname": "\([^"]*\)".*|\1|p' /seed/meta-data >/www/name
if $b grep -q '^# publisher$' /seed/user-data; then
  $b sed -e '1,/^# publisher$/d' -e '/^# receiver$/,$d' /seed/user-data >/publisher
  $b sed '1,/^# receiver$/d' /seed/user-data >/receiver
  if [ -s /receiver ]; then
    $b tar -cf /dev/vda publisher receiver
    $b sync
  fi
else
  $b tar -xf /dev/vda
fi
$b umount /seed
$b mkdir -p /tmp /dev/disk/by-id
for disk in /sys/block/vd*; do
  $b ln -s "/dev/${disk##*/}" "/dev/disk/by-id/virtio-$($b cat "$disk/serial")"
done
exec 7</dev/vdb
$b cat /dev/vdb >/dev/null
task='PATH=/bin sh /receiver || echo "receive failed"'
printf '#!/bin/busybox sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\n%s\n' "$task" >/www/cgi-bin/task
cat_seed='echo 3 >/proc/sys/vm/drop_caches; $b mount -t iso9660 -o ro /dev/vdb /seed
  $b cat /seed/user-data; $b umount /seed'
printf '#!/bin/busybox sh\nb=%s\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\n%s\n' $b "$cat_seed" >/www/cgi-bin/seed
fetch='server=${QUERY_STRING%%/*}
printf "GET /${QUERY_STRING#*/} HTTP/1.0\r\n\r\n" | $b nc -w 5 "${server%%:*}" "${server#*:}" | $b sed "1,/^.$/d"'
printf '#!/bin/busybox sh\nb=%s\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\n%s\n' $b "$fetch" >/www/cgi-bin/fetch
network='$b ip addr; $b ip route'
printf '#!/bin/busybox sh\nb=%s\nprintf "Content-Type: text/plain\\r\\n\\r\\n"\n%s\n' $b "$network" >/www/cgi-bin/network
$b chmod +x /www/cgi-bin/*
for port in 22 6443 8500; do $b httpd -p $port -h /www; done

echo up
export PATH=/bin
$b --install -s /bin
publish() { printf '{"stage": "%s",\n "state": "%s", "error": "%s"}' "$1" "$2" "$3" | sh /publisher; }
publish prepare running ""
echo "not a status" >/dev/virtio-ports/kube-provision.status
publish finish done ""
printf '#!/bin/sh\necho "button pressed"\npoweroff -f\n' >/etc/acpi/PWRF/00000080
chmod +x /etc/acpi/PWRF/00000080
exec acpid -d
"""


FINISHED = NodeStatus(Stage.FINISH, "done")
"""What it publishes in the end."""


def guest_template(folder: Path) -> Path:
    """A disk with nothing on it, and a manifest that has machines of it boot the guest."""
    disk = folder / "guest.qcow2"
    kernel, initrd = guest_files()
    shutil.copy(kernel, disk.with_suffix(".vmlinuz"))
    shutil.copy(initrd, disk.with_suffix(".initrd"))
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", disk, "64M"], check=True, timeout=60)
    names = {"disk": disk.name, "kernel": "guest.vmlinuz", "initrd": "guest.initrd"}
    disk.with_suffix(".json").write_text(json.dumps({"format": 1, "architecture": "x86_64", **names}))
    return disk


def guest_boot(driver: Qemu, of: Node, text: str = "") -> Boot:
    """`text` stands in its user data."""
    fragment = driver.render_boot(node=of, cluster=CLUSTER)
    scripts = {file.path: file.content for file in fragment.files}
    parts = f"# publisher\n{scripts[PUBLISHER]!s}\n# receiver\n{scripts[RECEIVER]!s}"
    return boot(of, f"#cloud-config\n# {text}\n{parts}")


def guest_files() -> tuple[Path, Path]:
    """The kernel and the initial file system, made once and kept in the cache."""
    with locked("guest") as cache:
        kernel, initrd = cache / "guest.vmlinuz", cache / "guest.initrd"
        if not kernel.exists():
            files = _debian_files()
            _write(kernel, files.pop("vmlinuz"))
            for name, content in files.items():
                _write(cache / f"guest-{name}", content)
        # Cheap, and always of this file's INIT.
        binaries = {path.name.removeprefix("guest-"): path.read_bytes() for path in cache.glob("guest-*")}
        _write(initrd, _archive(binaries))
        return kernel, initrd


def _write(path: Path, content: bytes) -> None:
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.rename(path)


def _debian_files() -> dict[str, bytes]:
    """`vmlinuz`, `busybox`, and `<module>.ko` for every module that is not built in."""
    architecture = _run("dpkg", "--print-architecture").strip()
    depends = _run("apt-cache", "depends", f"linux-image-cloud-{architecture}")
    image = next(line.split()[-1] for line in depends.splitlines() if "Depends: linux-image" in line)
    files: dict[str, bytes] = {}
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        _run("apt-get", "download", "-qq", image, "busybox-static", cwd=folder)
        for package in sorted(Path(folder).glob("*.deb")):
            files.update(_pick(package))
    return files


def _pick(package: Path) -> Iterable[tuple[str, bytes]]:
    content = subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True, timeout=300).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        for member in archive:
            path = Path(member.name)
            name = "vmlinuz" if path.name.startswith("vmlinuz-") else path.name
            wanted = name == "vmlinuz" or path.parts[-2:] == ("bin", "busybox") or _is_module(path)
            if wanted and member.isfile():
                file = archive.extractfile(member)
                assert file
                yield name, file.read()


def _is_module(path: Path) -> bool:
    return path.suffix == ".ko" and path.stem in MODULES


def _run(*command: str, cwd: str | None = None) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=os.environ | {"LC_ALL": "C"}, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()[-1000:]}")
    return done.stdout


def _archive(binaries: dict[str, bytes]) -> bytes:
    """A cpio archive of the kind that kernels unpack."""
    files = {f"modules/{name}": content for name, content in binaries.items() if name.endswith(".ko")}
    files |= {"bin/busybox": binaries["busybox"], "init": INIT.replace("MODULES", " ".join(MODULES)).encode()}
    entries = [_entry(folder, b"", 0o040755) for folder in ("bin", "modules")]
    entries += [_entry(name, content, 0o100755) for name, content in sorted(files.items())]
    return b"".join([*entries, _entry("TRAILER!!!", b"", 0)])


def _entry(name: str, content: bytes, mode: int) -> bytes:
    """One file in the `newc` format: a header of hexadecimal numbers, name and content, each padded to four bytes."""
    named = name.encode() + b"\0"
    numbers = (0, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(named), 0)
    header = b"070701" + b"".join(b"%08x" % number for number in numbers) + named
    return _padded(header) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
