"""Having machines run something and tell what came of it, by tasks: no port, no login, and no API server is needed."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..boot.tasks import Answer, Task
from ..boot.tasks.asking import asking
from ..cluster.desired import Desired
from ..contract.errors import ConfigError, TargetError
from ..contract.machines import Node, Power
from ..engine.executor import State
from ..engine.facts import Facts
from ..engine.ownership import check_identity
from ..engine.plan import Action, Plan, keys
from ..engine.report import Report
from ..engine.session import Session
from ..engine.verb import Options, Verb
from .giving import AT_ONCE, given, left_over, refuse_deaf, silence
from .refusals import refuse_strangers
from .run import User, run

_NEEDS = ("list_vms", "deliver_task")
_JOURNAL = ("journalctl", "--no-pager", "--quiet", "--output", "short-iso")
_CURSOR = re.compile(rb"^-- cursor: (\S+)\n?\Z", re.MULTILINE)
_BESIDE = 30
"""Seconds for what is done about a program that is ended."""
_KILLED_AFTER = 5
"""Seconds more for one that does not heed that it is to end."""
TOO_LONG = (124, 137)
"""Exit codes of one that was, as `timeout` has them."""


@dataclass(frozen=True)
class Told:
    """What a machine has said."""

    text: bytes = field(repr=False)
    cut: int
    """Bytes before it that there was no room for."""
    exit_code: int


def execute(session: Session, node: str, command: Sequence[str], seconds: int, user: User) -> Told:
    """Run a program as root, without a shell and without input, and have its output and its errors, in their order.

    It is killed after so many `seconds`. Raises `ConfigError` for a machine that cannot be asked, before anything is given,
    and `TargetError` for one that does not answer.
    """
    program = f"{_within(seconds, *command)} </dev/null 2>&1"
    return ask(session, "exec", node, program, seconds + _BESIDE, user, recorded=True)


def read_journal(session: Session, node: str, unit: str | None, lines: int, user: User) -> Told:
    """The last lines of a machine's journal, of one unit or of all. Raises as `execute` does."""
    return ask(session, "logs", node, f"{journal(*([unit] if unit is not None else []), lines=lines)} 2>&1", 120, user)


def follow_journal(session: Session, node: str, unit: str | None, since: str | int, user: User) -> tuple[Told, str | int]:
    """What has come into a machine's journal since then, and until when. Raises as `execute` does.

    `since`: how many of the last lines; or a cursor of the journal's, as it was told before.
    """
    units = () if unit is None else (unit,)
    begin = ("--lines", str(since)) if isinstance(since, int) else ("--after-cursor", since)
    words = shlex.join((*_JOURNAL, "--show-cursor", *begin, *_of(units)))
    told = ask(session, "logs", node, f"{words} 2>&1", 120, user)
    found = _CURSOR.search(told.text)
    if found is None:  # nothing has come
        return told, since
    return replace(told, text=told.text[: found.start()]), found.group(1).decode(errors="replace")


def journal(*units: str, lines: int) -> str:
    """What shows the last lines, as a line of shell."""
    return shlex.join((*_JOURNAL, "--lines", str(lines), *_of(units)))


def _within(seconds: int, *command: str) -> str:
    return f"timeout --kill-after={_KILLED_AFTER} {seconds} {shlex.join(command)}"


def _of(units: Sequence[str]) -> Iterator[str]:
    return (word for unit in units for word in ("--unit", unit))


def ask(session: Session, name: str, node: str, program: str, seconds: int, user: User, *, recorded: bool = False) -> Told:
    """What a line of shell writes there, run for a verb of that `name` in so many `seconds`. Raises as `execute` does.

    `recorded`: it may change something.
    """
    _refuse_no_text(program)

    def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
        check_identity(facts)
        asked = _known(desired, facts, node)
        refuse_deaf([asked], facts.seen, facts.remedies)
        return _plan([asked], {name: program}, seconds, facts)

    verb = Verb(name, _NEEDS, plan, renders=False, recorded=recorded)
    report = run(verb, session, Options(nodes=(node,)), user)
    told = _told(report, node, name)
    if isinstance(told, str):
        raise TargetError(f"{node}: {told}")
    return told


def ask_each(
    session: Session, name: str, programs: Mapping[str, str], seconds: int, user: User
) -> Mapping[str, Mapping[str, Told | str]]:
    """What all nodes tell, side by side, by their names: of each program, one after another by its own name, or why not.

    `seconds`: for one program. One that takes longer is ended, has told what it has told, and keeps no other from being
    asked. A node that does not take the first one is asked no more.
    """

    def plan(desired: Desired, facts: Facts, options: Options) -> Plan:
        check_identity(facts)
        there = [node for node in desired.nodes if node.name in facts.seen.ours and not silence(node.name, facts.seen)]
        return _plan(there, bounded, seconds + _BESIDE, facts)

    bounded = {name: _within(seconds, "sh", "-c", program) for name, program in programs.items()}
    report = run(Verb(name, _NEEDS, plan, renders=False, recorded=False), session, Options(), user)
    nodes = [node.name for node in session.desired.nodes if node.name in report.observation.ours]
    return {node: {of: silence(node, report.observation) or _told(report, node, of) for of in programs} for node in nodes}


def _refuse_no_text(program: str) -> None:
    """A command line may hold any bytes, and a task is JSON, which holds text alone."""
    try:
        program.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"what a machine is given to run is UTF-8, and {program[error.start : error.end]!a} is none: let a shell "
            "there make it, as in: -- sh -c 'cat caf*'"
        ) from error


def _plan(nodes: Sequence[Node], programs: Mapping[str, str], seconds: int, facts: Facts) -> Plan:
    left = left_over(nodes, facts.seen)
    each = (action for node in nodes for action in _asked(node, programs, seconds, facts.answer_room, keys(left)))
    return Plan((*left, *each))


def _asked(node: Node, programs: Mapping[str, str], seconds: int, room: int, after: frozenset[str]) -> Iterator[Action]:
    """A mailbox has room for one: the next is given when the one before is done and taken away."""
    for name, program in programs.items():
        actions = given(node, _task(name, node, program, room, seconds), "it is asked", after, patience=AT_ONCE)
        yield from actions
        after = keys(actions)


def _task(name: str, node: Node, program: str, room: int, seconds: int) -> Task:
    script = f"code=0\n{program} || code=$?\nprintf '\\n%d' \"$code\"\n"
    return asking(name, node, script, room=room, seconds=seconds)


def _known(desired: Desired, facts: Facts, name: str) -> Node:
    """Raises `ConfigError` for what is no node of the cluster, and for one that does not run."""
    nodes = {node.name: node for node in desired.nodes if node.name in facts.seen.ours}
    refuse_strangers([name], nodes, desired.cluster.name, "node")
    power = facts.seen.ours[name].power
    if power is not Power.ON:
        raise ConfigError(f"{name} is {power.value}, and can be asked nothing: start it, or ask {facts.remedies.why(name)}")
    return nodes[name]


def _told(report: Report, node: str, verb: str) -> Told | str:
    """Or why it has told nothing."""
    answer = report.answers.get((node, verb))
    if answer is None or answer.result is None:
        return _failure(report, node, answer)
    text, _, code = answer.result.rpartition(b"\n")
    return Told(text, answer.cut, int(code))


def _failure(report: Report, node: str, answer: Answer | None) -> str:
    of_node = [outcome for outcome in report.outcomes if outcome.action.subject == node]
    failed = [outcome.text for outcome in of_node if outcome.state is State.FAILED]
    return "; ".join(failed) or ("it has told nothing" if answer else "it was not asked: interrupted")
