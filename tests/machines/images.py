"""Archives of container images, as a site that has no registry keeps them: tiny images under the names that are wanted.

with served_archive(tmp_path, ["site.example/app:1"]) as (url, served):
    config = {"image_archives": url}
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from servers.folder_server import folder_server

FILES = {"etc/hostname": b"image\n"}


@contextmanager
def served_archive(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """URL for machines of QEMU, whose router leads to this host's loopback interface, and the paths that were asked for."""
    www = folder / "www"
    www.mkdir(parents=True)
    write_archive(www / "images.tar", names)
    with folder_server(www) as (port, asked):
        yield f"http://10.0.2.2:{port}/images.tar", asked


def write_archive(path: Path, names: Iterable[str]) -> None:
    """One layer with one file, named as each of `names`; in the format of `docker save`, which containerd imports."""
    layer, config = layer_and_config()
    manifest = [{"Config": "config.json", "RepoTags": list(names), "Layers": ["layer.tar"]}]
    path.write_bytes(_tar({"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}))


def write_image(path: Path, name: str, programs: Mapping[str, bytes]) -> None:
    """The same of one image with these files, which can be run."""
    layer, config = layer_and_config(programs, 0o755)
    manifest = [{"Config": "config.json", "RepoTags": [name], "Layers": ["layer.tar"]}]
    path.write_bytes(_tar({"config.json": config, "layer.tar": layer, "manifest.json": json.dumps(manifest).encode()}))


def layer_and_config(files: Mapping[str, bytes] = FILES, mode: int = 0o644) -> tuple[bytes, bytes]:
    """What an image consists of."""
    layer = _tar(files, mode)
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
    }
    return layer, json.dumps(config).encode()


def _tar(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), mode
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()
