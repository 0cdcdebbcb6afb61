"""Boot data fits into what VMware delivers, or is told with what makes it large."""

from __future__ import annotations

import base64
import gzip
import json
import random

import pytest
import yaml

from kube_provision_core import Boot, File, GuestInfo

BOOT = Boot("w-prod-1", "w-prod-1-instance", "#cloud-config\nruncmd: [echo]\n")


def decoded(value: str) -> str:
    return gzip.decompress(base64.b64decode(value)).decode()


def test_boot_data_is_compressed_and_says_so() -> None:
    values = GuestInfo(BOOT).values()
    assert decoded(values["guestinfo.userdata"]) == BOOT.user_data
    assert json.loads(decoded(values["guestinfo.metadata"])) == {
        "instance-id": "w-prod-1-instance",
        "local-hostname": "w-prod-1",
    }
    assert values["guestinfo.userdata.encoding"] == values["guestinfo.metadata.encoding"] == "gzip+base64"


def test_a_network_goes_into_the_metadata() -> None:
    values = GuestInfo(BOOT, {"network": {"version": 2}}).values()
    assert json.loads(decoded(values["guestinfo.metadata"]))["network"] == {"version": 2}


def test_equal_boot_data_is_encoded_equally() -> None:
    assert GuestInfo(BOOT).values() == GuestInfo(BOOT).values()


def test_scrubbed_boot_data_is_an_empty_cloud_config_and_leaves_the_metadata() -> None:
    values = GuestInfo.scrubbed()
    assert set(values) == {"guestinfo.userdata", "guestinfo.userdata.encoding"}
    text = decoded(values["guestinfo.userdata"])
    assert text.startswith("#cloud-config\n")
    assert yaml.safe_load(text) == {}


def test_boot_data_within_the_limit_is_no_problem() -> None:
    assert list(GuestInfo(BOOT).problems("w-prod-1", "VMware")) == []


def test_boot_data_over_the_limit_is_told_with_the_largest_files(noise: str) -> None:
    files = (File("/etc/small", "x"), File("/etc/large", noise), File("/etc/larger", (noise + noise).encode()))
    large = GuestInfo(Boot("w-prod-1", "w-prod-1-instance", "#cloud-config\n" + noise, files))
    (line,) = large.problems("w-prod-1", "VMware")
    size = len(large.values()["guestinfo.userdata"])
    assert f"w-prod-1: boot data (guestinfo.userdata) is {size} bytes when compressed, {size - 65536} more than" in line
    assert "the 65536 that VMware delivers" in line
    assert line.index("/etc/larger") < line.index("/etc/large (") < line.index("/etc/small")


def test_what_only_the_hardest_compression_makes_fit_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(random.Random(3).choices("ab ", (5, 5, 1), k=20_000))
    usual, best = (len(base64.b64encode(gzip.compress(text.encode(), level, mtime=0))) for level in (1, 9))
    assert best < usual
    monkeypatch.setattr(GuestInfo, "LIMIT", best)
    assert list(GuestInfo(Boot("w-prod-1", "w-prod-1-instance", text)).problems("w-prod-1", "VMware")) == []


def test_secrets_are_not_shown() -> None:
    assert "echo" not in repr(GuestInfo(BOOT))


@pytest.fixture
def noise() -> str:
    """Text that does not compress below the limit."""
    return base64.b64encode(random.Random(7).randbytes(60_000)).decode()
