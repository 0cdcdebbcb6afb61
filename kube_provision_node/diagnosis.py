"""Why a step fails, in a person's words, and what to do: from what it has said and from a look at the machine.

Each recogniser knows one cause. It is a function of the evidence and of the probes alone, and says None unless it is sure.
Messages of kubeadm, apt, dnf, curl and containerd are those of their sources; tests quote them.
"""

from __future__ import annotations

import re

from .evidence import NO_ANSWER, NO_NAME, NO_WAY, Diagnosis, Evidence, Probes, Recogniser, cut
from .fetching import image_unavailable, repository_unreachable, repository_untrusted, repository_unusable
from .manifests import manifest_refused, manifest_unavailable

_TOLERANCE = 60.0
"""Seconds that clocks may differ: certificates are valid from some minutes before they are made."""


_ONE_NAME = "two clusters of one name cannot share a discovery service, and a new machine would not help"


def diagnose(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """The first cause that is recognised, the most particular ones first."""
    found = (recognise(evidence, probes) for recognise in RECOGNISERS)
    return next(filter(None, found), None)


# --- the cluster does not let it in --------------------------------------------------------------------------------


def wrong_authority(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """Answers under this cluster's name come from another cluster."""
    told = evidence.says(r"none of the public keys \"?(sha256:\w+)")
    theirs = told.group(1) if told else None
    if not theirs and _no_signature(evidence):
        answering = probes.authority(evidence.proxy_port)
        theirs = answering if answering and evidence.pin and answering != evidence.pin else None
    if not theirs:
        return None
    return Diagnosis(
        "wrong-authority",
        f"masters of another cluster answer in this one's name: their certificate authority is {_short(theirs)}, and this "
        f"machine was told to trust {_short(evidence.pin) or 'another one'}",
        f"{_ONE_NAME}: choose another name; or, if there is but one, bring back the folder of secrets it was made with",
    )


def name_taken(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """The choreography's own words, from `decision.refuse_other_cluster`."""
    told = evidence.says_last(r"discovery remembers another cluster of this name: (.+?)\. ")
    if not told:
        return None
    return Diagnosis(
        "name-taken",
        f"discovery remembers another cluster of this name: {told.group(1)}",
        f"{_ONE_NAME}: choose another name; or, if that cluster is gone, have discovery forget it: destroy with its folder",
    )


def expired_token(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """Nobody but an API server knows whether the token's life has passed. A signature may also be missing for want of a
    controller manager, which signs anew once it runs again."""
    unsigned = _no_signature(evidence)
    if not unsigned and not (evidence.stage == "join" and evidence.says(r"\bUnauthorized\b")):
        return None
    accepted = probes.accepts_token(evidence.proxy_port, evidence.pin)
    if accepted is False:
        return Diagnosis(
            "expired-token",
            "its join token expired before it joined: the masters no longer accept it",
            "a new machine in its place gets a fresh token",
            replace=True,
        )
    return _unsigned_token(accepted) if unsigned else None


def _unsigned_token(accepted: bool | None) -> Diagnosis:
    how = "is good" if accepted else "may be good (no master could be asked)"
    return Diagnosis(
        "unsigned-token",
        f"its join token {how}, but no controller manager has signed for it yet: it is starting, or cannot do its work",
        "it tries again by itself; if this lasts, look at kube-controller-manager on the masters",
    )


def expired_certificates(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """What `kubeadm join` of a master fetches: its Secret lives for two hours, and a later upload has another key.

    Both are an API server's word for what etcd holds, so neither a wait nor a clock makes it good.
    """
    if evidence.stage != "join":
        return None
    if evidence.says(r'Secret "?kubeadm-certs"? was not found'):
        what = "the certificates that were uploaded for it have expired before it joined"
    elif evidence.says(r"error decoding secret data with provided key"):
        what = "the certificates were uploaded anew, with another key than the one that this machine was given"
    else:
        return None
    return Diagnosis("expired-certificates", what, "a new machine in its place gets a fresh upload", replace=True)


def _no_signature(evidence: Evidence) -> bool:
    """kubeadm says so once it has asked for minutes: a new cluster signs for its token within seconds."""
    said = r"could not find a JWS signature|token id \S+ is invalid for this cluster or it has expired"
    return evidence.stage == "join" and evidence.says(said) is not None


# --- the machine is not fit ----------------------------------------------------------------------------------------


def wrong_clock(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """A certificate or a repository's index that is not valid at this machine's time; another server's time tells."""
    early = evidence.says_last(r"not valid yet \(invalid for|not yet valid(?!:)|not live until|current time \S+ is before")
    late = evidence.says_last(r"certificate has expired|expired certificate|current time \S+ is after|is expired \(invalid")
    unset = evidence.says_last(r"the clock is not synchronised")
    if not (early or late or unset):
        return None
    ahead = None if unset else probes.clock_ahead(re.findall(r"https?://[^\s\"'\\)>,]+", evidence.text))
    if ahead is not None and abs(ahead) >= _TOLERANCE:
        cause = f"this machine's clock is {_span(abs(ahead))} {'fast' if ahead > 0 else 'slow'}"
    elif ahead is None and (unset or early):
        seems = f"seems to be slow: {cut(early.string)}" if early else "is not synchronised"
        cause = f"this machine's clock {'is not synchronised' if unset else seems}"
    else:
        return None
    return Diagnosis(
        "wrong-clock", cause, "let it reach time servers (ntp_servers), or correct the hypervisor's clock; then it goes on"
    )


def no_default_route(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """A site without one is fine, as long as nothing outside is needed and names resolve."""
    needed = next((cut(line) for line in reversed(evidence.lines) if _lacks_way(line, probes)), None)
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


def _lacks_way(line: str, probes: Probes) -> bool:
    """Whether it complains about a name that nobody resolves or an address that nothing leads to. A neighbour that is
    switched off has no route to it either, in the words of programs; and some keep to themselves why they cannot connect."""
    if re.search(NO_NAME, line):
        return True
    if not re.search(f"{NO_WAY}|{NO_ANSWER}", line):
        return False
    addresses = re.findall(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", line)
    if addresses:
        return any(probes.has_route_to(address) is False for address in addresses)
    return re.search(NO_WAY, line) is not None


def no_resolver_file(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """Every pod gets a copy of it, those of the control plane too: without one the kubelet makes no sandbox, and all that
    kubeadm sees is that nothing answers."""
    said = r"/etc/resolv\.conf|[Ss]andbox|wait-control-plane|ClusterRoleBinding|\[control-plane-check\]"
    if not evidence.says(said) or probes.has_resolver_file():
        return None
    return Diagnosis(
        "no-resolver-file",
        "this machine has no /etc/resolv.conf (or a link that leads nowhere), without which the kubelet starts no pod",
        "let the template's network service write one (systemd-resolved, NetworkManager), or bring it with `files`",
    )


def swap_is_on(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """kubeadm only warns; the kubelet refuses, and all that kubeadm can tell is that it is not healthy. On the master that
    initialises the cluster it does not come as far, and tells that no API server answers."""
    said = evidence.says(r"unning with swap on is not supported|swapoff(?:: | failed)")
    refused = evidence.says(r"kubelet is not healthy|kubelet isn't running|:10248/healthz|unable to create ClusterRoleB")
    swaps = probes.swaps() if said or refused else ()
    if not said and not swaps:
        return None
    return Diagnosis(
        "swap",
        f"swap is on{_in_brackets(swaps)}, and the kubelet refuses to run with it",
        "take swap out of the template: its line in /etc/fstab, its systemd unit, zram; or set swap: true",
    )


def runtime_late(evidence: Evidence, _: Probes) -> Diagnosis | None:
    """One that does not run refuses at once."""
    if not evidence.says(r"could not connect to the container runtime.*DeadlineExceeded"):
        return None
    return Diagnosis("runtime-late", "the container runtime answered kubeadm too late", _SLOW.format("containerd"))


def control_plane_late(evidence: Evidence, _: Probes) -> Diagnosis | None:
    """The kubelet has started it, and kubeadm's wait for it has ended."""
    admin = evidence.says(r"could not bootstrap the admin user.*(?:context deadline|connection refused|imeout)")
    told = evidence.says_last(r"\[control-plane-check\] (kube-[a-z-]+) is not healthy after")
    if not admin and not told:
        return None
    what = told.group(1) if told else "the API server"
    cause = f"{what} did not answer in time after the kubelet had started it"
    return Diagnosis("control-plane-late", cause, _SLOW.format("kubelet"))


_SLOW = (
    "it tries again by itself; a machine that is slow needs more processors and memory, or a host that is less busy; if "
    "this lasts, ask it: journalctl -u {}; crictl ps -a"
)


# --- something else does not answer --------------------------------------------------------------------------------


def discovery_unreachable(evidence: Evidence, probes: Probes) -> Diagnosis | None:
    """Programs on a node begin the line with these words; see docs/discovery-on-the-node.md."""
    said = evidence.present.says_last(r"discovery unreachable: (.+)")
    if said is None:
        return None
    reason, address = said.group(1), evidence.discovery_address
    where = f" at {address}" if address and address not in reason else ""
    return Diagnosis(
        "discovery-unreachable",
        f"discovery{where} cannot be reached: {cut(reason)}",
        "see that the service runs, that its address is right, and that firewalls let this machine reach it",
    )


# --- words ---------------------------------------------------------------------------------------------------------


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
    name_taken,
    wrong_authority,
    expired_token,
    expired_certificates,
    wrong_clock,
    no_default_route,
    manifest_unavailable,
    manifest_refused,
    swap_is_on,
    discovery_unreachable,
    image_unavailable,
    repository_unreachable,
    repository_untrusted,
    repository_unusable,
    no_resolver_file,
    runtime_late,
    control_plane_late,
)
