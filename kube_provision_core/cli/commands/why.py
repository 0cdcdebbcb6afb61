"""`kube-provision why`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..input import Input
from ..options import configuration, output, state
from ..output import columns, emit, plain
from ..program import subcommand
from ..talk import one_line

if TYPE_CHECKING:
    from ...verbs.why import Explanation


@subcommand("why")
@click.argument("node")
@configuration
@state
@output
def command(given: Input, node: str, form: str) -> None:
    """Say why NODE is not further, and what helps: from what it tells its hypervisor, without entering it."""
    from ...verbs.why import explain

    with given.session() as session:
        found = explain(session, node)
    emit(plain(found), form, lambda: _table(found))


def _table(found: Explanation) -> str:
    attempt = f", attempt {found.attempt} of {found.attempts}" if found.attempts else ""
    doing = found.doing or found.step
    told = f"{found.stage} {found.state}{attempt}{f' ({doing})' if doing else ''}" if found.stage else ""
    facts = [
        ("node:", f"{found.name}, {found.role} of cluster {found.cluster}"),
        ("verdict:", found.verdict),
        ("what helps:", found.advice),
        ("it says:", told),
        ("error:", found.error),
        ("power:", found.power),
        ("address:", found.address),
        ("place:", found.where),
        ("discovery:", found.discovery),
        ("kubernetes:", found.kubernetes),
    ]
    log = ["", "the last that it has said:", *(f"  {one_line(line)}" for line in found.log)] if found.log else []
    return "\n".join([columns([fact for fact in facts if fact[1]]), *log])
