"""What helps somebody else to see what is wrong with a cluster, and nothing that would help them into it.

A cluster that half works is what this is for: whatever cannot be asked is missing, and said to be, and ends nothing.
"""

from __future__ import annotations

import platform
import re
import time
from base64 import b64decode
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..cluster import control_plane
from ..cluster.observe import Observation, natural_order
from ..config.shown import secrets, shown
from ..contract.machines import Vm
from ..engine.facts import Facts, Known, learn
from ..engine.identity import version_of
from ..engine.session import Session
from ..engine.verb import Options
from ..folder.state import State
from ..folder.store import Folder
from ..support.collecting import Collection
from ..support.known import Known as KnownSecrets
from .asking import TOO_LONG, Told, ask_each, journal
from .certificates import certificates
from .planning import look, plan
from .provision import PROVISION
from .run import User
from .status import standing
from .why import explained

QUESTIONS_SECONDS = 180.0
"""From the beginning, after which nobody but nodes is asked anything more: all of it takes a second, or whoever is slow is
what is wrong."""

PROGRAM_SECONDS = 60
"""For what a machine is asked at a time."""

_LINES = 4000
"""Of a journal: more than any road carries."""

_SYSTEM = (
    "crictl ps -a",
    "systemctl --no-pager list-units kube* containerd*",
    "ls -l /etc/kubernetes/manifests /var/lib/kube-provision",
    "cat /proc/pressure/cpu /proc/pressure/memory /proc/pressure/io",
    "ip route",
    "ip -brief address",
    "df -h -l -x tmpfs -x overlay",
    "free -m",
    "timedatectl",
    "uptime",
    "systemctl --no-pager --failed",
    "containerd --version",
    "kubeadm version -o short",
    "kubelet --version",
    "uname -a",
    "grep ^PRETTY_NAME /etc/os-release",
)
"""What matters most comes last: where there is no room for all it is the end that comes."""
PROGRAMS: Mapping[str, str] = {
    "tell-kube-provision": f"{journal('kube-provision*', 'cloud-*', lines=_LINES)} 2>&1",
    "tell-kubelet": f"{journal('kubelet.service', lines=_LINES)} 2>&1",
    "tell-containerd": f"{journal('containerd.service', lines=_LINES)} 2>&1",
    "tell-system": "\n".join(f"echo '== {line}'; timeout -k 1 5 {line} 2>&1 </dev/null || true" for line in _SYSTEM),
}
"""What nodes are asked, one after another."""


@dataclass(frozen=True)
class Bundle:
    """Texts without secrets."""

    texts: Mapping[str, str]
    """By their paths."""
    missing: tuple[str, ...]
    """What could not be asked, and what was cut, in a line each."""


def collect(session: Session, state: State | Path, user: User) -> Bundle:
    """Ask whatever answers. Raises nothing that a part of a cluster causes.

    Nodes are asked under the cluster's lock, as by any run; while another one is at work they are not.
    """
    deadline = time.monotonic() + QUESTIONS_SECONDS
    looked = learn(lambda: look(session))
    facts = looked.value if isinstance(looked, Known) else Facts(session, Observation(session.desired.cluster))
    found = Collection(KnownSecrets(_secrets(session, facts)))
    with found.until(deadline):
        _add_wishes(found, session)
        if isinstance(looked, Known):
            _add_machines(found, session, facts)
        else:
            found.miss("machines", looked.reason)
            facts = Facts(session, _without_machines(found, session))
        _add_cluster(found, session, facts)
    if facts.seen.ours:
        _add_nodes(found, session, state, user)
    found.add_text("missing.txt", "".join(f"{line}\n" for line in found.missing) or "nothing\n")
    return Bundle(found.texts, found.missing)


# --- what is known of it -------------------------------------------------------------------------------------------


def _secrets(session: Session, facts: Facts) -> Iterator[str]:
    """Every one that can be known here, of the cluster's folder, of the configuration and of machines."""
    folder = session.folder
    yield from (content.decode() for path, content in folder.pki.files.items() if path.endswith(".key"))
    yield from (folder.token, folder.token.partition(".")[2], folder.certificate_key, *folder.generated.values())
    encryption = folder.encryption
    yield from (key.secret for key in ((encryption.key, encryption.next) if encryption else ()))
    yield from _keys_of((folder.read_kubeconfig() if folder.saved else b"") or b"")
    yield from secrets(session.config)
    stamps = {name: vm.stamp for name, vm in facts.seen.ours.items() if vm.stamp}
    yield from (folder.pki.machine_key(it.cluster_id, name, it.instance) for name, it in stamps.items())


def _keys_of(kubeconfig: bytes) -> Iterator[str]:
    for key in re.findall(rb"client-key-data: *(\S+)", kubeconfig):
        with suppress(ValueError):  # edited by hand
            yield b64decode(key).decode()


def _add_wishes(found: Collection, session: Session) -> None:
    found.ask("about.json", lambda: _about(session))
    found.ask("configuration.json", lambda: shown(session.config))
    found.ask("plan.json", lambda: _plan(session))


def _about(session: Session) -> Mapping[str, Any]:
    config, folder = session.config, session.folder
    return {
        "when": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "program": __version__,
        "plugins": {f"{it.kind} {it.name}": f"{it.distribution} {version_of(it.distribution)}" for it in config.drivers},
        "python": platform.python_version(),
        "host": platform.platform(),
        "cluster": config.core.name,
        "cluster_id": folder.cluster_id if folder.saved else "",
        "initialised": folder.initialised,
        "warnings": config.warnings,
    }


def _plan(session: Session) -> Mapping[str, Any]:
    """What a run would do now."""
    planned, identity = plan(PROVISION, session, Options())
    actions = [{"mark": it.mark, "action": it.verb, "subject": it.subject, "reason": it.reason} for it in planned.actions]
    return {"actions": actions, "notes": planned.notes, "postponed": planned.postponed, "facts": identity.facts}


def _add_machines(found: Collection, session: Session, facts: Facts) -> None:
    """As target and discovery, and they themselves, tell of them."""
    seen = facts.seen
    if seen.discovery_error:
        found.miss("discovery", seen.discovery_error)
    found.add("seen.json", {"cluster": seen.cluster, "discovery": seen.discovery, "foreign": seen.foreign})
    found.ask("status.json", lambda: standing(session, facts))
    found.ask("certificates.json", lambda: certificates(session, {}))
    for name in sorted(seen.ours, key=natural_order):
        found.add(f"machines/{name}/machine.json", _without_answers(seen.ours[name]))
        found.ask(f"machines/{name}/why.json", partial(explained, session, facts, name))


def _without_answers(vm: Vm) -> Vm:
    """What it has answered to a task is sealed, and of no use to others."""
    return replace(vm, status=replace(vm.status, task="")) if vm.status else vm


def _without_machines(found: Collection, session: Session) -> Observation:
    """What discovery alone knows, where its address is."""
    cluster = session.desired.cluster
    if cluster.discovery_address is None:
        return Observation(cluster)
    discovery = found.learn("discovery", lambda: session.hook.discover_masters(cluster=cluster))
    found.add("seen.json", {"cluster": cluster, "discovery": discovery})
    return Observation(cluster, discovery=discovery)


def _add_cluster(found: Collection, session: Session, facts: Facts) -> None:
    """As its own API shows it, each part by itself: one may answer where another does not."""
    if not found.learn("cluster", lambda: facts.lives):
        found.miss("cluster", facts.kubernetes_error or "its API is not asked: it is not initialised")
        return
    found.learn("cluster", lambda: _ask_cluster(found, facts.seen, session))


def _ask_cluster(found: Collection, seen: Observation, session: Session) -> None:
    with control_plane(seen, session.folder.pki) as api:
        for name, question in api.inventory.questions.items():
            found.ask(f"cluster/{name}", question)
        found.ask("cluster/etcd.json", lambda: api.etcd.quorum())


# --- what nodes tell -----------------------------------------------------------------------------------------------


def _add_nodes(found: Collection, session: Session, state: State | Path, user: User) -> None:
    told = found.learn("what nodes tell, their journals among it", lambda: _ask_nodes(session, state, user))
    for node, answers in (told or {}).items():
        silent: dict[str, list[str]] = {}
        for program, answer in answers.items():
            path = f"machines/{node}/{program.removeprefix('tell-')}.txt"
            if isinstance(answer, str):
                silent.setdefault(answer, []).append(path)
            else:
                _add_told(found, path, answer)
                if answer.exit_code in TOO_LONG:
                    found.miss(path, f"what would have come after {PROGRAM_SECONDS} s: it was ended")
        for why, paths in silent.items():
            found.miss(", ".join(paths), why)


def _ask_nodes(session: Session, state: State | Path, user: User) -> Mapping[str, Mapping[str, Told | str]]:
    with Folder.lock(state, session.config.core.name):
        return ask_each(session, "support-bundle", PROGRAMS, PROGRAM_SECONDS, user)


def _add_told(found: Collection, path: str, told: Told) -> None:
    """What was cut begins with its first whole line: half a secret is none that anybody knows."""
    if not told.cut:
        found.add_text(path, told.text.decode(errors="replace"))
        return
    _, _, whole = told.text.partition(b"\n")
    found.add_text(path, whole.decode(errors="replace"))
    missing = told.cut + len(told.text) - len(whole)
    found.miss(path, f"{missing} bytes before it, which had no room on their way")
