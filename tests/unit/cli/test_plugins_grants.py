"""`kube-provision plugins grants`, as its user types it."""

from __future__ import annotations


def test_what_others_must_grant_is_printed_for_the_machines_of_the_configuration(run, world) -> None:
    ran = run("plugins", "grants", "-c", "config.yml", "-m", "1", "-w", "1", "-e", "table_address=10.0.0.1")
    assert (ran.code, ran.out, ran.err) == (0, "GRANT SELECT TO m-prod-1 w-prod-1\n", "")


def test_that_nothing_is_asked_of_anybody_is_said(run, world) -> None:
    ran = run("plugins", "grants", "-c", "config.yml")
    assert (ran.code, ran.out) == (0, "")
    assert "Nothing: no chosen plugin says that it needs to be granted anything." in ran.line


def test_a_configuration_that_is_none_is_refused(run, world) -> None:
    ran = run("plugins", "grants", "-c", "config.yml", "-e", "table_adress=10.0.0.1")
    assert ran.code == 2
    assert "table_adress" in ran.line
