"""Seed manifests that the cluster did not take. The machine is a member by then: a new one would do no better."""

from __future__ import annotations

import re

from .evidence import NO_ANSWER, NO_NAME, NO_TRUST, NO_WAY, Diagnosis, Evidence, Probes, cut

_NOT_APPLIED = r"manifest (\S+) is not applied: kubectl apply: (?:exit code \d+: )?(.+)"
"""What `kubeadm.ManifestError` says."""

_REFUSED = re.compile(
    r"error validating data: (?!failed to download|the server )|error parsing |no objects passed to apply|unable to decode |"
    r"no matches for kind|unable to recognize|Object '\w+' is missing| is invalid: |does not exist|strict decoding error|"
    r"failed to create typed patch object|Error from server \((?:Invalid|BadRequest|NotFound|Forbidden|Conflict)\)"
)
_NOT_FETCHED = re.compile("|".join((NO_NAME, NO_WAY, NO_ANSWER, NO_TRUST, "unable to read URL", "was refused")))
_API_SERVER = re.compile(r"localhost|127\.0\.0\.1|\[::1\]|openapi|Error from server")


def manifest_unavailable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """kubectl fetches it itself, and complains of its own server in the same words."""
    said = evidence.says_last(_NOT_APPLIED)
    if not said or "://" not in said.group(1) or not _NOT_FETCHED.search(said.group(2)) or _API_SERVER.search(said.group(2)):
        return None
    return Diagnosis(
        "manifest-unavailable",
        f"the manifest {said.group(1)} cannot be fetched: {cut(said.group(2))}",
        "let this machine reach it (DNS, firewall, https_proxy); or give the manifest as a local file (seed_manifests)",
    )


def manifest_refused(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    said = evidence.says_last(_NOT_APPLIED)
    if not said or not _REFUSED.search(said.group(2)):
        return None
    return Diagnosis(
        "manifest-refused",
        f"the cluster does not take the manifest {said.group(1)}: {cut(said.group(2))}",
        "the cluster itself is well: correct the manifest there, or apply another one with kubectl and then "
        "`touch /var/lib/kube-provision/seeded` on this machine; then it goes on",
    )
