"""Which texts name a host, alone or with a port."""

from __future__ import annotations

import pytest

from kube_provision_core.contract.hosts import host_fault

NO_PORT = "has a port that is no number from 1 to 65535"
NO_HOST = "has a host that is no DNS name (letters, digits, dots, inner hyphens; other scripts as xn--…) and no address, "


@pytest.mark.parametrize(
    "text",
    [
        *("quay.io", "quay.io:1", "localhost:65535", "a--b.example", "1a", "xn--mlaut-jva.example", "M.Example"),
        *("10.0.0.1:5000", "[fd00::1]", "[::ffff:10.0.0.1]:443", ".".join(["a" * 63] * 3)),
    ],
)
def test_a_host_is_one(text: str) -> None:
    assert host_fault(text) == ""


@pytest.mark.parametrize("port", ["", "0", "00", "080", "65536", "99999", "100000", "x", "-1", "\uff15", "1 "])
def test_a_port_is_a_number_that_there_is(port: str) -> None:
    assert host_fault(f"m.example:{port}") == NO_PORT


@pytest.mark.parametrize(
    "text",
    [
        *("-a.b", "a-.b", "a..b", ".a", "a.", "ümlaut.example", "a_b", "a b", "m.example\n", "a/b", "u@a"),
        *("a" * 64, ".".join(["a" * 60] * 5), "10.0.0.256", "10.0.0", "10.1", "1.2.3.4.5"),
        *("[fd00::1", "[fd00::zz]", "[10.0.0.1]", "[fe80::1%eth0]", "[]", "::1", "fd00::1:5000"),
    ],
)
def test_anything_else_is_none(text: str) -> None:
    assert host_fault(text).startswith(NO_HOST)


def test_without_a_host_there_is_none() -> None:
    assert (host_fault(""), host_fault(":5000")) == ("has no host", "has no host")
