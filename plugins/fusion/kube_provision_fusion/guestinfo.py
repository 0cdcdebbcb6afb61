"""Boot data in the form in which cloud-init's VMware datasource reads it: `guestinfo` keys, compressed, encoded."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterator

from kube_provision_core import Boot

LIMIT = 64 * 1024
"""Bytes of one encoded value. More is cut off when a guest asks for it."""

ENCODING = "gzip+base64"
USER_DATA = "guestinfo.userdata"


def encode(text: str) -> str:
    """Equal texts give equal values: the time stamp is left out."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


EMPTY = encode("#cloud-config\n{}\n")
"""What replaces the user-data of a machine that has booted; the metadata, with its instance id, stays."""


def values(boot: Boot) -> dict[str, str]:
    """The settings of a new machine."""
    metadata = {"instance-id": boot.instance_id, "local-hostname": boot.hostname}
    return {**_pair("guestinfo.metadata", encode(json.dumps(metadata))), **_pair(USER_DATA, encode(boot.user_data))}


def scrubbed() -> dict[str, str]:
    return _pair(USER_DATA, EMPTY)


def _pair(name: str, value: str) -> dict[str, str]:
    return {name: value, f"{name}.encoding": ENCODING}


def oversize(name: str, boot: Boot) -> Iterator[str]:
    """A line for each value over the limit."""
    for key, value in values(boot).items():
        if len(value) > LIMIT:
            yield (
                f"{name}: boot data ({key}) is {len(value)} bytes when compressed, {len(value) - LIMIT} more than the "
                f"{LIMIT} that VMware delivers; largest files: {_largest(boot)}. Let the node fetch them, or shorten them"
            )


def _largest(boot: Boot, count: int = 3) -> str:
    sizes = {
        file.path: len(gzip.compress(file.content.encode() if isinstance(file.content, str) else file.content))
        for file in boot.files
    }
    largest = sorted(sizes, key=lambda path: -sizes[path])[:count]
    return ", ".join(f"{path} ({sizes[path]})" for path in largest) or "none"
