"""What goes over the wire, and what is made of every kind of answer: those of a real Consul, and of who is none."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest
from servers.consul_agents import ConsulAgent, eventually

from kube_provision_consul.access import Right
from kube_provision_consul.client import Client, Entry, LeaderlessError
from kube_provision_consul.endpoint import BadInputError, ConsulEndpoint, DeniedError
from kube_provision_core import DiscoveryError, Endpoint

pytestmark = pytest.mark.integration

TOKEN = "1a2b3c4d-0000-4000-8000-00000000000f"
RIGHT = Right("key_prefix", "kube-provision/prod/", "write", "")
INDEX = "X-Consul-Index: 7"


def answer(status: str, body: str = "", *headers: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *headers, "", body)
    return "\r\n".join(lines).encode()


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: str


@dataclass
class Server:
    """Gives these answers in turn, the last one again and again, to whatever it is asked."""

    listener: socket.socket
    endpoint: ConsulEndpoint
    answers: list[bytes]
    requests: list[Request] = field(default_factory=list)
    connections: int = 0
    ended: int = 0
    """Of these connections."""
    hangs_up: bool = False
    """After each answer."""

    def serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections += 1
                with connection, connection.makefile("rb") as stream, suppress(ConnectionError):
                    while self._answers(connection, stream.readline, stream.read) and not self.hangs_up:
                        pass
                self.ended += 1

    def _answers(self, connection: socket.socket, line: Callable[[], bytes], read: Callable[[int], bytes]) -> bool:
        first = line().decode()
        if not first:
            return False
        headers = dict(iter(lambda: tuple(line().decode().strip().partition(": ")[::2]), ("", "")))
        method, target, _ = first.split()
        url = urlsplit(target)
        body = read(int(headers.get("Content-Length", 0))).decode()
        self.requests.append(Request(method, url.path, parse_qs(url.query), headers, body))
        connection.sendall(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
        return True


@contextmanager
def serving(*answers: bytes) -> Iterator[Server]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = Server(listener, ConsulEndpoint((Endpoint(*listener.getsockname()),), "dc7", TOKEN), list(answers))
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        yield server
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(20)


@contextmanager
def asking(server: Server, timeout: float = 10.0, rights: Sequence[Right] = ()) -> Iterator[Client]:
    with closing(Client(server.endpoint, rights, timeout)) as client:
        yield client


@pytest.fixture
def consul(server: ConsulAgent) -> Iterator[Client]:
    with closing(Client(ConsulEndpoint((Endpoint(server.address, 8500),), "dc1"))) as client:
        yield client


CALLS: Sequence[Callable[[Client], object]] = (
    lambda it: it.ask("GET", "/v1/acl/tokens", ""),
    lambda it: it.check_leader(),
    lambda it: it.missing([RIGHT]),
    lambda it: it.read("a"),
    lambda it: it.write("a", "b"),
    lambda it: it.delete("a", 7),
    lambda it: it.delete_below("a/"),
    lambda it: it.healthy("a"),
    lambda it: it.nodes({"a": "b"}),
    lambda it: it.living_nodes(),
    lambda it: it.remove_node("a"),
    lambda it: it.create_session("a", 30),
    lambda it: it.renew_session("a"),
    lambda it: it.destroy_session("a"),
    lambda it: it.acquire("a", "b", "c"),
)


# --- what is asked -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_every_request_names_the_datacenter_and_has_the_token_in_its_header_alone(
    call: Callable[[Client], object], caplog: pytest.LogCaptureFixture
) -> None:
    given = answer("200 OK", "[]", INDEX)
    with caplog.at_level("DEBUG"), serving(given) as server, asking(server) as client, suppress(DiscoveryError):
        call(client)
    assert server.requests
    for it in server.requests:
        assert it.query["dc"] == ["dc7"]
        assert it.headers.pop("X-Consul-Token") == TOKEN
    assert TOKEN not in f"{server.requests} {caplog.text}"


@pytest.mark.parametrize(
    ("call", "path"),
    [
        (lambda it: it.read("a"), "/v1/kv/a"),
        (lambda it: it.nodes(), "/v1/catalog/nodes"),
        (lambda it: it.check_leader(), "/v1/health/node/0"),
    ],
)
def test_reads_are_of_a_leader_that_has_made_sure(call: Callable[[Client], object], path: str) -> None:
    with serving(answer("200 OK", '["leader"]', INDEX)) as server, asking(server) as client, suppress(DiscoveryError):
        call(client)
    assert server.requests[-1].path == path
    assert server.requests[-1].query["consistent"] == ["1"]


def test_names_are_quoted() -> None:
    with serving(answer("200 OK", "true")) as server, asking(server) as client:
        client.write("a/b?c d%20ä", "ä")
    assert server.requests[0].path == "/v1/kv/a/b%3Fc%20d%2520%C3%A4"
    assert server.requests[0].body == "ä"


def test_calls_share_a_connection_and_one_that_was_closed_meanwhile_is_made_anew() -> None:
    with serving(answer("200 OK", "true"), answer("500 No", "no"), answer("200 OK", "true")) as server:
        with asking(server) as client:
            client.write("a", "b")
            with pytest.raises(DiscoveryError):
                client.write("a", "b")
            assert server.connections == 1
            server.hangs_up = True
            client.write("a", "b")
            assert eventually(lambda: server.ended == 1)
            client.write("a", "b")
        assert server.connections == 2


@pytest.mark.parametrize("token", [f"{TOKEN}\n", f"{TOKEN}\r\nX-More: 1", f"{TOKEN}é"])
def test_what_cannot_be_a_token_is_bad_input_and_not_repeated(token: str) -> None:
    with pytest.raises(BadInputError, match=r"^consul_token: ") as caught:
        Client(ConsulEndpoint((Endpoint("127.0.0.1", 1),), "dc1", token))
    assert TOKEN not in str(caught.value)


# --- answers of who is no Consul, or a broken one ------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "given",
    [
        answer("200 OK", "<html>Welcome</html>", INDEX),
        answer("200 OK", "", INDEX),
        answer("500 Internal Server Error", "No cluster leader"),
        answer("502 Bad Gateway"),
        answer("404 Not Found", "nothing here"),
        answer("301 Moved Permanently", "", "Location: http://127.254.254.253:1/"),
    ],
    ids=["a page", "nothing", "500", "502", "404", "301"],
)
def test_no_answer_is_taken_for_a_success(given: bytes, call: Callable[[Client], object]) -> None:
    """But where Consul does not tell of rights, none are missing."""
    with serving(given) as server, asking(server) as client:
        if call is CALLS[2]:
            assert call(client) == []
            return
        with pytest.raises(DiscoveryError, match=r"^Consul at 127\.0\.0\.1:\d+ (cannot answer: |answers )\S") as caught:
            call(client)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (answer("400 Bad Request", "Invalid session\nmore"), "cannot answer: 400 Invalid session"),
        (answer("404 Not Found", "no page"), "cannot answer: 404 no page"),
        (answer("429 Too Many Requests", "slow down"), "cannot answer: 429 slow down"),
        (answer("500 Internal Server Error", "No cluster leader"), "cannot answer: 500 No cluster leader"),
        (answer("503 Service Unavailable"), "cannot answer: 503"),
        (answer("200 OK", "<html>Welcome"), "cannot answer: what it says is not Consul's"),
        (answer("200 OK", "[]", INDEX), "cannot answer: what it says is not Consul's"),
        (answer("200 OK", "[" * 200_000, INDEX), "cannot answer: what it says is not Consul's"),
        (answer("200 OK", '{"a": 1}', INDEX), "cannot answer: what it says is not Consul's"),
        (answer("200 OK", '[{"Value": 1}]', INDEX), "cannot answer: what it says is not Consul's"),
        (answer("200 OK", '[{"Value": "YQ==", "ModifyIndex": 1}]'), "cannot answer: its answer has no X-Consul-Index"),
    ],
)
def test_it_says_what_was_answered(given: bytes, line: str) -> None:
    with serving(given) as server, asking(server) as client, pytest.raises(DiscoveryError) as caught:
        client.read("a")
    assert str(caught.value) == f"{server.endpoint} {line}"
    assert caught.value.retryable


def test_a_key_is_absent_only_if_consul_says_so() -> None:
    with serving(answer("404 Not Found", "", INDEX), answer("404 Not Found")) as server, asking(server) as client:
        assert client.read("a") is None
        with pytest.raises(DiscoveryError, match=r"cannot answer: 404$"):
            client.read("a")


def test_nobody_is_followed_elsewhere() -> None:
    with serving(answer("200 OK", "true")) as other:
        host, port = other.listener.getsockname()
        moved = answer("307 Temporary Redirect", "", f"Location: http://{host}:{port}/v1/kv/a")
        with serving(moved) as server, asking(server) as client, pytest.raises(DiscoveryError, match=r"cannot answer: 307$"):
            client.write("a", "b")
    assert other.requests == []


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (b"", "Remote end closed connection without response"),
        (b"220 smtp.example.org ESMTP\r\n", "220 smtp.example.org ESMTP"),
        (answer("200 OK", "true" * 9)[:-5], "IncompleteRead"),
    ],
    ids=["at once", "not HTTP", "half-way"],
)
def test_who_breaks_off_is_told(given: bytes, line: str) -> None:
    with serving(given) as server, asking(server) as client:
        server.hangs_up = True
        with pytest.raises(DiscoveryError, match=rf"cannot be reached: {line}.*Check that it runs"):
            client.write("a", "b")


def test_who_floods_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_consul.http_interface.LARGEST_ANSWER", 1000)
    with (
        serving(answer("200 OK", "7" * 1001)) as server,
        asking(server) as client,
        pytest.raises(DiscoveryError, match="the answer is too large"),
    ):
        client.read("a")


# --- refusals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [it for it in CALLS if it not in (CALLS[0], CALLS[2])])
def test_a_refusal_names_the_rights_that_are_missing(call: Callable[[Client], object]) -> None:
    refused = answer("403 Forbidden", "Permission denied: token lacks permission")
    with serving(refused, answer("200 OK", json.dumps([{"Allow": False}]))) as server, asking(server, 10, [RIGHT]) as client:
        with pytest.raises(
            DeniedError, match=r"denies permission: consul_token lacks key_prefix .kube-provision/prod/"
        ) as caught:
            call(client)
        assert not caught.value.retryable


def test_a_refusal_is_told_in_its_own_words_where_rights_are_not_told() -> None:
    line = r"consul_token needs what .* prints \(Permission denied\)$"
    with (
        serving(answer("403 Forbidden", "Permission denied\nmore")) as server,
        asking(server, 10, [RIGHT]) as client,
        pytest.raises(DeniedError, match=line),
    ):
        client.read("a")


def test_a_token_that_consul_does_not_know_is_bad_input() -> None:
    with (
        serving(answer("403 Forbidden", "ACL not found")) as server,
        asking(server, 10, [RIGHT]) as client,
        pytest.raises(BadInputError, match=r"knows no such consul_token \(ACL not found\)$"),
    ):
        client.read("a")


@pytest.mark.parametrize("second", [answer("500 No", "No cluster leader"), b""], ids=["says so", "hangs up"])
def test_a_leader_that_has_just_died_is_none(second: bytes) -> None:
    with serving(answer("200 OK", '"10.0.0.1:8300"'), second) as server, asking(server) as client:
        server.hangs_up = True
        with pytest.raises(LeaderlessError, match="knows a leader that does not answer"):
            client.check_leader()


def test_no_leader_is_told() -> None:
    given = answer("200 OK", '""')
    with serving(given) as server, asking(server) as client, pytest.raises(LeaderlessError, match="knows no leader"):
        client.check_leader()


# --- a real Consul -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "text", "ä\n\0", "x" * 500_000])
def test_a_key_holds_what_was_written(consul: Client, text: str) -> None:
    consul.write("client/a key", text)
    entry = consul.read("client/a key")
    assert entry
    assert (entry.text, entry.locked) == (text, False)
    consul.delete_below("client/")
    assert consul.read("client/a key") is None


def test_a_value_that_consul_does_not_take_is_told(consul: Client) -> None:
    with pytest.raises(DiscoveryError, match="cannot answer: 413 "):
        consul.write("client/large", "x" * 600_000)


def test_only_the_version_that_was_read_is_deleted(consul: Client) -> None:
    consul.write("client/version", "a")
    entry = consul.read("client/version")
    consul.write("client/version", "b")
    assert isinstance(entry, Entry)
    assert consul.delete("client/version", entry.version) is False
    changed = consul.read("client/version")
    assert isinstance(changed, Entry)
    assert consul.delete("client/version", changed.version) is True
    assert consul.read("client/version") is None


def test_a_lock_is_held_by_one_session_and_goes_with_it(consul: Client, server: ConsulAgent) -> None:
    mine, other = (consul.create_session(name, 30) for name in ("mine", "other"))
    (session,) = server.ask("GET", f"/v1/session/info/{mine}")
    assert {key: session[key] for key in ("Name", "TTL", "Behavior", "LockDelay")} == {
        "Name": "mine",
        "TTL": "30s",
        "Behavior": "delete",
        "LockDelay": 0,
    }
    assert consul.acquire("client/lock", "me", mine) is True
    assert consul.acquire("client/lock", "other", other) is False
    entry = consul.read("client/lock")
    assert entry
    assert (entry.text, entry.locked) == ("me", True)
    consul.renew_session(mine)
    consul.destroy_session(mine)
    consul.destroy_session(other)
    assert consul.read("client/lock") is None
    with pytest.raises(DiscoveryError, match=f"cannot answer: 404 Session id '{mine}' not found"):
        consul.renew_session(mine)
    with pytest.raises(DiscoveryError, match=r"cannot answer: 500 .*invalid session"):
        consul.acquire("client/lock", "me", mine)


def test_nodes_are_listed_by_their_metadata_and_removed(consul: Client, server: ConsulAgent) -> None:
    for name, meta in (("client-a", {"of": "a", "to": "b"}), ("client-b", {"of": "b"})):
        server.ask("PUT", "/v1/catalog/register", {"Node": name, "Address": "10.0.0.1", "NodeMeta": meta})
    assert consul.nodes({"of": "a", "to": "b"}) == {"client-a": {"of": "a", "to": "b"}}
    assert consul.nodes().keys() > {"client-a", "client-b"}
    for name in ("client-a", "client-b", "client-c"):
        consul.remove_node(name)
    assert not consul.nodes().keys() & {"client-a", "client-b"}


def test_a_datacenter_that_does_not_exist_is_told(server: ConsulAgent) -> None:
    to, line = ConsulEndpoint((Endpoint(server.address, 8500),), "dc9"), "cannot answer: 500 No path to datacenter"
    with closing(Client(to)) as client, pytest.raises(DiscoveryError, match=line):
        client.read("a")
