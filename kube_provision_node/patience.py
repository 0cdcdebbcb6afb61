"""How long kubeadm, and what it starts, waits: seconds, on machines at their host's own speed and on emulated ones.

Elsewhere what is waited for takes seconds; where processors are emulated it takes minutes, and more on a host that is busy.
Nobody waits longer for what is ready: all that a long wait costs is a later word of what never comes.
"""

from __future__ import annotations

import subprocess

_LIMIT = 30.0

WAITS = {
    # The first call is made when the kubelet has only just been started, so it waits for the API server to come up: 9:29 on
    # an emulated machine whose host had eight times as much to do as it could. All else is waited for after that.
    "kubernetesAPICall": (480, 1200),
    # It is also how long a static pod may take to be healthy, before the kubelet ends it and all that it did was in vain.
    "controlPlaneComponentHealthCheck": (480, 1200),
    # Asked of a kubelet that was only just started, which an emulated machine takes minutes for.
    "kubeletHealthCheck": (240, 600),
    # A new member becomes a voter when etcd has started here and has caught up.
    "etcdAPICall": (240, 600),
    # A controller manager signs for the token, then the kubelet's certificate; it may just be starting.
    "discovery": (360, 600),
    "tlsBootstrap": (360, 600),
    # What an upgrade waits for is static pods that the kubelet starts anew.
    "upgradeManifests": (480, 1200),
}
"""kubeadm's own, by their names in its configuration: all there are."""

ONE_AFTER_ANOTHER = (
    *("discovery", "kubernetesAPICall", "kubeletHealthCheck", "tlsBootstrap"),
    *("etcdAPICall", "etcdAPICall", "controlPlaneComponentHealthCheck"),
)
"""Those that follow one another in the join of a master, which is the longest of all."""

_OTHERS = {
    # From the cluster's initialisation: who has waited for it joins then, and masters do so one after another.
    "TOKEN_TTL": (1800, 4500),
    # Kubernetes' own: how long the leader of the controller managers, and of the schedulers, may be silent. A busy emulated
    # machine answers later than that: the leader would give up and end again and again, and with it what signs for tokens
    # and certificates. One that dies is followed within a minute, in place of 15 s.
    "LEASE_DURATION": (15, 60),
    "RENEW_DEADLINE": (10, 45),
    "RETRY_PERIOD": (2, 5),
}


def wait(name: str) -> float:
    """One of `WAITS`."""
    return float(WAITS[name][int(is_emulated())])


def limit() -> float:
    """Of an init or a join: all waits that follow one another, so that kubeadm itself says which of them was in vain, and a
    tenth for what it does between them."""
    kind = int(is_emulated())
    return 1.1 * sum(WAITS[name][kind] for name in ONE_AFTER_ANOTHER)


def filled_in(text: str) -> str:
    """Every `@NAME@` of kubeadm's configuration, as this machine needs it."""
    kind = int(is_emulated())
    for name, seconds in {**WAITS, **_OTHERS}.items():
        text = text.replace(f"@{name}@", f"{seconds[kind]}s")
    return text


def is_emulated() -> bool:
    """Whether the hypervisor emulates this machine's processors: systemd calls it `kvm` where QEMU does not need to."""
    try:
        command = ["systemd-detect-virt", "--vm"]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.stdout.strip() == "qemu"
