"""Archives of container images, as a site that has no registry keeps them: tiny images under the names that are wanted.

with served_archive(tmp_path, ["site.example/app:1"]) as (url, served):
    config = {"image_archives": url}
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@contextmanager
def served_archive(folder: Path, names: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """URL for machines of QEMU, whose router leads to this host's loopback interface, and the paths that were asked for."""
    served: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            served.append(self.path)

    www = folder / "www"
    www.mkdir(parents=True)
    write_archive(www / "images.tar", names)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(www))) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        yield f"http://10.0.2.2:{server.server_port}/images.tar", served
        server.shutdown()


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
