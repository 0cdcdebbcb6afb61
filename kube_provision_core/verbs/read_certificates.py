"""What `certificates --files` asks: masters tell when the certificates end that no handshake shows."""

from __future__ import annotations

from collections.abc import Mapping

from ..boot.tasks import Task, asking
from ..boot.tasks.programs import closure, command
from ..cluster.desired import Desired
from ..contract.machines import Node
from ..engine.facts import Facts
from ..engine.ownership import check_identity
from ..engine.plan import AwaitTask, Plan, keys
from ..engine.report import Report
from ..engine.session import Session
from ..engine.verb import Options, Verb
from .giving import AT_ONCE, given, left_over, silence
from .run import User, run

VERB = "read-certificates"
PROGRAM = "expiry"
"""Of `kube_provision_node`."""
DUMB = "the machine was made by an earlier version, which tells nothing of it"


def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
    """All masters side by side that run and can be given a task; of the others it is said why not in their rows."""
    check_identity(facts)
    left = left_over(desired.nodes, facts.seen)
    asked = [node for node in desired.masters if node.name in facts.seen.ours and not silence(node.name, facts.seen)]
    task = {node.name: _task(node, facts.answer_room) for node in asked}
    reason = "tells when the certificates in its files end"
    each = (given(node, task[node.name], reason, keys(left), AT_ONCE) for node in asked)
    return Plan((*left, *(action for actions in each for action in actions)))


def read_files(session: Session, user: User) -> Mapping[str, bytes | str]:
    """What the masters have told, by their names, or why they have not."""
    report = run(READ_CERTIFICATES, session, Options(), user)
    failed = {it.action.subject: it.text for it in report.outcomes if not it.done and isinstance(it.action, AwaitTask)}
    return {name: _told(name, report, failed) for name in report.observation.ours}


def _told(name: str, report: Report, failed: Mapping[str, str]) -> bytes | str:
    answer = report.answers.get((name, VERB))
    if answer and answer.result is not None and not answer.cut:
        return answer.result
    return failed.get(name) or silence(name, report.observation) or DUMB


def _task(node: Node, room: int) -> Task:
    return asking(VERB, node, command(PROGRAM, ""), room=room, files=closure(PROGRAM), seconds=120)


READ_CERTIFICATES = Verb(VERB, ("list_vms", "deliver_task"), plan, renders=False, recorded=False)
