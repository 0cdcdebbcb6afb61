"""Tells from when until when the certificates are valid that lie in this master's files. Comes to it with a task."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .settings import Places
from .validity import KUBECONFIGS, KUBELET, LEAVES, read_validity


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", type=Path, default=Path("/"))
    print(json.dumps(dict(tell(Places(arguments.parse_args().root)))))


def tell(places: Places) -> Iterator[tuple[str, dict[str, Any]]]:
    """By kubeadm's names: `begin` and `end` in seconds since the epoch, or why that cannot be read as `error`."""
    for name, path in _files(places):
        if name != "super-admin.conf" or path.exists():  # on the master that initialised the cluster alone
            yield name, _of(path)


def _files(places: Places) -> Iterator[tuple[str, Path]]:
    yield from ((name.replace("/", "-"), places.kubernetes / f"pki/{name}.crt") for name in LEAVES)
    yield from ((f"{name}.conf", places.kubernetes / f"{name}.conf") for name in KUBECONFIGS)
    yield "kubelet client", places.root / KUBELET


def _of(path: Path) -> dict[str, Any]:
    try:
        return read_validity(path)._asdict()
    except OSError as problem:
        return {"error": f"{path}: {problem.strerror}"}
    except ValueError as problem:
        return {"error": str(problem)}


if __name__ == "__main__":
    main()
