"""Opening what this machine was sent: whoever can write to its mailbox can neither forge that nor read it.

It is signed (CMS) by a certificate for signing code that the cluster's authority has issued, as it issues none to nodes, and
encrypted with a key that only this machine and that authority know. The signature is checked first: nothing that anybody
else has written is ever decrypted.
"""

from __future__ import annotations

import hashlib
import hmac
import ssl
import subprocess
import tempfile
import zlib
from pathlib import Path

LARGEST = 1 << 20
"""Bytes, sealed and opened; no target carries as much."""
_LIMIT = 60.0
_OURS_ALONE = ("-no-CApath", "-no-CAstore")
"""The system's own authorities sign for the world, and not for the cluster."""


class SealError(Exception):
    """It is not what the cluster's authority has sealed for this machine."""


def derive(key: str, purpose: str) -> str:
    """A key for one purpose, made from the machine's own: 32 bytes as hex digits."""
    return hmac.new(bytes.fromhex(key), purpose.encode(), hashlib.sha256).hexdigest()


def unseal(sealed: bytes, authority: Path, key: str) -> tuple[bytes, float]:
    """What was sealed, and until when who has sealed it may do so, in seconds since the epoch. Raises `SealError`."""
    if len(sealed) > LARGEST:
        raise SealError(f"it has more than {LARGEST} bytes")
    with tempfile.TemporaryDirectory() as folder:
        content, end = _signed(sealed, authority, Path(folder))
        return _inflated(_decrypted(content, derive(key, "task"))), end


def _signed(sealed: bytes, authority: Path, folder: Path) -> tuple[Path, float]:
    """Whether the certificate is too old is not asked here, since a machine's clock may be wrong: see `end`."""
    message, content, signer = (folder / name for name in ("sealed", "content", "signer"))
    message.write_bytes(sealed)
    trust = ("-CAfile", str(authority), *_OURS_ALONE, "-purpose", "any", "-no_check_time")
    files = ("-in", str(message), "-out", str(content), "-signer", str(signer))
    _openssl("cms", "-verify", "-binary", "-inform", "DER", *trust, *files)
    usage = _openssl("x509", "-noout", "-ext", "extendedKeyUsage", "-in", str(signer)).decode()
    if [line.strip() for line in usage.splitlines()] != ["X509v3 Extended Key Usage:", "Code Signing"]:
        raise SealError("it is signed by a certificate that is for something else")
    end = _openssl("x509", "-noout", "-enddate", "-in", str(signer)).decode().strip()
    return content, float(ssl.cert_time_to_seconds(end.partition("=")[2]))


def _decrypted(content: Path, key: str) -> bytes:
    return _openssl("enc", "-d", "-aes-256-ctr", "-pbkdf2", "-in", str(content), "-pass", "stdin", stdin=key)


def _inflated(packed: bytes) -> bytes:
    inflating = zlib.decompressobj()
    try:
        opened = inflating.decompress(packed, LARGEST)
    except zlib.error as problem:
        raise SealError("it is for another machine, or for an earlier one of this name") from problem
    if not inflating.eof:
        raise SealError(f"it is cut short, or has more than {LARGEST} bytes")
    return opened


def _openssl(*arguments: str, stdin: str = "") -> bytes:
    try:
        done = subprocess.run(
            ["openssl", *arguments], input=f"{stdin}\n".encode(), capture_output=True, timeout=_LIMIT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise SealError(str(problem)) from problem
    if done.returncode:
        raise SealError(f"openssl {arguments[0]}: {' '.join(done.stderr.decode(errors='replace').split())[:300]}")
    return done.stdout
