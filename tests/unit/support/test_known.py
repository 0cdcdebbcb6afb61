"""Secrets that are known are hidden in every spelling that programs of ours, and those that they start, have for them."""

from __future__ import annotations

import base64
import html
import json
import shlex
import textwrap
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from kube_provision_core.folder.pki import create_pki, create_token
from kube_provision_core.support.hiding import HIDDEN, hide
from kube_provision_core.support.known import Known

AWKWARD = """p'a"s\\s%w$o&r<d /é+"""
SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": json.dumps,
    "JSON as it is": lambda it: json.dumps(it, ensure_ascii=False),
    "JSON within JSON": lambda it: json.dumps(json.dumps({"a": it})),
    "a URL": lambda it: quote(it, ""),
    "a path of a URL": quote,
    "a form": quote_plus,
    "a shell": shlex.quote,
    "YAML": lambda it: "'" + it.replace("'", "''") + "'",
    "systemd": lambda it: it.replace("%", "%%"),
    "an EnvironmentFile": lambda it: it.replace("\\", "\\\\").replace('"', '\\"').replace("$", "\\$"),
    "HTML": html.escape,
    "hexadecimal": lambda it: it.encode().hex(),
    "base64": lambda it: base64.b64encode(it.encode()).decode(),
    "a login": lambda it: base64.b64encode(f"somebody:{it}".encode()).decode(),
    "a document in base64": lambda it: base64.b64encode(f"ab, {it}\n".encode()).decode(),
    "base64 of URLs": lambda it: base64.urlsafe_b64encode(f"a{it}".encode()).decode(),
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
@pytest.mark.parametrize("secret", ["hunter2-hunter2", AWKWARD], ids=["plain", "awkward"])
def test_no_spelling_of_it_stays(secret: str, spelling: Callable[[str], str]) -> None:
    spelt = spelling(secret)
    told = Known([secret]).hide(f"before {spelt} after")
    assert HIDDEN in told
    assert spelt.strip("\"'") not in told
    assert told.startswith("before ")
    assert told.endswith(" after")


def test_a_key_in_base64_is_hidden_as_the_bytes_that_it_stands_for_too() -> None:
    key = base64.b64encode(bytes(range(200, 232))).decode()
    spelt = bytes(range(200, 232))
    for content in (key.encode(), spelt, b"x" + spelt, b"xy" + spelt):
        assert Known([key]).hide(base64.b64encode(content).decode()) == HIDDEN


@pytest.mark.parametrize("path", ["ca.key", "sa.key", "etcd/ca.key", "front-proxy-ca.key"])
def test_no_line_of_a_private_key_stays_however_it_is_wrapped_or_cut(path: str) -> None:
    pem = create_pki("prod").files[path].decode()
    lines, whole = pem.splitlines(), base64.b64encode(pem.encode()).decode()
    known = Known([pem])
    journal = "".join(f"2026-11-29T11:00:00+0000 m-prod-1 sh[7]: {line}\n" for line in lines)
    wrapped = "".join(f"2026-11-29T11:00:00+0000 m-prod-1 sh[7]: {line}\n" for line in textwrap.wrap(whole, 76))
    for text in (pem, json.dumps(pem), journal, journal[len(journal) // 2 :], wrapped, whole, "\n".join(lines[2:])):
        told = hide(known.hide(text))
        assert not [piece for piece in (*lines[1:-1], *textwrap.wrap(whole, 76)) if piece in told]


def test_what_is_short_is_hidden_as_a_word_alone() -> None:
    assert Known(["abc"]).hide("abc and abcdef") == f"{HIDDEN} and abcdef"


def test_nothing_is_hidden_of_an_empty_secret() -> None:
    assert Known(["", " ", "\n"]).hide("a b") == "a b"


def test_what_stands_within_another_secret_leaves_nothing_of_that() -> None:
    token = create_token()
    assert Known([token.partition(".")[2], token]).hide(f"join {token}") == f"join {HIDDEN}"


def test_a_word_that_goes_on_and_on_takes_no_longer_for_that() -> None:
    encoded = base64.b64encode(b"hunter2-hunter2").decode()
    assert Known(["hunter2-hunter2"]).hide(f"{'a' * 2**20} {encoded}").endswith(f" {HIDDEN}")


def test_nothing_is_told_of_them_by_their_keeper() -> None:
    assert "hunter2" not in repr(Known(["hunter2hunter2"]))
