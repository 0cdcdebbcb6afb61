"""Archives of container images, as a site that has no registry keeps them: tiny images under the names that are wanted."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from pathlib import Path


def write_archive(path: Path, names: Iterable[str]) -> None:
    """One layer with one file, named as each of `names`; in the format of `docker save`, which containerd imports."""
    layer = _tar({"etc/hostname": b"image\n"})
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    manifest = [{"Config": "config.json", "RepoTags": list(names), "Layers": ["layer.tar"]}]
    path.write_bytes(_tar({"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}))


def _tar(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()
