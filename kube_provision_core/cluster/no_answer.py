"""Why a server gives no answer, in words for an operator, who knows the machines and not the library."""

from __future__ import annotations

import ssl

from urllib3 import exceptions

NOT_SIGNED_FOR_THE_ADDRESS = (62, 64)
"""OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH."""

OUT_OF_TIME = (9, 10)
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""


def explain(problem: exceptions.HTTPError, timeout: float) -> str:
    """Words that follow the address. `timeout`: seconds for which a connection was tried."""
    for cause in _causes(problem):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _explain_certificate(cause)
        if isinstance(cause, ssl.SSLError) and "alert" in str(cause).lower():
            return "refuses our certificate: another cluster answers there, or the clocks differ"
        if isinstance(cause, ssl.SSLEOFError):
            # A server may end the connection before what it objects to has reached us.
            return "ends the conversation: it refuses our certificate, or it is no master of this cluster"
    if isinstance(problem, exceptions.NewConnectionError):
        system = problem.__cause__
        return f"cannot be reached ({(isinstance(system, OSError) and system.strerror) or 'no connection'})"
    if isinstance(problem, exceptions.ConnectTimeoutError):
        return f"cannot be reached (nobody answers within {timeout:.0f} s: it is off, or something lies between)"
    if isinstance(problem, exceptions.TimeoutError):
        return "is there, but does not answer in time"
    if isinstance(problem, exceptions.SSLError):
        return "does not speak TLS as a master does"
    if isinstance(problem, exceptions.ProtocolError):
        return "breaks the connection off"
    return f"gives no usable answer ({problem})"


def _explain_certificate(problem: ssl.SSLCertVerificationError) -> str:
    if problem.verify_code in NOT_SIGNED_FOR_THE_ADDRESS:
        return "has a certificate for other addresses: it is a machine of this cluster, but not the one expected there"
    if problem.verify_code in OUT_OF_TIME:
        return "has a certificate that is not valid now: check its clock and ours, or renew it with `kubeadm certs renew`"
    return "has a certificate that this cluster's authority has not signed: another cluster answers there"


def _causes(problem: BaseException) -> list[BaseException]:
    """The error, what it wraps and what caused it, at most eight deep."""
    causes: list[BaseException] = []
    cause: BaseException | None = problem
    while cause is not None and len(causes) < 8:
        causes.append(cause)
        wrapped = (argument for argument in cause.args if isinstance(argument, BaseException))
        cause = next(wrapped, None) or cause.__cause__ or cause.__context__
    return causes
