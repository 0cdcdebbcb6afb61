"""Boot data in the form in which cloud-init reads it on VMware: `guestinfo` keys, compressed, encoded."""

from __future__ import annotations

import base64
import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib import resources
from types import MappingProxyType
from typing import Any, ClassVar

from ..contract.boot import NODE_DIR, PUBLISHER, RECEIVER, Boot, BootFragment, File, Stage, Step, Unit
from ..contract.components import Component
from ..contract.errors import TargetError

_FAST, _BEST = 1, 9
"""Levels of compression. The best takes nine times as long, and saves a fifth."""


@dataclass(frozen=True, slots=True)
class GuestInfo:
    """A machine's boot data as targets of VMware's deliver it: keys of its configuration.

    `values()` are the keys of a new machine, `GuestInfo.scrubbed()` those that replace its user-data once it has booted (the
    metadata, with its instance id, stays, else the next boot would be a first boot). `problems(name, product)` are lines for
    `preflight`: VMware delivers 64 KiB per key. Equal boot data gives equal values.

    A task has a key of its own, TASK, which `GuestInfo.task(task)` is the value of, empty where none waits;
    `GuestInfo.waiting(value)` are its bytes, `GuestInfo.receiver()` is the machine's side. `GuestInfo.node_part(target,
    publisher)` is what `render_boot` answers: all that a node needs for it, the receiver included.
    """

    boot: Boot
    """What is delivered."""
    metadata: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    """Besides instance id and host name, which are the boot's: `network`."""

    LIMIT: ClassVar[int] = 64 * 1024
    """Bytes of one encoded value. More is cut off when a guest asks for it, or refused when it powers on."""
    USER_DATA: ClassVar[str] = "guestinfo.userdata"
    """The key that scrubbing replaces."""
    NOT_EMPTIED: ClassVar[str] = (
        "%s: has not emptied its user-data itself: until now any process there could read the secrets in them. Its journal "
        "says why: journalctl --unit kube-provision-user-data"
    )
    """What is told of a machine, by its name, that runs and whose user-data a run finds as they were delivered."""
    TASK: ClassVar[str] = "guestinfo.kube-provision.task"
    """The key that a task waits in."""
    TASK_LIMIT: ClassVar[int] = LIMIT // 4 * 3
    """Bytes of one task; base64 makes four of three."""

    def values(self) -> dict[str, str]:
        metadata = {"instance-id": self.boot.instance_id, "local-hostname": self.boot.hostname, **self.metadata}
        return {**_pair("guestinfo.metadata", json.dumps(metadata)), **_pair(self.USER_DATA, self.boot.user_data)}

    @classmethod
    def scrubbed(cls) -> dict[str, str]:
        return _pair(cls.USER_DATA, _EMPTY)

    @classmethod
    def is_scrubbed(cls, value: str | None) -> bool:
        """Whether a value of the user-data's key is that of a machine that was scrubbed, by a run or by itself."""
        try:
            return gzip.decompress(base64.b64decode(value or "")).decode() == _EMPTY
        except (ValueError, OSError, EOFError, zlib.error):
            return False

    @classmethod
    def task(cls, task: bytes | None) -> str:
        """Raises `TargetError` for one that is too large."""
        if len(task or b"") > cls.TASK_LIMIT:
            raise TargetError(f"a task of {len(task or b'')} bytes is larger than the {cls.TASK_LIMIT} that VMware carries")
        return base64.b64encode(task or b"").decode()

    @classmethod
    def waiting(cls, value: str | None) -> bytes:
        """A machine's processes may have put anything there: what is no task is taken for its own characters."""
        try:
            return base64.b64decode(value or "", validate=True)
        except ValueError:
            return (value or "").encode()

    @classmethod
    def receiver(cls) -> File:
        script = (resources.files(__package__) / "node/receive-from-guestinfo").read_text("utf-8")
        return File(RECEIVER, script.replace("@KEY@", cls.TASK), mode=0o755)

    @classmethod
    def node_part(cls, target: str, publisher: str) -> BootFragment:
        """The node's own share: VMware's agent, the receiver, `publisher` as `PUBLISHER`, and no other source of boot data.
        Its files bear the name of the `target`.

        The node empties its user-data once cloud-init has written what it says, before it joins: any process of a guest, a
        pod's too, can ask for guestinfo. What a guest sets may be forgotten with its power: each boot empties it again.
        """
        emptier = _EMPTY_USER_DATA.format(key=cls.USER_DATA, value=cls.scrubbed()[cls.USER_DATA])
        alone = f"/etc/cloud/cloud.cfg.d/90-kube-provision-{target}.cfg"  # another instance id would make a first boot
        return BootFragment(
            components=frozenset({Component.VMWARE_TOOLS}),
            files=(
                File(PUBLISHER, publisher, mode=0o755),
                cls.receiver(),
                File(alone, "datasource_list: [VMware]\n"),
                File(_EMPTIER, emptier, mode=0o755),
            ),
            units=(Unit("kube-provision-user-data.service", _AT_EACH_BOOT),),
            steps=(Step("empty-user-data", Stage.PREPARE, _EMPTIER, timeout=60),),
        )

    def problems(self, name: str, product: str) -> Iterator[str]:
        if _surely_fits(self.boot.user_data):
            return  # the rest is small
        for key, value in self.values().items():
            if len(value) > self.LIMIT:
                yield (
                    f"{name}: boot data ({key}) is {len(value)} bytes when compressed, {len(value) - self.LIMIT} more than "
                    f"the {self.LIMIT} that {product} delivers; largest files: {_largest(self.boot)}. Let the node fetch "
                    "them, or shorten them"
                )


_EMPTY = "#cloud-config\n{}\n"
_EMPTIER = f"{NODE_DIR}/empty-user-data"

_EMPTY_USER_DATA = """\
#!/bin/sh
# Any process of this machine can read the user-data that the hypervisor keeps. What cloud-init has made of it must be on
# the disk first: after a power cut nothing would bring it back. The metadata stays, or the next boot would be a first one.
set -eu
sync
exec timeout 30 vmtoolsd --cmd 'info-set {key} {value}' >/dev/null
"""

_AT_EACH_BOOT = f"""\
[Unit]
Description=kube-provision: empties the user-data that the hypervisor keeps
After=cloud-config.service
Before=kubelet.service

[Service]
Type=oneshot
ExecStart={_EMPTIER}

[Install]
WantedBy=multi-user.target
"""


def _pair(name: str, text: str) -> dict[str, str]:
    return {name: _encoded(text), f"{name}.encoding": "gzip+base64"}


def _encoded(text: str) -> str:
    """Compressed harder only where that decides."""
    value = _compressed(text, _FAST)
    if len(value) > GuestInfo.LIMIT:
        value = _compressed(text, _BEST)
    return value if len(value) <= GuestInfo.LIMIT else _squeezed(text)


def _compressed(text: str, level: int) -> str:
    return base64.b64encode(gzip.compress(text.encode(), level, mtime=0)).decode()


@lru_cache(maxsize=8)
def _squeezed(text: str) -> str:
    """A twentieth smaller than gzip makes it, in the same form, and in a hundred times as long: half a second."""
    from zopfli.gzip import compress

    return base64.b64encode(compress(text.encode(), numiterations=5)).decode()


@lru_cache(maxsize=8)
def _surely_fits(text: str) -> bool:
    """Machines of one kind are checked with one text."""
    return len(_compressed(text, _FAST)) <= GuestInfo.LIMIT


def _largest(boot: Boot) -> str:
    sizes = {
        file.path: len(gzip.compress(file.content.encode() if isinstance(file.content, str) else file.content))
        for file in boot.files
    }
    largest = sorted(sizes, key=lambda path: -sizes[path])[:3]
    return ", ".join(f"{path} ({sizes[path]})" for path in largest) or "none"
