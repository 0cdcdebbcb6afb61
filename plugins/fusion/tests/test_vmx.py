"""Configuration files are read as VMware reads them, and everything that is not ours stays as it was."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from servers.vmware import read_vmx

from kube_provision_core import TargetError
from kube_provision_fusion import vmx

DATA = Path(__file__).parent / "data"
FILES = sorted(DATA.glob("*.vmx"))
"""As Fusion and Workstation of several ages wrote them."""


@pytest.fixture(params=FILES, ids=lambda file: file.stem)
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy = tmp_path / request.param.name
    copy.write_bytes(request.param.read_bytes())
    return copy


def test_a_file_without_changes_is_written_back_byte_for_byte(file: Path) -> None:
    assert vmx.read(file).dump() == file.read_bytes()


def test_every_setting_is_read_as_vmware_reads_it(file: Path) -> None:
    read = vmx.read(file)
    assert {name: read.get(name) for name in read.names()} == read_vmx(file)


def test_a_change_touches_no_other_line(file: Path) -> None:
    before = file.read_bytes().splitlines(keepends=True)
    vmx.write(file, vmx.read(file).changed({"displayName": "m-prod-1"}))
    after = file.read_bytes().splitlines(keepends=True)
    assert [line for line in after if b"m-prod-1" not in line] == [line for line in before if b"displayName" not in line]
    assert read_vmx(file)["displayname"] == "m-prod-1"


def test_new_settings_come_after_the_others_on_lines_of_their_own(file: Path) -> None:
    vmx.write(file, vmx.read(file).changed({"kube-provision.stamp": "x", "msg.autoAnswer": "TRUE"}))
    assert list(read_vmx(file).items())[-2:] == [("kube-provision.stamp", "x"), ("msg.autoanswer", "TRUE")]


def test_removed_settings_are_gone_with_their_line(file: Path) -> None:
    lines = file.read_bytes().count(b"\n")
    vmx.write(file, vmx.read(file).changed({"displayname": None, "never.there": None}))
    assert file.read_bytes().count(b"\n") == lines - 1


def test_values_in_other_encodings_are_kept_and_read() -> None:
    assert vmx.read(DATA / "workstation windows-1252.vmx").get("displayName") == "Büro \u2013 Vorlage"
    assert vmx.read(DATA / "gbk.vmx").get("displayName") == "模板 泑"
    assert vmx.read(DATA / "gbk.vmx").get("annotation") == "第一行\n第二行 | 完"


def test_a_value_in_another_encoding_is_written_in_it(tmp_path: Path) -> None:
    """The second byte of this sign is a pipe, which stands for itself only when it is escaped."""
    file = tmp_path / "gbk.vmx"
    vmx.write(file, vmx.read(DATA / "gbk.vmx").changed({"annotation": "泑泑", "new": "泑"}))
    assert read_vmx(file)["annotation"] == "泑泑"
    assert read_vmx(file)["new"] == "泑"


def test_a_sign_that_the_encoding_lacks_is_no_failure(tmp_path: Path) -> None:
    file = tmp_path / "windows.vmx"
    vmx.write(file, vmx.read(DATA / "workstation windows-1252.vmx").changed({"displayName": "Büro 模"}))
    assert read_vmx(file)["displayname"] == "Büro ?"


def test_names_ignore_case_and_keep_their_spelling() -> None:
    changed = vmx.parse(b'NumVCPUs = "1"\n').changed({"numvcpus": "4"})
    assert changed.get("NUMVCPUS") == "4"
    assert changed.dump() == b'NumVCPUs = "4"\n'


def test_comments_behind_a_value_stay() -> None:
    assert vmx.parse(b"numvcpus = 1 # enough\n").changed({"numvcpus": "4"}).dump() == b'numvcpus = "4" # enough\n'


def test_a_setting_that_stands_twice_is_told_and_written_once() -> None:
    twice = vmx.parse(b'a = "1"\nmemsize = "1"\nMEMSIZE = "2"\n')
    assert twice.repeated == ("memsize",)
    assert twice.changed({"memsize": "3"}).dump() == b'a = "1"\nmemsize = "3"\n'


def test_line_ends_of_windows_are_kept() -> None:
    assert vmx.parse(b'a = "1"\r\nb = "2"').changed({"b": "3", "c": "4"}).dump() == b'a = "1"\r\nb = "3"\r\nc = "4"\r\n'


def test_a_byte_order_mark_is_kept() -> None:
    data = b'\xef\xbb\xbf.encoding = "UTF-8"\n'
    assert vmx.parse(data).get(".encoding") == "UTF-8"
    assert vmx.parse(data).dump() == data


@pytest.mark.parametrize("encoding", ["windows-31j", "utf-16", "rot13", "", "No such thing"])
def test_an_unknown_encoding_is_told(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "x.vmx").write_text(f'.encoding = "{encoding}"\n')
    with pytest.raises(TargetError, match=r"x\.vmx: its encoding .* is not known here"):
        vmx.read(tmp_path / "x.vmx")


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="there is no file"):
        vmx.read(tmp_path / "none.vmx")


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives(text: str) -> None:
    changed = vmx.parse(b'.encoding = "UTF-8"\nx = ""\n').changed({"x": text})
    assert vmx.parse(changed.dump()).get("x") == text
    assert changed.dump().count(b"\n") == 2


@given(st.binary())
def test_any_bytes_survive(data: bytes) -> None:
    with suppress(ValueError):
        assert vmx.parse(data).dump() == data
