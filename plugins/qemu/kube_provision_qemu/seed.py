"""Seeds: NoCloud ISO images that carry a machine's boot data, and taking the secrets out of one that is in use."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

from kube_provision_core import Boot, TargetError, create_file

EMPTY = b"#cloud-config\n"
"""User data that says nothing; what replaces a secret one is filled up to the same size with empty lines."""

_BLOCK = 2048
_LABEL = "cidata"


def write(path: Path, boot: Boot, network_config: str) -> None:
    """A new seed, 0600."""
    metadata = json.dumps({"instance-id": boot.instance_id, "local-hostname": boot.hostname})
    contents = {
        "user-data": boot.user_data.encode().ljust(len(EMPTY), b"\n"),
        "meta-data": metadata.encode() + b"\n",
        "network-config": network_config.encode(),
    }
    create_file(path, _image(contents))


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


def scrub(path: Path) -> None:
    """Overwrite the user data in place, by empty user data of the same size. Idempotent.

    The machine that runs has the file open, and a virtio disk has no medium to change; but no byte outside of the user data
    changes, so that instance id and network stay and a reboot is no first boot. The empty user data's end is written first:
    at whatever moment this is killed, its beginning is the old one's, which is the same.
    """
    start, length = _find_user_data(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    try:
        os.pwrite(descriptor, b"\n" * (length - len(EMPTY)), start + len(EMPTY))
        os.pwrite(descriptor, EMPTY, start)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
