"""Bugs in what a driver's class is."""

from __future__ import annotations

import socket

from kube_provision_core import hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_constructor_does_no_io")
class ReachesOut(Sound):
    def __init__(self, config):
        socket.getaddrinfo("localhost", 80)


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class LosesItsMark(Sound):
    def os_packages(self, components, versions, repositories, extra):
        return super().os_packages(components, versions, repositories, extra)


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class WantsAnotherArgument(Sound):
    @hookimpl
    def os_packages(self, packages):
        return super().os_packages(packages, {}, {}, frozenset())


@fails("test_declares_what_it_is")
class HasAnotherConfig(Sound):
    Config = dict


@fails("test_close_never_raises")
class CannotClose(Sound):
    @hookimpl
    def close(self):
        raise OSError("not open")
