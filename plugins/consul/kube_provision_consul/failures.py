"""Why Consul's HTTP interface was not reached, in the one line that a user reads."""

from __future__ import annotations

import socket
import ssl

from kube_provision_core import DiscoveryError

from .endpoint import BadInputError

_REFUSALS = ("CERTIFICATE_REQUIRED", "BAD_CERTIFICATE", "UNKNOWN_CA", "HANDSHAKE_FAILURE")
"""How OpenSSL names the alerts of a server that is shown no certificate, or one that it does not take."""


def unreachable(where: str, error: BaseException, *, over_tls: bool) -> DiscoveryError:
    """`where`: of whom it is told."""
    cause = _innermost(error)
    if isinstance(cause, socket.gaierror):
        return BadInputError(f"{where} cannot be reached: {unresolved(cause)}")
    if isinstance(cause, ssl.SSLCertVerificationError):
        advice = "Set consul_ca_file to the authority that signed it, and consul_tls_server_name where it has another name"
        return DiscoveryError(f"{where}: its certificate is not trusted: {cause.verify_message}. {advice}")
    if over_tls and _is_refusal(cause):
        advice = "set consul_client_cert_file and consul_client_key_file to what its authority signed"
        return DiscoveryError(
            f"{where} refuses this host ({_reason(cause)}). Where it demands a client certificate, {advice}"
        )
    if isinstance(cause, ssl.SSLError):
        return DiscoveryError(f"{where} does not speak TLS there ({_reason(cause)}): check the port in consul_ip")
    return DiscoveryError(
        f"{where} cannot be reached: {first_line(cause)}. Check that it runs, that consul_ip is right, and that no firewall"
        " is between"
    )


def _is_refusal(cause: BaseException) -> bool:
    """Some servers say why, and others hang up."""
    hung_up = isinstance(cause, ssl.SSLEOFError | ConnectionResetError | BrokenPipeError)
    return hung_up or (isinstance(cause, ssl.SSLError) and any(word in (cause.reason or "") for word in _REFUSALS))


def _reason(cause: BaseException) -> str:
    return getattr(cause, "reason", None) or first_line(cause)


def unresolved(error: socket.gaierror) -> str:
    return f"its name does not resolve here ({error.strerror}). Correct consul_ip, or let this host resolve it"


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _innermost(error: BaseException) -> BaseException:
    """What the outer layers of an HTTP library say is long and says less. Some hold the inner one without a cause."""
    while inner := error.__cause__ or error.__context__ or _held(error):
        error = inner
    return error


def _held(error: BaseException) -> BaseException | None:
    return next((it for it in error.args if isinstance(it, BaseException)), None)
