"""The planner of `encryption rotate`: Secrets at rest get another key, while the cluster goes on. Pure.

The order is Kubernetes' own: each API server can read with the new key before any writes with it, all Secrets are written
with it before any has forgotten the old one. How far that is stands in the cluster's folder, and is written down before
anything is done about it: whoever is broken off begins with the same stage again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..boot.tasks.encryption import keys as give_keys
from ..cluster.desired import Desired
from ..contract.errors import ConfigError
from ..contract.machines import Node, Power
from ..engine.encryption import RewriteSecrets, TurnKeys
from ..engine.facts import Facts
from ..engine.ownership import check_identity
from ..engine.plan import Action, Plan, keys
from ..engine.verb import Options, Verb
from ..folder.encryption import Encryption, Stage
from .ending import remember, tell
from .giving import given, left_over, refuse_deaf
from .refusals import refuse_another_role, refuse_fewer, refuse_other_encryption

_REASONS = {
    Stage.READING: "each reads with the new key",
    Stage.WRITING: "each writes with the new key",
    Stage.LEAVING: "the old key is gone",
}


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """All masters in each stage, one after another. One that fails keeps the others, and later stages, from their turns.

    Raises `ConfigError` for a cluster that encrypts nothing, and where a master could not be given the keys: it could not
    read what others write.
    """
    check_identity(facts)
    refuse_other_encryption(facts)
    name, encryption = desired.cluster.name, facts.folder.encryption
    if encryption is None:
        raise ConfigError(f"cluster {name} does not encrypt Secrets at rest (encryption_at_rest), and has no key to rotate")
    if not facts.initialised.value:
        raise ConfigError(f"cluster {name} is not initialised, and has no Secrets yet: provision it")
    if facts.folder.restoring or facts.folder.abandoning:
        raise ConfigError(f"cluster {name} is being restored: that comes to its end first")
    refuse_another_role(desired, facts.seen)
    refuse_fewer(desired, facts.seen)
    masters = [node for node in desired.masters if node.name in facts.seen.ours]
    _refuse_incomplete(facts, masters)
    refuse_deaf(masters, facts.seen, facts.remedies)
    left = left_over(desired.nodes, facts.seen)
    return Plan((*left, *_rotation(name, masters, encryption, keys(left))), tuple(_notes(name, encryption, masters)))


def _refuse_incomplete(facts: Facts, masters: Sequence[Node]) -> None:
    """Every master that the cluster counts has to run, and to be one that can be given something."""
    living, names = facts.nodes.value, {node.name for node in masters}
    off = [node.name for node in masters if facts.seen.ours[node.name].power is not Power.ON]
    late = [name for name in names - {*off} if not living.joined(name)]
    strange = [node.name for node in living.nodes if living.joined(node.name) and node.name not in names]
    problems = [
        *(f"{name} does not run, and would not read what others write: start it" for name in sorted(off)),
        *(f"{name} is no master of the cluster yet: {facts.remedies.provision()}" for name in sorted(late)),
        *(
            f"{name}: the cluster counts it as a master, and there is no machine that could be given the keys: "
            f"{facts.remedies.provision()}, or delete its node"
            for name in sorted(strange)
        ),
    ]
    if problems:
        raise ConfigError(*problems)


def _rotation(cluster: str, masters: Sequence[Node], encryption: Encryption, after: frozenset[str]) -> Iterator[Action]:
    for stage in _stages(encryption.stage):
        turn = TurnKeys(cluster=cluster, stage=stage, reason=_REASONS[stage], after=after)
        yield turn
        after = keys([turn])
        for node in masters:
            steps = given(node, give_keys(node, encryption.at(stage)), _REASONS[stage], after)
            yield from steps
            after = keys(steps)
        if stage is Stage.WRITING:
            rewrite = RewriteSecrets(cluster=cluster, reason="none needs the old key any more", after=after)
            yield rewrite
            after = keys([rewrite])
    yield TurnKeys(cluster=cluster, stage=Stage.SETTLED, reason="the new key is the only one", after=after)


def _stages(now: Stage) -> Sequence[Stage]:
    """Those that are still to come, the one that was begun among them: nobody knows how far it has come."""
    order = [Stage.READING, Stage.WRITING, Stage.LEAVING]
    return order[order.index(now) :] if now in order else order


def _notes(cluster: str, encryption: Encryption, masters: Sequence[Node]) -> Iterator[str]:
    if encryption.stage is not Stage.SETTLED:
        yield f"a rotation of cluster {cluster}'s keys was broken off ({encryption.stage}), and goes on"
    if len(masters) < 3:
        yield f"of {len(masters)} master(s) none can be spared: nothing serves the API while one of them starts its own anew"


ROTATE = Verb("rotate", ("list_vms", "deliver_task"), plan, report=tell, begin=remember, renders=False)
