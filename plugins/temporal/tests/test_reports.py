"""What schedules have looked at."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kube_provision_core.cli.commands import backup, certificates, status
from kube_provision_temporal.reconciling import Reconcile
from kube_provision_temporal.reconciling import faults as reconcile_faults
from kube_provision_temporal.reports import Backups, Kind, Report, Told, command, faults, told
from kube_provision_temporal.values import Action, Approval, Effect, Plan, Work

TOKEN = "abcdef.0123456789abcdef"
BACKUPS = Backups("s3://team/kube", "operators.txt", 14)


def test_each_is_a_command_of_the_program(tmp_path: Any) -> None:
    (tmp_path / "operators.txt").write_text("")
    backups = replace(BACKUPS, recipients_file=str(tmp_path / "operators.txt"))
    programs = {Kind.BACKUP: backup.command, Kind.CERTIFICATES: certificates.command, Kind.DRIFT: status.command}
    for kind, program in programs.items():
        name, *words = command(Report(kind, "prod"), backups)
        assert program.name == name
        given = program.make_context(name, [*words, "--name", "prod", "--output", "json"], resilient_parsing=True).params
        assert given["form"] == "json"
    assert (given := backup.command.make_context("backup", command(Report(Kind.BACKUP, "prod"), backups)[1:]).params)
    assert (given["file"], given["keep"], given["files"]) == ("s3://team/kube", 14, (backups.recipients_file,))


def test_a_worker_without_a_place_for_backups_makes_none() -> None:
    assert command(Report(Kind.BACKUP, "prod"), None) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"cluster": "Prod"}, "'Prod' is no name of a cluster"),
        ({"config": ["/etc/shadow"]}, "/etc/shadow: a file below the worker's folder is meant"),
        ({"config": ["a\nb.yml"]}, "names of files are words in one line"),
    ],
)
def test_one_that_leads_elsewhere_is_refused(change: dict[str, Any], line: str) -> None:
    assert faults(replace(Report(Kind.DRIFT, "prod"), **change))[0].startswith(line)
    reconcile = replace(Reconcile("prod", [Effect.MAKE]), **change)
    assert reconcile_faults(reconcile)[0].startswith(line)


def test_what_a_backup_has_made_is_told() -> None:
    made = {"file": "s3://team/kube/1.age", "size": 4096, "revision": 7}
    line = "s3://team/kube/1.age: 4096 bytes of etcd at revision 7"
    assert told(Report(Kind.BACKUP, "prod"), made) == Told("prod", [line])


def test_certificates_that_end_soon_and_those_that_nobody_can_tell_of_want_a_look() -> None:
    rows = [
        ("m-1", "apiserver", 12, ""),
        ("m-1", "etcd", 200, ""),
        ("", "ca", 30, ""),
        ("m-1", "apiserver-kubelet-client", None, "a file of the machine"),
        ("m-2", "apiserver", None, f"no answer\n{TOKEN}"),
        ("m-2", "apiserver-kubelet-client", None, "a file of the machine"),
    ]
    keys = ("machine", "certificate", "days", "text")
    said = {"cluster": "prod", "certificates": [dict(zip(keys, row, strict=True)) | {"ends": "2026-12-11"} for row in rows]}
    lines = [
        "m-1: apiserver ends in 12 days, at 2026-12-11",
        "folder: ca ends in 30 days, at 2026-12-11",
        "m-2: no answer (secret)",
    ]
    assert told(Report(Kind.CERTIFICATES, "prod"), said) == Told("prod", lines, attention=True)


def test_a_cluster_as_it_should_be_wants_none() -> None:
    well = {"nodes": [{"name": "m-1", "power": "on", "drifted": False}], "hints": []}
    assert told(Report(Kind.DRIFT, "prod"), well) == Told("prod")
    nodes = [{"name": f"w-{it}", "power": "missing" if it % 2 else "on", "drifted": True} for it in range(300)]
    found = told(Report(Kind.DRIFT, "prod"), {"nodes": nodes, "hints": ["its last backup is old"]})
    assert found.lines[:2] == ["w-0: was made from another configuration", "w-1: is missing"]
    assert found.lines[200:] == ["and 101 more"]
    assert found.attention


def test_reconciling_plans_what_is_missing_and_what_has_drifted() -> None:
    reconcile = Reconcile("prod", [Effect.MAKE, Effect.CHANGE], ["--no-wait"], ["site.yml"])
    assert reconcile_faults(reconcile) == []
    steps = [("provision", ["--no-wait"]), ("replace", ["--drifted"])]
    allow = [Effect.MAKE, Effect.CHANGE]
    assert reconcile.works == [Work("prod", verb, words, ["site.yml"], Approval.NEVER, allow=allow) for verb, words in steps]


@pytest.mark.parametrize(
    ("allow", "beyond"),
    [
        (None, []),
        ([], ["+ create w-2", "~ start w-1", "~ give-upgrade m-1", "- destroy w-2", ". drain w-2"]),
        ([Effect.MAKE, Effect.CHANGE], ["- destroy w-2", ". drain w-2"]),
        ([Effect.REMOVE, Effect.CHANGE, Effect.MAKE, Effect.CHANGE], [". drain w-2"]),
        ([Effect.DRAIN, Effect.REMOVE, Effect.CHANGE, Effect.MAKE, Effect.CHANGE], []),
    ],
)
def test_what_a_plan_does_is_held_against_what_is_allowed(allow: list[Effect] | None, beyond: list[str]) -> None:
    marks = [
        ("+", "create", "w-2"),
        ("~", "start", "w-1"),
        ("=", "arrange", "prod"),
        ("=", "clear", "w-1"),
        ("~", "give-upgrade", "m-1"),
        ("-", "destroy", "w-2"),
        (".", "drain", "w-2"),
        (".", "await", "w-2"),
    ]
    assert Plan("d", [Action(*it) for it in marks]).beyond(allow) == beyond
