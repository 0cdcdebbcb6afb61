"""The document that cloud-init reads."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kube_provision_core import BootError, File
from kube_provision_core.boot.cloud_config import document, hide


def read(*files: File, enabled: tuple[str, ...] = (), user: Mapping[str, Any] | None = None, **keys: Any) -> dict[str, Any]:
    text = document("m-1", files, enabled, keys, user or {})
    assert text.startswith("#cloud-config\n")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def delivered(entry: dict[str, Any]) -> bytes:
    content: str = entry["content"]
    return base64.b64decode(content) if entry.get("encoding") == "b64" else content.encode()


@given(st.text(st.characters(exclude_categories=["Cs"])) | st.binary())
def test_every_content_arrives_as_it_was(content: str | bytes) -> None:
    (entry,) = read(File("/etc/x", content))["write_files"]
    assert delivered(entry) == (content.encode() if isinstance(content, str) else content)


def test_text_is_readable_and_modes_are_text() -> None:
    text = document("m-1", (File("/etc/x", "one\ntwo\n", mode=0o600),), (), {}, {})
    assert "- path: /etc/x\n  permissions: '0600'\n  content: |\n    one\n    two\n" in text


def test_cloud_init_itself_only_enables_units_and_starts_the_runner_without_waiting() -> None:
    assert read(enabled=("a.service", "b.timer"))["runcmd"] == [
        ["systemctl", "daemon-reload"],
        ["systemctl", "enable", "a.service", "b.timer"],
        ["systemctl", "start", "--no-block", "kube-provision.service"],
    ]


@pytest.mark.parametrize("secret", ["one line", "several\nlines\n", b"\x00binary", ""])
def test_secrets_are_hidden_and_all_else_stays(secret: str | bytes) -> None:
    files = [File("/etc/a", "a: |\n  b\n"), File("/etc/key", secret, mode=0o600, secret=True), File("/etc/b", "b")]
    shown = [files[0], File("/etc/key", "(secret)\n", mode=0o600), files[2]]
    user = {"write_files": [{"path": "/etc/y"}]}
    text, masked = (document("m-1", those, (), {}, user) for those in (files, shown))
    assert hide(text, files, "(secret)\n") == masked


def test_a_secret_that_does_not_stand_where_it_should_is_shown_to_nobody() -> None:
    with pytest.raises(BootError, match="/etc/key: its secret cannot be hidden"):
        hide("#cloud-config\n", [File("/etc/key", "x", secret=True)], "(secret)\n")


def test_the_machine_gets_its_name() -> None:
    values = read()
    assert (values["hostname"], values["preserve_hostname"]) == ("m-1", False)


def test_the_users_files_and_commands_come_after_ours() -> None:
    values = read(File("/etc/x", ""), user={"write_files": [{"path": "/etc/y"}], "runcmd": ["true"]})
    assert [entry["path"] for entry in values["write_files"]] == ["/etc/x", "/etc/y"]
    assert values["runcmd"][-2:] == [["systemctl", "start", "--no-block", "kube-provision.service"], "true"]


def test_the_users_keys_win_over_plugins() -> None:
    assert read(user={"timezone": "CET"}, timezone="UTC")["timezone"] == "CET"


@pytest.mark.parametrize(
    ("user", "said"),
    [
        ({"write_files": {}}, "write_files must be a list"),
        ({"runcmd": "reboot"}, "runcmd must be a list"),
        ({"hostname": "x"}, "hostname cannot be set"),
        ({"write_files": [{"path": "/etc/x"}]}, "/etc/x is delivered by the boot itself"),
    ],
)
def test_what_would_break_the_boot_is_refused(user: dict[str, Any], said: str) -> None:
    with pytest.raises(BootError, match=rf"^cloud_init: .*{said}"):
        read(File("/etc/x", ""), user=user)
