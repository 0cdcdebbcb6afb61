"""Cloud images from the network: downloaded once, believed only with the right checksum, kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from kube_provision_core import TargetError, tell, telling_os_errors, xdg_folder

from .. import files
from .sources import Checksum, ImageUrl

SILENCE = 60.0
"""Seconds that a server may say nothing."""

LARGEST = 64 * 1024**3
"""Bytes; what is longer is no cloud image."""

LOOK = 5.0
"""Seconds after which people who wait are told how much is there."""

_CHUNK = 1024 * 1024


def fetch(source: ImageUrl, cache: Path) -> Path:
    """The image's file. Raises `TargetError`."""
    kept = cache / f"{source.checksum.algorithm}-{source.checksum.digest[:40]}.img"
    with telling_os_errors(f"{source} cannot be kept in {cache}"), files.locked(kept.with_suffix(".lock"), f"{source}"):
        if not kept.exists():
            for leftover in cache.glob(f"{kept.stem}.*.part"):
                leftover.unlink()
            _download(source, kept)
    return kept


def check(path: Path, checksum: Checksum, what: str) -> None:
    """Raise `TargetError` unless the file has that checksum."""
    with telling_os_errors(f"{path} cannot be read"):
        found = checksum.of(path)
    if found != checksum.digest:
        raise TargetError(_mismatch(what, checksum, found))


def cache_folder(environ: Mapping[str, str]) -> Path:
    """By the XDG rules. Raises `ConfigError` for who has no home folder."""
    return xdg_folder(environ, "XDG_CACHE_HOME", ".cache") / "images"


def _download(source: ImageUrl, kept: Path) -> None:
    part = kept.with_suffix(f".{secrets.token_hex(4)}.part")
    try:
        digest = _copy(source, part)
        if digest != source.checksum.digest:
            raise TargetError(_mismatch(str(source), source.checksum, digest))
        part.replace(kept)
    finally:
        part.unlink(missing_ok=True)


def _copy(source: ImageUrl, part: Path) -> str:
    """Its digest."""
    digest, length, told = hashlib.new(source.checksum.algorithm), 0, time.monotonic()
    try:
        # The scheme is http or https: the configuration takes no other.
        with urllib.request.urlopen(source.url, timeout=SILENCE) as answer, part.open("xb") as file:  # noqa: S310
            while chunk := answer.read(_CHUNK):
                length += len(chunk)
                if length > LARGEST:
                    raise TargetError(f"{source} is larger than {LARGEST // 1024**3} GiB: is it a cloud image?")
                digest.update(chunk)
                file.write(chunk)
                if time.monotonic() > told + LOOK:
                    told = time.monotonic()
                    tell(f"downloads {source}: {length // _CHUNK} MiB so far")
            file.flush()
            os.fsync(file.fileno())
    except urllib.error.HTTPError as refusal:
        raise TargetError(f"{source} cannot be downloaded: the server says {refusal.code} {refusal.reason}") from refusal
    except (urllib.error.URLError, TimeoutError, ConnectionError) as problem:
        reason = getattr(problem, "reason", None) or problem
        raise TargetError(f"{source} cannot be downloaded: {reason}") from problem
    return digest.hexdigest()


def _mismatch(what: str, checksum: Checksum, found: str) -> str:
    return (
        f"{what}: its {checksum.algorithm} checksum is {found}, and bake_from_checksum says {checksum.digest}; "
        "see which image you have, and where the checksum was published"
    )
