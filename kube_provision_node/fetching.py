"""What cannot be fetched: packages and images. Their programs' messages are those of their sources; tests quote them.

dnf tells its reasons only where it is not told to be quiet.
"""

from __future__ import annotations

import re

from .evidence import NO_ANSWER, NO_NAME, NO_TRUST, NO_WAY, Diagnosis, Evidence, Probes, cut

_APT = r"^[WE]: Failed to fetch|^Err:\d+ |^E: The repository"
_DNF = (
    r"Curl error \(\d+\)|Status code: \d+ for|checksum doesn't match|^Package \S+ is not signed|^Public key for \S+ is not|"
    r"^Problem repository: "
)
_CURL = r"^curl: \(\d+\)"
_OURS = r"is no signing key"
_FETCHING = re.compile("|".join((_APT, _DNF, _CURL, _OURS)))

_GIVEN_UP = r"^Error: (?:Error downloading packages|Failed to download metadata)"
"""What dnf says at the end of what none of its mirrors had: another mirror may have had what one has not."""

_UNREACHABLE = re.compile("|".join((NO_NAME, NO_WAY, NO_ANSWER, NO_TRUST)))
_UNTRUSTED = re.compile(r"is not signed|is no signing key|Public key for|Problem repository")
_UNUSABLE = re.compile(
    r"\b(?:40[0-9]|50[0-9])\b|ha(?:ve|s) a Release file|ash Sum mismatch|unexpected size|checksum doesn't match|"
    r"Clearsigned file isn't valid"
)


def repository_unreachable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    line = _fetching(evidence, _UNREACHABLE)
    if line is None:
        return None
    return Diagnosis(
        "repository-unreachable",
        f"the package repository {_server(line)} cannot be reached: {cut(_said(line))}",
        "let this machine reach it (DNS, firewall, http_proxy), or name a mirror (package_repositories)",
    )


def repository_untrusted(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """dnf says so in many lines where it knows no key at all; the one that names the repository is among the last."""
    line = _fetching(evidence, _UNTRUSTED)
    if line is None:
        return None
    return Diagnosis(
        "repository-untrusted",
        f"no key that this machine has vouches for a package repository: {cut(_said(line))}",
        "name the key that the repository is signed with (package_repositories: its url and key)",
    )


def repository_unusable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    line = _fetching(evidence, _UNUSABLE)
    if line is None:
        return None
    return Diagnosis(
        "repository-unusable",
        f"the package repository {_server(line)} does not have what is needed: {cut(_said(line))}",
        "compare package_repositories and kubernetes_version with what it offers",
    )


def _fetching(evidence: Evidence, reason: re.Pattern[str]) -> str | None:
    """The line of apt, dnf or curl that says that nothing was fetched, for this reason."""
    if evidence.stage not in ("prepare", "install"):
        return None
    given_up = re.search(_GIVEN_UP, evidence.text, re.MULTILINE)
    lines = (line for line in evidence.lines if given_up or not line.startswith("[MIRROR]"))
    return next((line for line in lines if _FETCHING.search(line) and reason.search(line)), None)


def _server(line: str) -> str:
    """Whom the line is about: a URL, a quoted host, a host after `to` or `host:`."""
    for pattern in (r"(https?://[^\s\"'\],]+)", r"host(?: name)?:? (?:for )?'?([\w.-]+)", r"connect to ([\w.:\[\]-]+)"):
        found = re.search(pattern, line)
        if found:
            return found.group(1)
    return "that is configured"


def _said(line: str) -> str:
    """The line without what introduces it."""
    apt = r"[WE]: (?:Failed to fetch \S+ *)?|Err:\d+ *"
    dnf = r"(?: *- |\[MIRROR\] \S+: )?(?:Curl error \(\d+\): )?"
    return re.sub(rf"^(?:{apt}|curl: \(\d+\) |{dnf})", "", line)


# --- images --------------------------------------------------------------------------------------------------------

_NAMED = (
    r"failed to (?:pull(?: and unpack)? image|resolve (?:reference|image)) [\\\"]*([^\s\\\":][^\s\\\"]*?)[\\\"]*:?(?:\s|$)"
)
"""kubeadm, crictl and containerd name the image at first."""

_UNNAMED = r"ctr: (?:.*: )?(?:failed to (?:resolve image|copy|do request|fetch)|unexpected status)"
"""containerd's own client leaves the name out where containerd does the work."""


def image_unavailable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    found = evidence.says(_NAMED)
    line = found.string if found else _line_without_name(evidence)
    if line is None:
        return None
    image = found.group(1) if found else ""
    return Diagnosis(
        "image-unavailable",
        f"{f'the image {image}' if image else 'an image'} cannot be pulled: {_reason_of_pull(line, image)}",
        "let this machine reach the registry (DNS, firewall, https_proxy), name a mirror, an authority or a login "
        "(registries), or bring the images (image_archives, bake)",
    )


def _line_without_name(evidence: Evidence) -> str | None:
    found = evidence.says(_UNNAMED)
    return found.string if found else None


def _reason_of_pull(line: str, image: str) -> str:
    """containerd wraps the reason into ever more words, the image's name among them; the last ones say it."""
    wrapped = re.sub(r"[\\\"]+ image=.*$", "", line.strip())
    wrapped = wrapped.rpartition(image)[2] if image else wrapped.partition("ctr: ")[2]
    reason = re.split(r"[\\\"]+: ", wrapped)[-1].strip(' \\":')
    return cut(reason or line)
