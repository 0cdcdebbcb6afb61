"""Which versions a living cluster shows, and what its clients use that a later one does not serve."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from servers.cluster_objects import CONFIG_MAPS
from servers.control_plane import ControlPlaneServer, Fault
from servers.workloads import Workloads

from kube_provision_core.cluster import https_client
from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.folder.pki import Pki

FIRST, SECOND = "127.62.2.1", "127.62.2.2"


@pytest.fixture
def server(pki: Pki) -> Iterator[ControlPlaneServer]:
    with ControlPlaneServer(pki, FIRST) as server:
        yield server


@pytest.fixture
def second(pki: Pki, server: ControlPlaneServer) -> Iterator[ControlPlaneServer]:
    with ControlPlaneServer(pki, SECOND, objects=server.objects) as second:
        yield second


@pytest.fixture
def pods(server: ControlPlaneServer) -> Workloads:
    return server.objects.workloads


@pytest.fixture
def api(pki: Pki, server: ControlPlaneServer) -> Iterator[ControlPlane]:
    with ControlPlane([FIRST], pki) as api:
        yield api


class TestControlPlanes:
    def test_are_those_that_run_and_not_etcd(self, api: ControlPlane, pods: Workloads) -> None:
        pods.run_control_plane("m-prod-1", "1.36.2")
        pods.run_control_plane("m-prod-2", "1.36.4", ready=False)
        pods.run("web", "m-prod-1")
        told = api.versions.control_planes()
        assert {(name, pod.version, pod.ready) for name, shown in told.items() for pod in shown} == {
            ("m-prod-1", "1.36.2", True),
            ("m-prod-2", "1.36.4", False),
        }
        assert {pod.name for pod in told["m-prod-1"]} == {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}

    def test_are_at_a_version_once_every_part_is_and_is_ready(self, api: ControlPlane, pods: Workloads) -> None:
        assert api.versions.behind("m-prod-1", "1.36.4") == "kube-apiserver is not there"
        pods.run_control_plane("m-prod-1", "1.36.2")
        assert api.versions.behind("m-prod-1", "1.36.4") == "kube-apiserver is at 1.36.2"
        pods.run_control_plane("m-prod-1", "1.36.4", ready=False)
        assert api.versions.behind("m-prod-1", "1.36.4") == "kube-apiserver is not ready"
        pods.run_control_plane("m-prod-1", "1.36.4")
        assert api.versions.behind("m-prod-1", "1.36.4") == ""

    def test_are_told_by_the_tag_of_an_image_that_has_a_digest_too(self, api: ControlPlane, pods: Workloads) -> None:
        pods.run_control_plane("m-prod-1", "1.36.4")
        for pod in pods.pods:
            pod.image += "@sha256:abcdef"
        assert api.versions.behind("m-prod-1", "1.36.4") == ""


def requested(version: str, resource: str, group: str, release: str, value: int = 1) -> str:
    labels = f'group="{group}",removed_release="{release}",resource="{resource}",subresource="",version="{version}"'
    return f"apiserver_requested_deprecated_apis{{{labels}}} {value}\n"


class TestUnreadSettings:
    def test_are_what_kubeadm_keeps_of_arguments_and_feature_gates(
        self, api: ControlPlane, server: ControlPlaneServer
    ) -> None:
        assert api.versions.unread_settings() == ()
        kept = {
            "kubeadm-config": ("ClusterConfiguration", "scheduler: {extraArgs: [{name: v, value: '4'}]}"),
            "kubelet-config": ("kubelet", "featureGates: {LongGone: true}"),
        }
        for name, (key, text) in kept.items():
            server.objects.create(CONFIG_MAPS, {"metadata": {"name": name}, "data": {key: text}})
        names = [setting.name for setting in api.versions.unread_settings()]
        assert names == ["kube-scheduler --v", "kubelet's feature gate LongGone"]


class TestRemovedApis:
    def test_are_those_that_any_master_was_asked_for(
        self, pki: Pki, server: ControlPlaneServer, second: ControlPlaneServer
    ) -> None:
        server.metrics = requested("v1beta3", "flowschemas", "flowcontrol.apiserver.k8s.io", "1.32")
        second.metrics = requested("v1alpha1", "things", "", "1.37") + requested("v1", "later", "x", "1.38")
        with ControlPlane([FIRST, SECOND], pki) as api:
            assert api.versions.removed_apis("1.37.0") == (
                "v1alpha1 things (removed in 1.37)",
                "v1beta3 flowschemas.flowcontrol.apiserver.k8s.io (removed in 1.32)",
            )
            assert len(api.versions.removed_apis("1.36.9")) == 1

    def test_are_none_where_nobody_asks_for_one_or_nobody_has_said_when_it_goes(
        self, api: ControlPlane, server: ControlPlaneServer
    ) -> None:
        server.metrics = requested("v1", "endpoints", "", "") + requested("v1beta1", "idle", "x", "1.36", value=0)
        assert api.versions.removed_apis("1.37.0") == ()

    def test_are_awaited_of_a_master_whose_api_server_is_just_starting(
        self, pki: Pki, server: ControlPlaneServer, second: ControlPlaneServer
    ) -> None:
        second.metrics = requested("v1", "late", "x", "1.37")
        second.faults.extend([*[Fault(break_off=True)] * 2, Fault(status=503), *[Fault(status=403)] * 2])
        with ControlPlane([FIRST, SECOND], pki) as api:
            assert api.versions.removed_apis("1.37.0") == ("v1 late.x (removed in 1.37)",)

    def test_are_not_known_while_a_master_is_silent(
        self, pki: Pki, server: ControlPlaneServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(https_client, "RESTART", 0.5)
        with ControlPlane([FIRST, SECOND], pki) as api, pytest.raises(ControlPlaneError, match=SECOND):
            api.versions.removed_apis("1.37.0")


def proxy(version: str, **status: int) -> dict[str, Any]:
    return {
        "metadata": {"name": "kube-proxy", "generation": 2},
        "spec": {"template": {"spec": {"containers": [{"image": f"registry.example/kube-proxy:v{version}"}]}}},
        "status": {"desiredNumberScheduled": 3, "observedGeneration": 2, **status},
    }


def coredns(**status: int) -> dict[str, Any]:
    return {"metadata": {"name": "coredns", "generation": 4}, "spec": {"replicas": 2}, "status": status}


ROLLED_OUT = {"observedGeneration": 4, "updatedReplicas": 2, "availableReplicas": 2}


class TestAddons:
    @pytest.mark.parametrize(
        ("addons", "told"),
        [
            ({}, ""),
            ({"daemonsets/kube-proxy": proxy("1.36.2")}, "kube-proxy is at 1.36.2"),
            ({"daemonsets/kube-proxy": proxy("1.37.0", updatedNumberScheduled=2)}, "kube-proxy is being rolled out"),
            ({"daemonsets/kube-proxy": proxy("1.37.0", updatedNumberScheduled=3, numberAvailable=3)}, ""),
            ({"deployments/coredns": coredns(**ROLLED_OUT)}, ""),
            ({"deployments/coredns": coredns(**{**ROLLED_OUT, "observedGeneration": 3})}, "coredns is being rolled out"),
            ({"deployments/coredns": coredns(**{**ROLLED_OUT, "updatedReplicas": 1})}, "coredns is being rolled out"),
            (
                {"daemonsets/kube-proxy": proxy("1.37.0"), "deployments/coredns": coredns()},
                "kube-proxy and coredns are being rolled out",
            ),
        ],
    )
    def test_are_what_a_version_brings_once_all_of_them_run(
        self, api: ControlPlane, pods: Workloads, addons: dict[str, Any], told: str
    ) -> None:
        pods.addons = addons
        assert api.versions.addons_behind("1.37.0") == told
