"""Every machine sends its logs on."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kube_provision_core import Role, Stage
from kube_provision_core.testing import node_of
from kube_provision_site.syslog import SETTINGS, Syslog, SyslogConfig


def extension(**keys: object) -> Syslog:
    return Syslog(dict.fromkeys(Role, SyslogConfig.model_validate(keys)))


@pytest.mark.parametrize("role", Role)
def test_every_machine_gets_a_package_a_file_and_a_step(role: Role) -> None:
    fragment = extension(syslog_server="logs.example", syslog_port=6514).render_boot(node_of("x-1", role))
    assert fragment.packages == {"rsyslog"}
    (settings,) = fragment.files
    assert settings.path == SETTINGS
    assert 'target="logs.example" port="6514" protocol="tcp"' in str(settings.content)
    assert [(step.name, step.stage) for step in fragment.steps] == [("restart", Stage.DISCOVER)]


@pytest.mark.parametrize("server", ["", "tcp://logs.example", 'x" action(type="omprog")', "a b"])
def test_what_is_no_host_is_refused(server: str) -> None:
    with pytest.raises(ValidationError, match="syslog_server"):
        extension(syslog_server=server)
