"""Why a step fails, in a person's words, and what to do: from what it has said and from a look at the machine.

Each recogniser knows one cause. It is a function of the evidence and of the probes alone, and says None unless it is sure.
Messages of kubeadm, apt, dnf, curl and containerd are those of their sources; tests quote them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Callable, Protocol


class Probes(Protocol):
    """See `probes.Probes`."""

    def has_default_route(self) -> bool | None: ...
    def has_route_to(self, address: str) -> bool | None: ...
    def swaps(self) -> tuple[str, ...]: ...
    def clock_ahead(self, urls: Iterable[str]) -> float | None: ...
    def authority(self, port: int) -> str | None: ...


@dataclass(frozen=True)
class Evidence:
    """What is known about a step that fails, or that takes its time."""

    stage: str
    lines: tuple[str, ...]
    """The last that it has said, on either stream, oldest first."""
    pin: str = ""
    """The authority that this machine was told to trust."""
    proxy_port: int = 8443
    discovery_address: str = ""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def present(self) -> Evidence:
        """Only what was said last: a step that still runs may have got over what it said before."""
        return replace(self, lines=self.lines[-_PRESENT:])


@dataclass(frozen=True)
class Diagnosis:
    name: str
    """A word for programs; it never changes."""
    cause: str
    advice: str
    replace: bool = False
    """No further attempt helps: only a new machine in its place does."""


Recogniser = Callable[[Evidence, Probes], "Diagnosis | None"]

_PRESENT = 3
_TOLERANCE = 60.0
"""Seconds that clocks may differ: certificates are valid from some minutes before they are made."""
_LONGEST_QUOTE = 220

_NO_NAME = r"(?:emporary failure (?:in name )?resol|ould(?: not|n't) resolve|o such host|ame or service not known)"
_NO_WAY = r"(?:etwork is unreachable|o route to host)"
_NO_ANSWER = r"(?:onnection (?:refused|failed|reset)|imed out|i/o timeout|nable to connect)"
_NETWORK = re.compile(rf"{_NO_NAME}|{_NO_WAY}|{_NO_ANSWER}|(?:ailed to|ould not|annot initiate the) connect")


def diagnose(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """The first cause that is recognised, the most particular ones first."""
    found = (recognise(evidence, probes) for recognise in RECOGNISERS)
    return next(filter(None, found), None)


# --- the cluster does not let it in --------------------------------------------------------------------------------


def wrong_authority(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """Answers under this cluster's name come from another cluster."""
    theirs = _first(r"none of the public keys \"?(sha256:\w+)", evidence)
    if not theirs and _no_signature(evidence):
        answering = probes.authority(evidence.proxy_port)
        theirs = answering if answering and evidence.pin and answering != evidence.pin else None
    if not theirs:
        return None
    return Diagnosis(
        "wrong-authority",
        f"the cluster that answers has another certificate authority ({_short(theirs)}) than the one that this machine "
        f"was told to trust ({_short(evidence.pin) or 'unknown'})",
        "another cluster uses this one's name in discovery, or the folder of secrets was replaced: bring back the folder "
        "that the cluster was made with, or choose another name",
        replace=True,
    )


def expired_token(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    if not _no_signature(evidence):
        return None
    return Diagnosis(
        "expired-token",
        "its join token expired before it joined: the masters no longer vouch for it",
        "a new machine in its place gets a fresh token",
        replace=True,
    )


def expired_certificates(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """What `kubeadm join` of a master fetches: its Secret lives for two hours, and a later upload has another key."""
    if _first(r'Secret "?(kubeadm-certs)"? was not found', evidence):
        what = "the certificates that were uploaded for it have expired before it joined"
    elif _first(r"(error decoding secret data with provided key|message authentication failed)", evidence):
        what = "the certificates were uploaded anew, with another key than the one that this machine was given"
    else:
        return None
    return Diagnosis("expired-certificates", what, "a new machine in its place gets a fresh upload", replace=True)


def _no_signature(evidence: Evidence) -> bool:
    """kubeadm says so once it has asked for minutes: a new cluster signs for its token within seconds."""
    said = r"(could not find a JWS signature|token id \S+ is invalid for this cluster or it has expired)"
    return evidence.stage == "join" and bool(_first(said, evidence))


# --- the machine is not fit ----------------------------------------------------------------------------------------


def wrong_clock(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """A certificate or a repository's index that is not valid at this machine's time; another server's time tells."""
    early = _last(r"(not valid yet \(invalid for|not yet valid(?!:)|not live until|current time \S+ is before)", evidence)
    late = _last(r"(certificate has expired|expired certificate|current time \S+ is after|is expired \(invalid)", evidence)
    unset = _last(r"(the clock is not synchronised)", evidence)
    if not (early or late or unset):
        return None
    ahead = None if unset else probes.clock_ahead(re.findall(r"https?://[^\s\"'\\)>,]+", evidence.text))
    if ahead is not None and abs(ahead) >= _TOLERANCE:
        cause = f"this machine's clock is {_span(abs(ahead))} {'fast' if ahead > 0 else 'slow'}"
    elif ahead is None and (unset or early):
        cause = "this machine's clock is not synchronised" if unset else f"this machine's clock seems to be slow: {early}"
    else:
        return None
    return Diagnosis(
        "wrong-clock", cause, "let it reach time servers (ntp_servers), or correct the hypervisor's clock; then it goes on"
    )


def no_default_route(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """A site without one is fine, as long as nothing outside is needed and names resolve."""
    needed = _last(rf"({_NO_NAME}|{_NO_WAY})", evidence)
    if not needed and evidence.stage in ("discover", "join") and evidence.discovery_address:
        lost = probes.has_route_to(evidence.discovery_address) is False
        needed = f"there is no way to discovery at {evidence.discovery_address}" if lost else None
    if not needed or probes.has_default_route() is not False:
        return None
    return Diagnosis(
        "no-default-route",
        f"this machine has no default route: {needed}",
        "give its network a gateway; a site without one has mirrors within reach (package_repositories, image_repository) "
        "or brings its images (image_archives)",
    )


def swap_is_on(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """kubeadm only warns; the kubelet refuses, and all that kubeadm can tell is that it is not healthy."""
    said = _first(r"(\[ERROR Swap\]|unning with swap on is not supported|swapoff(?:: | failed))", evidence)
    refused = _first(r"(kubelet is not healthy|kubelet isn't running|:10248/healthz)", evidence)
    swaps = probes.swaps() if said or refused else ()
    if not said and not swaps:
        return None
    return Diagnosis(
        "swap",
        f"swap is on{_in_brackets(swaps)}, and the kubelet refuses to run with it",
        "take swap out of the template: its line in /etc/fstab, its systemd unit, zram",
    )


# --- something else does not answer --------------------------------------------------------------------------------


def discovery_unreachable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """Programs on a node begin the line with these words; see docs/discovery-on-the-node.md."""
    reason = _last(r"discovery unreachable: (.+)", evidence.present, whole=False)
    if not reason:
        return None
    address = evidence.discovery_address
    where = f" at {address}" if address and address not in reason else ""
    return Diagnosis(
        "discovery-unreachable",
        f"discovery{where} cannot be reached: {_cut(reason)}",
        "see that the service runs, that its address is right, and that firewalls let this machine reach it",
    )


def image_unavailable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    verbs = r"(?:pull(?: and unpack)? image|resolve (?:reference|image))"
    pulling = rf"failed to {verbs} *[\\\"]*([^\s\\\"]+?)[\\\"]*:?(?:\s|$)"
    image = _first(pulling, evidence)
    if not image:
        return None
    line = next(line for line in evidence.lines if re.search(pulling, line))
    return Diagnosis(
        "image-unavailable",
        f"the image {image} cannot be pulled: {_reason_of_pull(line, image)}",
        "let this machine reach the registry (DNS, firewall, https_proxy), name a mirror (image_repository, docker_proxy), "
        "or bring the images (image_archives, bake)",
    )


def repository_unreachable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    line = _fetching(evidence, _NETWORK)
    if line is None:
        return None
    return Diagnosis(
        "repository-unreachable",
        f"the package repository {_server(line)} cannot be reached: {_cut(_said(line))}",
        "let this machine reach it (DNS, firewall, http_proxy), or name a mirror (package_repositories)",
    )


def repository_unusable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    line = _fetching(evidence, re.compile(r"\b(?:40[0-9]|50[0-9])\b|is not signed|have a Release file|is no signing key"))
    if line is None:
        return None
    return Diagnosis(
        "repository-unusable",
        f"the package repository {_server(line)} does not have what is needed: {_cut(_said(line))}",
        "compare package_repositories and kubernetes_version with what it offers",
    )


def _fetching(evidence: Evidence, reason: re.Pattern[str]) -> str | None:
    """The line of apt, dnf or curl that says that nothing was fetched, for this reason."""
    fetching = re.compile(
        r"(?:W|E): Failed to fetch|^Err:\d+ |E: The repository|Failed to download metadata|Cannot download repomd|"
        r"^curl: \(\d+\)|Curl error \(\d+\)|is no signing key"
    )
    if evidence.stage not in ("prepare", "install"):
        return None
    return next((line for line in evidence.lines if fetching.search(line) and reason.search(line)), None)


def _server(line: str) -> str:
    """Whom the line is about: a URL, a quoted host, a host after `to` or `host:`."""
    for pattern in (r"(https?://[^\s\"'\],]+)", r"host(?: name)?:? (?:for )?'?([\w.-]+)", r"connect to ([\w.:\[\]-]+)"):
        found = re.search(pattern, line)
        if found:
            return found.group(1)
    return "that is configured"


def _said(line: str) -> str:
    """The line without what introduces it."""
    return re.sub(r"^(?:[WE]: )?(?:Failed to fetch \S+|Err:\d+)\s*|^curl: \(\d+\) |^Error: ", "", line)


def _reason_of_pull(line: str, image: str) -> str:
    """containerd wraps the reason into ever more words, the image's name among them; the last ones say it."""
    wrapped = re.sub(r"[\\\"]+ image=.*$", "", line.strip()).rpartition(image)[2]
    reason = re.split(r"[\\\"]+: ", wrapped)[-1].strip(' \\":')
    return _cut(reason or line)


# --- words ---------------------------------------------------------------------------------------------------------


def _first(pattern: str, evidence: Evidence) -> str | None:
    found = re.search(pattern, evidence.text)
    return found.group(1) if found else None


def _last(pattern: str, evidence: Evidence, *, whole: bool = True) -> str | None:
    """The last line with this pattern, or the pattern's group alone."""
    for line in reversed(evidence.lines):
        found = re.search(pattern, line)
        if found:
            return _cut(line) if whole else found.group(1)
    return None


def _cut(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST_QUOTE else f"{text[: _LONGEST_QUOTE - 1]}…"


def _short(pin: str) -> str:
    return pin[: len("sha256:") + 12]


def _in_brackets(words: tuple[str, ...]) -> str:
    return f" ({', '.join(words)})" if words else ""


def _span(seconds: float) -> str:
    """`2 h 3 min`, `40 days`."""
    minutes = round(seconds / 60)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} days"
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{max(minutes, 1)} min"


RECOGNISERS: tuple[Recogniser, ...] = (
    wrong_authority,
    expired_token,
    expired_certificates,
    wrong_clock,
    no_default_route,
    swap_is_on,
    discovery_unreachable,
    image_unavailable,
    repository_unreachable,
    repository_unusable,
)
