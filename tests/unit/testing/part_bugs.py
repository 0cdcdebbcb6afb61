"""What an author of any kind of plugin gets wrong in what machines are given: planted into the driver that is sound."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from dataclasses import replace
from pathlib import Path

from kube_provision_core import File, Stage, Step, Unit, hookimpl

from .planted import fails


def changing(sound, change):
    """The driver, with something else in what it gives to machines."""

    class Driver(sound):
        @hookimpl
        def render_boot(self, node, cluster):
            return change(super().render_boot(node, cluster), cluster)

    return Driver


def adding(sound, **parts):
    """The driver, with more in what it gives to machines."""
    return changing(sound, lambda part, _: _with_more(part, parts))


def part_bugs(sound, secret):
    """By name, for every check that all kinds of plugins have in common. `secret`: one of the driver's own."""
    changes = {
        "test_render_boot_is_a_function_of_its_arguments": {
            "TellsTheTime": lambda part, _: _with_more(part, {"files": [File("/etc/when", str(time.monotonic_ns()))]}),
        },
        "test_render_boot_touches_nothing": {
            "AsksTheWorldToRender": lambda part, _: (_connect(), part)[1],
            "StartsAProgramToRender": lambda part, _: (subprocess.run(["true"], check=True), part)[1],
            "WritesWhenItRenders": lambda part, _: (Path(os.devnull).write_text(""), part)[1],
        },
        "test_render_boot_answers_before_any_address_is_known": {
            "NeedsAnAddress": lambda part, cluster: (cluster.discovery_address.split("."), part)[1],
        },
        "test_render_boot_adds_what_a_machine_can_take": {
            "AddsADictionary": lambda part, _: {"files": part.files},
            "AddsPackagesAsAText": lambda part, _: replace(part, packages="cowsay"),
            "AddsAnObjectToCloudConfig": lambda part, _: replace(part, cloud_config={"users": {"name"}}),
        },
    }
    additions = {
        "test_render_boot_adds_what_a_machine_can_take": {
            "AddsARelativePath": {"files": [File("etc/motd", "")]},
            "AddsWhatVanishes": {"files": [File("/run/motd", "")]},
            "AddsAModeInWords": {"files": [File("/etc/motd", "", mode="0644")]},
            "AddsAnOwnerAlone": {"files": [File("/etc/motd", "", owner="root")]},
            "AddsAFileTwice": {"files": [File("/etc/motd", "a"), File("/etc/motd", "b")]},
            "AddsAStepInUpperCase": {"steps": [Step("Set Up", Stage.PREPARE, "true")]},
            "AddsAStepTwice": {"steps": [Step("x", Stage.PREPARE, "true"), Step("x", Stage.FINISH, "true")]},
            "AddsAStageInWords": {"steps": [Step("x", "before", "true")]},
            "AddsATimeoutInWords": {"steps": [Step("x", Stage.PREPARE, "true", timeout="5m")]},
            "AddsAUnitThatCannotBeEnabled": {"units": [Unit("x.service", "[Service]\nExecStart=/bin/true\n")]},
        },
        "test_every_script_can_be_read": {
            "AddsHalfAScript": {"steps": [Step("odd", Stage.INSTALL, "if true; then echo")]},
            "AddsAScriptWithNone": {"steps": [Step("odd", Stage.PREPARE, f"release={None}")]},
        },
        "test_every_template_is_filled_in": {
            "ForgetsATemplate": {"files": [File("/etc/name", "name={{ node.name }}")]},
        },
        "test_secrets_are_delivered_in_secret_files_only": {
            "DeliversItsSecret": {"files": [File("/etc/secret", secret)]},
            "LetsItsGroupReadItsSecret": {"files": [File("/etc/secret", secret, mode=0o640, secret=True)]},
            "PutsItsSecretIntoAStep": {"steps": [Step("login", Stage.PREPARE, f"login {secret}")]},
            "PutsItsSecretIntoAUnit": {"units": [Unit("x.service", f"[Service]\nEnvironment=T={secret}\n", enable=False)]},
        },
    }
    drivers = [(check, name, changing(sound, it)) for check, bugs in changes.items() for name, it in bugs.items()]
    drivers += [(check, name, adding(sound, **it)) for check, bugs in additions.items() for name, it in bugs.items()]
    return {name: fails(check)(type(name, (driver,), {})) for check, name, driver in drivers}


def _with_more(part, parts):
    return replace(part, **{name: (*getattr(part, name), *more) for name, more in parts.items()})


def _connect():
    with socket.socket() as probe:
        probe.connect_ex(("127.0.0.1", 9))
