"""Boot data as a new cluster's machines would get them, written for whoever wants to read them."""

from __future__ import annotations

from pathlib import Path

import pytest
from doubles.memory import MemoryTarget
from doubles.site import Site

from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Role
from kube_provision_core.verbs.render import HIDDEN, Preview, preview, write


@pytest.fixture
def previews(tmp_path: Path) -> list[Preview]:
    with Site(tmp_path / "state").session(masters=2, workers=1) as session:
        return list(preview(session))


def test_the_first_master_alone_carries_the_authorities(previews: list[Preview]) -> None:
    assert [it.node.name for it in previews if it.node.stamp.carries_ca] == ["m-prod-1"]


class Crowded(MemoryTarget):
    fixed_addresses = {Role.MASTER: ["10.0.0.11", "10.0.0.12"], Role.WORKER: ["10.0.0.12"]}  # noqa: RUF012 - nobody changes it


def test_an_address_that_two_machines_would_be_given_is_refused(tmp_path: Path) -> None:
    site = Site(tmp_path / "state", target=Crowded)
    with site.session(masters=2, workers=1) as session, pytest.raises(ConfigError) as refused:
        list(preview(session))
    assert refused.value.problems == (
        "10.0.0.12 would be given to both m-prod-2 and w-prod-1; give each role, and pool, addresses of its own",
    )
    with site.session(masters=1, workers=1) as session:
        assert len(list(preview(session))) == 3


@pytest.mark.parametrize(("secrets", "modes"), [(False, {0o755, 0o644}), (True, {0o700, 0o600})])
def test_secrets_are_written_where_they_are_asked_for_and_then_for_nobody_else(
    previews: list[Preview], tmp_path: Path, secrets: bool, modes: set[int]
) -> None:
    out = tmp_path / "out"
    write(out, previews, secrets=secrets, force=False)
    hidden = [file for it in previews for file in it.boot.files if file.secret]
    assert hidden
    for it in previews:
        for file in it.boot.files:
            written = (out / it.node.name / "rootfs" / file.path.lstrip("/")).read_bytes()
            wanted = HIDDEN if file.secret and not secrets else file.content
            assert written == (wanted.encode() if isinstance(wanted, str) else wanted)
    assert {path.stat().st_mode & 0o777 for path in (out, *out.rglob("*"))} == modes


def test_what_is_there_is_replaced_only_by_force(previews: list[Preview], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out, previews, secrets=False, force=False)
    (out / "m-prod-1/old").touch()
    with pytest.raises(ConfigError, match=r"out: is not empty; name another folder, or replace its content with --force"):
        write(out, previews, secrets=False, force=False)
    write(out, previews, secrets=False, force=True)
    assert not (out / "m-prod-1/old").exists()


def test_a_folder_that_cannot_be_written_is_told(previews: list[Preview], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=r"file: cannot be written: File exists"):
        write(tmp_path / "file", previews, secrets=False, force=False)
