"""Who listens where a cluster's masters were: real handshakes, with everybody who may have taken their places."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from servers.control_plane import ControlPlaneServer

from kube_provision_core.cluster import elsewhere
from kube_provision_core.cluster.elsewhere import who_answers
from kube_provision_core.folder.kubeconfig import API_PORT
from kube_provision_core.folder.pki import Pki, create_pki

HERE, SILENT, NOBODY = "127.64.31.1", "127.64.31.2", "127.64.31.3"


@pytest.fixture
def silence() -> Iterator[None]:
    """Somebody takes connections there, and says nothing."""
    with ExitStack() as stack:
        for number in range(16):
            listener = stack.enter_context(socket.socket())
            listener.bind((f"127.64.32.{number + 1}", API_PORT))
            listener.listen()
        yield


SILENCE = tuple(f"127.64.32.{number + 1}" for number in range(16))


def test_a_master_of_the_cluster_is_found_among_those_that_are_gone(pki: Pki) -> None:
    with ControlPlaneServer(pki, HERE) as server:
        assert who_answers([NOBODY, HERE], pki.ca) == HERE
        assert server.requests == [], "nothing is said there"


def test_nobody_is_found_where_nobody_listens(pki: Pki) -> None:
    assert who_answers([NOBODY], pki.ca) == who_answers([], pki.ca) == ""


def test_a_master_of_another_cluster_is_none_of_it(pki: Pki) -> None:
    with ControlPlaneServer(create_pki("prod"), HERE):
        assert who_answers([HERE], pki.ca) == ""


@pytest.mark.parametrize(
    "shown",
    [{"certificate_for": "10.9.9.9"}, {"certificate_for": "m-prod-1"}, {"certificate_lifetime": timedelta(seconds=-60)}],
    ids=["of another address", "of one that waits for a snapshot", "that has ended"],
)
def test_its_authority_counts_and_nothing_else_of_the_certificate(pki: Pki, shown: dict[str, object]) -> None:
    with ControlPlaneServer(pki, HERE, **shown):  # type: ignore[arg-type]
        assert who_answers([HERE], pki.ca) == HERE


@pytest.mark.usefixtures("silence")
def test_any_number_of_silent_addresses_is_waited_for_together(pki: Pki, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elsewhere, "LIMIT", 2.0)
    begin = time.monotonic()
    assert who_answers(SILENCE, pki.ca) == ""
    assert 1.5 < time.monotonic() - begin < 2 * len(SILENCE) / 2
    with ControlPlaneServer(pki, HERE):
        begin = time.monotonic()
        assert who_answers((*SILENCE, HERE), pki.ca) == HERE


def test_the_flag_is_openssls() -> None:
    """Python names it in no release that we run on."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_flags |= elsewhere.NO_CHECK_TIME
    assert int(context.verify_flags) & elsewhere.NO_CHECK_TIME
