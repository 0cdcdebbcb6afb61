"""The newest lease of a card counts, and only while nobody else was given its address."""

from __future__ import annotations

from pathlib import Path

from kube_provision_fusion import leases

DATA = Path(__file__).parent / "data"


def test_the_newest_lease_of_a_card_counts() -> None:
    assert leases.read([str(DATA / "*.leases")])["00:50:56:0a:0b:0c"] == "172.16.133.130"


def test_an_address_that_somebody_else_got_later_is_no_longer_the_first_ones() -> None:
    found = leases.read([str(DATA / "vmnet8.leases")])
    assert found["00:50:56:01:02:03"] == "172.16.133.129"
    assert "00:0c:29:3b:7e:40" not in found


def test_leases_of_macos_own_server_are_read() -> None:
    assert leases.read([str(DATA / "dhcpd_leases")])["00:50:56:0a:0b:0c"] == "192.168.64.7"


def test_files_that_are_missing_or_are_no_leases_tell_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.leases").write_bytes(b"\xff\x00lease { }\n{hw_address=1,\n}")
    assert leases.read([str(tmp_path / "*.leases"), "/nowhere/*"]) == {}
    assert leases.read([str(tmp_path)]) == {}
