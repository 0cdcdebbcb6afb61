"""Servers of this process, and those of whoever else tests on this machine, are in nobody's way."""

from __future__ import annotations

import socket

import pytest
from servers.own_network import outside, own_network

ADDRESS = ("127.62.9.1", 6443)


def listening() -> socket.socket:
    return socket.create_server(ADDRESS)


def test_an_address_is_free_whoever_has_it_elsewhere() -> None:
    with listening(), own_network(), listening():
        pass


def test_the_network_that_was_left_is_the_same_afterwards() -> None:
    with listening():
        with own_network(), pytest.raises(ConnectionRefusedError):
            socket.create_connection(ADDRESS)
        socket.create_connection(ADDRESS).close()


def test_what_listens_in_a_test_is_not_in_the_machines_network() -> None:
    with listening():
        with outside(), pytest.raises(ConnectionRefusedError):
            socket.create_connection(ADDRESS)
        socket.create_connection(ADDRESS).close()


def test_what_is_fetched_meanwhile_comes_from_outside_however_deep_one_stands() -> None:
    with outside(), listening():
        pass
    with own_network(), listening(), outside(), pytest.raises(ConnectionRefusedError):
        socket.create_connection(ADDRESS)
