"""Bugs in what a driver's class is."""

from __future__ import annotations

import socket

from kube_provision_core import Discovery, hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_constructor_does_no_io")
class ConnectsInItsConstructor(Sound):
    def __init__(self, config):
        super().__init__(config)
        with socket.socket() as probe:
            probe.connect_ex(("127.0.0.1", 9))


@fails("test_says_whether_it_needs_a_machine")
class TellsItsAddressAsAnObject(Sound):
    @property
    def address(self):
        return self._config.sound_discovery_server


@fails("test_close_never_raises")
class CannotClose(Sound):
    @hookimpl
    def close(self):
        raise OSError("not connected")


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class LosesItsMark(Sound):
    def discover_masters(self, cluster):
        return super().discover_masters(cluster)


@fails("test_every_hook_is_marked_and_as_the_contract_names_it")
class WantsAnotherArgument(Sound):
    @hookimpl
    def discover_masters(self, name):
        return Discovery(initialised=False)


@fails("test_declares_what_it_is")
class SpeaksAnotherVersion(Sound):
    api_version = 0
