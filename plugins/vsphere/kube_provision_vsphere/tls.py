"""How vCenter's certificate is verified: always, by an authority or by its fingerprint."""

from __future__ import annotations

import hashlib
import socket
import ssl
from pathlib import Path

from kube_provision_core import TargetError

CONNECT_TIMEOUT = 10.0
"""Seconds until a server that does not answer at all is given up."""


def authorities(file: Path) -> ssl.SSLContext:
    """A context that trusts who is in there. Raises ValueError where that is no PEM file of certificates."""
    try:
        trusting = ssl.create_default_context(cafile=file)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{file} is no PEM file of certificates") from error
    if not trusting.cert_store_stats()["x509"]:
        raise ValueError(f"{file} holds no certificate")
    return trusting


def context(address: tuple[str, int], *, ca_file: Path | None, fingerprint: str | None) -> ssl.SSLContext:
    """The context for every connection to the server. It is asked for its certificate once, as a check.

    Without a CA file or a fingerprint, the system's authorities decide. Raises `TargetError` when the server cannot be
    reached, and when its certificate is not trusted; the message then tells the fingerprint and how to pin it.
    """
    if fingerprint:
        return _pinned(address, fingerprint)
    try:
        trusting = authorities(ca_file) if ca_file else ssl.create_default_context()
    except ValueError as error:  # it was whole when the configuration was read
        raise TargetError(f"vcenter_ca_file: {error}") from error
    try:
        _certificate(address, trusting)
    except ssl.SSLCertVerificationError as error:
        raise TargetError(_untrusted(address, error)) from error
    return trusting


def _pinned(address: tuple[str, int], fingerprint: str) -> ssl.SSLContext:
    """Trusts exactly the server's own certificate, whoever signed it, whatever names it carries."""
    certificate = _certificate(address, blind())
    if hashlib.sha256(certificate).hexdigest() != fingerprint:
        raise TargetError(
            f"vcenter_thumbprint: {_name(address)} presents another certificate, with the SHA-256 fingerprint "
            f"{_fingerprint(certificate)}. Find out why before you change the key"
        )
    pinned = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    pinned.check_hostname = False
    pinned.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the leaf is trusted without its authority
    pinned.load_verify_locations(cadata=ssl.DER_cert_to_PEM_cert(certificate))
    try:
        _certificate(address, pinned)
    except ssl.SSLCertVerificationError as error:
        raise TargetError(f"{_name(address)}: the pinned certificate is not valid: {error.verify_message}") from error
    return pinned


def _untrusted(address: tuple[str, int], error: ssl.SSLCertVerificationError) -> str:
    fingerprint = _fingerprint(_certificate(address, blind()))
    return (
        f"{_name(address)}: its certificate is not trusted: {error.verify_message}. Set vcenter_ca_file to the authority "
        f"that signed it, or, if the server's SHA-256 fingerprint really is this one, set vcenter_thumbprint: {fingerprint}"
    )


def blind() -> ssl.SSLContext:
    """Judges no certificate: for reading one, and where its fingerprint is compared before anything is sent."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname = False
    blind.verify_mode = ssl.CERT_NONE
    return blind


def _certificate(address: tuple[str, int], using: ssl.SSLContext) -> bytes:
    """The server's certificate. Connects directly: the environment's proxies are for other traffic."""
    try:
        with (
            socket.create_connection(address, timeout=CONNECT_TIMEOUT) as plain,
            using.wrap_socket(plain, server_hostname=address[0]) as connection,
        ):
            return connection.getpeercert(binary_form=True) or b""
    except ssl.SSLCertVerificationError:
        raise
    except ssl.SSLError as error:
        raise TargetError(f"vcenter_hostname: {_name(address)} does not speak TLS: {error.reason or error}") from error
    except socket.gaierror as error:
        raise TargetError(f"vcenter_hostname: {address[0]} cannot be resolved: {error.strerror}") from error
    except OSError as error:
        raise TargetError(f"vcenter_hostname: {_name(address)} cannot be reached: {error.strerror or error}") from error


def _fingerprint(certificate: bytes) -> str:
    digest = hashlib.sha256(certificate).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def _name(address: tuple[str, int]) -> str:
    return "{}:{}".format(*address)
