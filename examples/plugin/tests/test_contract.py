"""Both extensions keep every promise that kube-provision relies on."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kube_provision_core import BootFragment, File, Role
from kube_provision_core.testing import ExtensionContract
from kube_provision_site.node_labels import NodeLabels, NodeLabelsConfig
from kube_provision_site.syslog import Syslog, SyslogConfig

KUBEADM = "kind: JoinConfiguration\nnodeRegistration: {name: w-1}\ndiscovery: {token: contract-suite-secret-9f8e7d}\n"


class TestSyslog(ExtensionContract):
    name = "syslog"

    @pytest.fixture
    def make_driver(self) -> Callable[[], Syslog]:
        return lambda: Syslog(dict.fromkeys(Role, SyslogConfig(syslog_server="logs.example.com")))


class TestNodeLabels(ExtensionContract):
    """It wraps, so it is given what it changes."""

    name = "node-labels"

    @pytest.fixture
    def make_driver(self) -> Callable[[], NodeLabels]:
        config = NodeLabelsConfig(node_labels_set={"example.com/site": "north"})
        return lambda: NodeLabels(dict.fromkeys(Role, config))

    @pytest.fixture
    def others(self) -> BootFragment:
        return BootFragment(files=(File("/etc/kube-provision/kubeadm-join.yaml", KUBEADM, mode=0o600, secret=True),))
