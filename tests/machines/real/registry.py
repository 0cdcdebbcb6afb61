"""Images out of a registry that asks for no password, as OCI archives that containerd imports under their names."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
import tempfile
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machines.packages import architecture

OCI, DOCKER = "application/vnd.oci.image", "application/vnd.docker.distribution"
INDEXES = (f"{OCI}.index.v1+json", f"{DOCKER}.manifest.list.v2+json")
MANIFESTS = (f"{OCI}.manifest.v1+json", f"{DOCKER}.manifest.v2+json")
LIMIT = 120.0
"""Seconds in which a server says nothing."""


@dataclass(frozen=True)
class Registry:
    url: str

    def save(self, name: str, known_as: str, archive: Path) -> None:
        """`name` is `repository:tag` here. Raises `RuntimeError` for content that is not what its digest says."""
        repository, _, tag = name.rpartition(":")
        part = archive.with_suffix(".part")
        with tempfile.TemporaryDirectory(dir=archive.parent) as work, tarfile.open(part, "w") as written:
            layout = Path(work)
            manifest = self._manifest(layout, repository, tag)
            document = json.loads((layout / manifest["digest"].partition(":")[2]).read_text())
            for described in (document["config"], *document["layers"]):
                self._blob(layout, repository, "blobs", described["digest"])
            for blob in layout.iterdir():
                written.add(blob, arcname=f"blobs/sha256/{blob.name}")
            names = {"io.containerd.image.name": known_as, "org.opencontainers.image.ref.name": tag}
            index = {"schemaVersion": 2, "manifests": [manifest | {"annotations": names}]}
            _add(written, layout, "index.json", index)
            _add(written, layout, "oci-layout", {"imageLayoutVersion": "1.0.0"})
        part.rename(archive)

    def _manifest(self, layout: Path, repository: str, tag: str) -> dict[str, Any]:
        """The descriptor of this machine's own, whose content is in the layout then."""
        content, kind = self._ask(f"{repository}/manifests/{tag}")
        if kind in INDEXES:
            fitting = (it for it in json.loads(content)["manifests"] if _fits(it["platform"]))
            described = next(fitting, None)
            if described is None:
                raise RuntimeError(f"{self.url}: {repository}:{tag} is not made for {architecture()}")
            self._blob(layout, repository, "manifests", described["digest"])
            return {key: described[key] for key in ("mediaType", "digest", "size")}
        digest = hashlib.sha256(content).hexdigest()
        (layout / digest).write_bytes(content)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(content)}

    def _ask(self, path: str) -> tuple[bytes, str]:
        with self._open(path) as response:
            return response.read(), response.headers.get_content_type()

    def _blob(self, layout: Path, repository: str, what: str, digest: str) -> None:
        target = layout / digest.partition(":")[2]
        with self._open(f"{repository}/{what}/{digest}") as response, target.open("wb") as file:
            shutil.copyfileobj(response, file)
        with target.open("rb") as file:
            if f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}" != digest:
                raise RuntimeError(f"{self.url}: {repository}/{what}/{digest} is something else")

    def _open(self, path: str) -> Any:
        """Registries send to wherever the content lies."""
        request = urllib.request.Request(f"{self.url}/v2/{path}", headers={"Accept": ", ".join((*INDEXES, *MANIFESTS))})
        return urllib.request.urlopen(request, timeout=LIMIT)


def _fits(platform: dict[str, str]) -> bool:
    return (platform["os"], platform["architecture"]) == ("linux", architecture())


def _add(archive: tarfile.TarFile, work: Path, name: str, document: Any) -> None:
    path = work / name
    path.write_text(json.dumps(document))
    archive.add(path, arcname=name)
