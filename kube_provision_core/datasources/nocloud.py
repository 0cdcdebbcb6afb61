"""Boot data in the form in which cloud-init's data source NoCloud reads it from a disk: an ISO image, called a seed."""

from __future__ import annotations

import io
import json
import os
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import ClassVar

from ..contract.boot import RECEIVER, Boot, File
from ..contract.errors import TargetError
from ..contract.kept_files import create_file
from . import mailbox


@dataclass(frozen=True, slots=True)
class NoCloudSeed:
    """A machine's boot data as a small disk of its own, for targets that attach one.

    `write(path)` makes the image, 0600. `NoCloudSeed.scrub(path)` takes the secrets out of one, also while it is in use; it
    is idempotent, and raises `TargetError` for a file that is no seed, which stays as it is. Both need `pycdlib>=1.14,<2`,
    which a target that uses them depends on itself.

    A seed has a place for a task, too. `NoCloudSeed.deliver(path, task)` is what `deliver_task` needs, for a machine that
    runs as for one that is off; it raises `TargetError` for a seed that an earlier version made, and OSError.
    `NoCloudSeed.waiting(path)` are the bytes that wait; `NoCloudSeed.receiver(disk)` is the machine's side, where the
    seed is called `disk`, such as `/dev/disk/by-id/virtio-seed`.
    """

    boot: Boot
    """What is delivered."""
    network_config: str = ""
    """cloud-init's network configuration as a document of its own; empty leaves the network to cloud-init."""

    TASK_LIMIT: ClassVar[int] = mailbox.LIMIT
    """Bytes of one task."""

    def write(self, path: Path) -> None:
        create_file(path, mailbox.append(_image(self._files())))

    def _files(self) -> dict[str, bytes]:
        metadata = json.dumps({"instance-id": self.boot.instance_id, "local-hostname": self.boot.hostname})
        network = {"network-config": self.network_config.encode()} if self.network_config else {}
        return {
            "user-data": self.boot.user_data.encode().ljust(len(_EMPTY), b"\n"),
            "meta-data": metadata.encode() + b"\n",
            **network,
        }

    @classmethod
    def scrub(cls, path: Path) -> None:
        """Overwrite the user data in place, by empty user data of the same size.

        The machine that runs has the file open, and a virtio disk has no medium to change; but no byte outside of the user
        data changes, so that instance id and network stay and a reboot is no first boot. The empty user data's end is
        written first: at whatever moment this is killed, its beginning is the old one's, which is the same.
        """
        start, length = _find_user_data(path)
        descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
        try:
            os.pwrite(descriptor, b"\n" * (length - len(_EMPTY)), start + len(_EMPTY))
            os.pwrite(descriptor, _EMPTY, start)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    @classmethod
    def deliver(cls, path: Path, task: bytes | None) -> None:
        """No byte outside of the task's place changes. Once this is over, the machine reads what it says."""
        if task:
            mailbox.put(path, task)
        else:
            mailbox.empty(path)

    @classmethod
    def waiting(cls, path: Path) -> bytes:
        return mailbox.read(path)

    @classmethod
    def receiver(cls, disk: str) -> File:
        script = (resources.files(__package__) / "node/receive-from-seed").read_text("utf-8")
        sizes = script.replace("@DISK@", disk).replace("@SIZE@", str(mailbox.SIZE)).replace("@BLOCK@", str(mailbox.BLOCK))
        return File(RECEIVER, sizes, mode=0o755)


_EMPTY = b"#cloud-config\n"
"""User data that says nothing; what replaces a secret one is filled up to the same size with empty lines."""
_BLOCK = 2048
_LABEL = "cidata"


def _image(contents: dict[str, bytes]) -> bytes:
    import pycdlib

    image, written = pycdlib.PyCdlib(), io.BytesIO()
    image.new(interchange_level=3, joliet=3, rock_ridge="1.09", vol_ident=_LABEL)
    for name, content in contents.items():
        short = f"/{name.replace('-', '_').upper()}.;1"
        image.add_fp(io.BytesIO(content), len(content), iso_path=short, rr_name=name, joliet_path=f"/{name}")
    image.write_fp(written)
    image.close()
    return written.getvalue()


def _find_user_data(path: Path) -> tuple[int, int]:
    """Offset and length in bytes."""
    import pycdlib
    from pycdlib.pycdlibexception import PyCdlibException

    image = pycdlib.PyCdlib()
    try:
        image.open(str(path))
        record = image.get_record(rr_path="/user-data")
        start, length = record.extent_location() * _BLOCK, record.get_data_length()
        image.close()
    except PyCdlibException as problem:
        raise TargetError(f"{path} is no seed any more ({problem}); its secrets are not scrubbed") from problem
    return start, length
