"""How a node becomes a member of its cluster: who initialises it, who joins, and when.

    join      become a member, then apply the seed manifests; on a member, finish what was left undone
    record    on a master that is a member: tell discovery again that the cluster is initialised

Nothing but discovery's answers decides, and only "absent" means absent: an answer that does not come means wait.

Every wait is bounded, and says what for when it is given up; with kubeadm's own time on an emulated machine they add up to
less than four and a half hours, so the step that runs this needs that limit.
"""

from __future__ import annotations

import argparse
import logging
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

from . import authorities, etcd
from .client import Client, Versioned, connect_client
from .decision import Candidate, Decision, OtherClusterError, decide, refuse_other_cluster
from .exclusion import alone
from .journal import log_to_journal
from .kubeadm import Kubeadm, KubeadmError
from .proxy import Proxy, unready
from .settings import Node, Places, read_document, read_node

log = logging.getLogger(__name__)

TURN_LIMIT = 3600.0
"""Seconds that a node waits for its turn: the first master may still be installing packages, and an emulated one was seen to
need 23 minutes on a busy host before it could begin with the initialisation."""
LOCK_LIMIT = 900.0
RECORD_LIMIT = 600.0
"""Seconds for telling discovery what has happened; it may be down just then."""
ADDRESS_LIMIT = 300.0
"""Seconds that a node waits for its IPv6 address in a dual-stack cluster."""
_PAUSE = 3.0

CHANGED = "looks again: the record has changed"


class GaveUpError(Exception):
    """It did not come to this node's turn; says what it waited for."""


class TakenOverError(Exception):
    """Another machine has taken the initialisation over."""


@dataclass(frozen=True)
class Choreography:
    places: Places
    node: Node
    client: Client
    unavailable: type[Exception]
    """The discovery module's `UnavailableError`."""
    proxy: Proxy
    kubeadm: Kubeadm
    sleep: Callable[[float], None] = time.sleep

    # --- join ------------------------------------------------------------------------------------------------------

    def join(self) -> None:
        """Become a member. Idempotent.

        Raises `OtherClusterError`, `GaveUpError`, `etcd.EtcdError`, `KubeadmError`, `authorities.UnfitError` or `OSError`.
        """
        if not self.member.exists():
            self.wait_until_done(lambda: self.kubeadm.lacks_address(self.client.address), ADDRESS_LIMIT)
            turn = self.take_turn_as_master if self.node.is_master else self.take_turn_as_worker
            self.wait_until_done(turn, TURN_LIMIT)
        if self.node.is_master:
            self.wait_until_done(self.announce, RECORD_LIMIT)
        self.forget_secrets()
        if self.initialiser.exists() and not self.seeded.exists():
            self.apply_seed_manifests()

    def wait_until_done(self, attempt: Callable[[], str], limit: float) -> None:
        """Call `attempt` until it says of nothing more that it `waits for …`. Raises `GaveUpError` after `limit` seconds."""
        deadline = time.monotonic() + limit
        last = ""
        while True:
            try:
                waits = attempt()
            except self.unavailable as problem:
                waits = waits_as_discovery_says(problem)
            if not waits:
                return
            if waits != last:
                say(waits)
                last = waits
            if time.monotonic() > deadline:
                raise GaveUpError(f"given up after {limit:.0f} s: {waits}")
            self.sleep(_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311 - no secret

    def take_turn_as_worker(self) -> str:
        """Join as soon as a master answers, without a lock; else what is waited for."""
        record = self.read_record_if_told()
        refused = unready(self.node.proxy_port)
        if refused:
            return waits_for_initialiser(record) if record.get("state") == "initialising" else waits_for_master(refused)
        self.join_cluster()
        return ""

    def take_turn_as_master(self) -> str:
        """Act under the lock if it is this master's turn; else what is waited for.

        What is read before the lock only spares the lock; what is read under it decides.
        """
        record = self.record()
        before = self.decide(record)
        if before is Decision.WAIT:
            return waits_for_initialiser(record)
        refused = unready(self.node.proxy_port) if before is Decision.JOIN else ""
        if refused:
            return waits_for_master(refused)
        say("waits for its turn")
        with self.client.lock(LOCK_LIMIT):
            decision = self.decide(self.record())
            return self.act(decision) if decision is before else CHANGED

    def act(self, decision: Decision) -> str:
        """Under the lock."""
        if decision is Decision.INIT:
            return self.initialise()
        if decision is Decision.JOIN:
            self.join_cluster()
        else:
            mark(self.initialiser, self.member)
        return ""

    def announce(self) -> str:
        """Make this master known, now that it is a member."""
        self.client.register()
        return ""

    def record(self) -> dict[str, str] | None:
        record = self.client.read_record()
        return record.content if record else None

    def decide(self, record: dict[str, str] | None) -> Decision:
        return decide(record, self.me)

    def read_record_if_told(self) -> dict[str, str]:
        """A worker needs no record to join; but where there is one, it must be this cluster's."""
        try:
            record = self.record()
        except self.unavailable as problem:
            log.debug("%s", problem)
            return {}
        refuse_other_cluster(record, self.node)
        return record or {}

    def join_cluster(self) -> None:
        """`kubeadm join`, after undoing what an earlier attempt has left, its etcd member included."""
        say("joins the cluster")
        address = self.client.address()
        if self.kubeadm.left_something():
            if self.node.is_master:
                _, masters = self.client.masters("", 0.0)
                etcd.leave(self.places.kubernetes / "pki", self.node.name, address, masters, self.sleep)
            self.kubeadm.reset()
        self.kubeadm.join(address)
        mark(self.member)

    # --- initialise ------------------------------------------------------------------------------------------------

    def initialise(self) -> str:
        """Initialise the cluster, with the record saying so from before the beginning to the end.

        An initialisation that is not recorded has no joiners, so it may be undone and begun again.
        """
        claim = self.claim()
        if claim is None:
            return CHANGED
        say("initialises the cluster")
        address = self.client.address()
        if self.kubeadm.left_something():
            self.kubeadm.reset()
        authorities.install(self.places.authorities, self.places.kubernetes / "pki", self.node.ca_pin)
        if not self.proxy.show([address]):  # kubeadm talks to the API server that it starts through localhost:8443
            raise KubeadmError(f"nginx cannot be pointed at this node: try nginx -t -c {self.proxy.configuration}")
        self.kubeadm.init(address, self.fill_etcd(address))
        try:
            self.wait_until_done(lambda: self.record_initialised(claim), RECORD_LIMIT)
        except TakenOverError as problem:
            self.kubeadm.reset()
            return str(problem)
        mark(self.initialiser, self.member)
        return ""

    def fill_etcd(self, address: str) -> tuple[str, ...]:
        """Nothing: a new cluster's etcd begins empty. Else the checks of kubeadm's that what lies there would not pass."""
        return ()

    def claim(self) -> Versioned | None:
        """Write that this node is initialising the cluster; the record as written, or None if another one was faster."""
        content = self.me.record("initialising")
        record = self.client.read_record()
        written = self.client.replace_record(content, record.version) if record else self.client.create_record(content)
        claim = self.client.read_record() if written else None
        return claim if claim and claim.content == content else None

    def record_initialised(self, claim: Versioned) -> str:
        """Write that the cluster is initialised. Raises `TakenOverError` if the claim is no longer this node's."""
        content = self.me.record("initialised")
        if self.client.replace_record(content, claim.version):
            return ""
        record = self.client.read_record()
        if record is None:  # discovery has lost its data
            return "" if self.client.create_record(content) else CHANGED
        if record.content != content:  # else an answer to an earlier attempt was lost
            raise TakenOverError(f"{record.content.get('node')} has taken the initialisation over")
        return ""

    def apply_seed_manifests(self) -> None:
        """Outside of the lock, after the record: a manifest that cannot be fetched keeps nobody from joining."""
        for manifest in self.node.seed_manifests:
            say(f"applies {manifest}")
            self.kubeadm.apply(manifest)
        mark(self.seeded)

    # --- record ----------------------------------------------------------------------------------------------------

    def assert_record(self) -> str:
        """Tell a discovery service that may have lost its data that the cluster is initialised, and register; what was done.

        Only a master whose own API server is ready speaks for the cluster. Raises `OtherClusterError`, or what the client
        raises.
        """
        if not (self.node.is_master and self.member.exists() and self.kubeadm.runs_api_server()):
            return "nothing to record: no member of the control plane"
        not_ready = unready(self.node.api_port)
        if not_ready:
            return f"nothing to record: {not_ready}"
        content = self.me.record("initialised")
        record = self.client.read_record()
        refuse_other_cluster(record.content if record else None, self.node)
        if record is None:
            self.client.create_record(content)
        elif record.content.get("state") != "initialised":  # somebody is initialising a cluster that exists
            self.client.replace_record(content, record.version)
        self.client.register()
        self.forget_secrets()
        return "recorded and registered"

    # --- what is kept on the disk ----------------------------------------------------------------------------------

    @property
    def member(self) -> Path:
        return self.places.state / "member"

    @property
    def initialiser(self) -> Path:
        """This node has initialised the cluster, so it applies the seed manifests."""
        return self.places.state / "initialiser"

    @property
    def seeded(self) -> Path:
        return self.places.state / "seeded"

    @property
    def me(self) -> Candidate:
        instance_id = self.places.instance_id.read_text().strip()
        carries = authorities.delivered(self.places.authorities)
        return Candidate(self.node, instance_id, carries, self.kubeadm.runs_api_server())

    def forget_secrets(self) -> None:
        """A member needs no token, no certificate key and, the cluster being recorded, no authorities to try again with."""
        for verb in ("init", "join"):
            (self.places.config / f"kubeadm-{verb}.yaml").unlink(missing_ok=True)
        authorities.forget(self.places.authorities)


def waits_for_initialiser(record: dict[str, str] | None) -> str:
    return f"waits for {record['node'] if record else 'a master'} to initialise the cluster"


def waits_as_discovery_says(problem: Exception) -> str:
    """Why its `UnavailableError` was raised: somebody holds the lock, there is no discovery yet, or it cannot be reached."""
    if getattr(problem, "busy", False):
        return f"waits for its turn: {problem}"
    if getattr(problem, "early", False):
        return f"{waits_for_initialiser(None)}: {problem}"
    return f"discovery unreachable: {problem}"


def waits_for_master(refused: str) -> str:
    return f"waits for a master to answer: {refused}"


def say(doing: str) -> None:
    """What the runner publishes beside the step's name; see `process.Tail`."""
    log.info("now: %s", doing)


def mark(*markers: Path) -> None:
    for marker in markers:
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()


def connect(root: Path, kind: type[Choreography] = Choreography) -> Choreography:
    """The choreography of the node at `root`."""
    places = Places(root)
    document = read_document(places)
    node = read_node(document)
    client, unavailable = connect_client(document, places.config)
    proxy = Proxy(places, node.proxy_port, node.api_port)
    return kind(places, node, client, unavailable, proxy, Kubeadm(places))


def main(kind: type[Choreography] = Choreography) -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("command", nargs="?", choices=("join", "record"), default="join")
    arguments.add_argument("--root", type=Path, default=Path("/"))
    chosen = arguments.parse_args()
    log_to_journal()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that the lock is released
    choreography = connect(chosen.root, kind)
    expected = (
        *(OtherClusterError, GaveUpError, etcd.EtcdError, KubeadmError, authorities.UnfitError, OSError),
        choreography.unavailable,
    )
    try:
        if chosen.command == "record":
            with alone(choreography.places):
                log.info("%s", choreography.assert_record())
        else:
            choreography.join()
    except expected as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
