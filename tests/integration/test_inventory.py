"""What of a living cluster may be shown to anybody: what helps, and nothing that a pod keeps to itself."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from servers.cluster_objects import CONFIG_MAPS, EVENTS, NODES, PODS
from servers.control_plane import ControlPlaneServer, Fault

from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.folder.pki import Pki
from kube_provision_core.support.collecting import Collection
from kube_provision_core.support.known import Known

ADDRESS = "127.62.7.1"
SECRET = "hush-hunter2"


@pytest.fixture
def server(pki: Pki) -> Iterator[ControlPlaneServer]:
    with ControlPlaneServer(pki, ADDRESS) as server:
        yield server


@pytest.fixture
def api(pki: Pki, server: ControlPlaneServer) -> Iterator[ControlPlane]:
    with ControlPlane([ADDRESS], pki) as api:
        yield api


def test_nothing_of_it_passes_the_door_of_a_bundle_with_a_secret(api: ControlPlane, server: ControlPlaneServer) -> None:
    variable = f"{{name: DB_PASSWORD, value: {SECRET}}}"
    text = f"apiServer: {{extraEnvs: [{variable}], extraArgs: [{{name: v, value: '7'}}, {variable}]}}"
    server.objects.create(CONFIG_MAPS, {"metadata": {"name": "kubeadm-config"}, "data": {"ClusterConfiguration": text}})
    event = {"metadata": {"name": "a"}, "reason": "Unhealthy", "message": f'said {{"password": "{SECRET}"}}'}
    server.objects.create(EVENTS, event)
    found = Collection(Known([]))
    for path, question in api.inventory.questions.items():
        found.ask(path, question)
    assert SECRET not in "".join(found.texts.values())
    assert "- name: v\n    value: '7'\n" in found.texts["kubeadm-config.txt"]
    assert "Unhealthy" in found.texts["events.json"]


def test_of_a_pod_neither_environment_nor_arguments_nor_annotations_nor_last_words_are_shown(
    api: ControlPlane, server: ControlPlaneServer
) -> None:
    container = {"name": "web", "image": "web:1", "env": [{"name": "A", "value": SECRET}], "args": [SECRET]}
    ended = {"terminated": {"reason": "Error", "exitCode": 3, "message": SECRET, "containerID": "containerd://1"}}
    waits = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 5m0s"}}
    status = {"name": "web", "image": "web:1", "restartCount": 7, "state": waits, "lastState": ended}
    pod = {
        "metadata": {"name": "web-0", "namespace": "kube-system", "annotations": {"applied": SECRET}},
        "spec": {"nodeName": "w-prod-1", "containers": [container], "initContainers": [container]},
        "status": {"phase": "Running", "containerStatuses": [status], "initContainerStatuses": [status]},
    }
    server.objects.create(PODS, pod)
    (shown,) = api.inventory.pods()
    assert SECRET not in json.dumps(shown)
    assert (shown["metadata"]["name"], shown["spec"]["nodeName"]) == ("web-0", "w-prod-1")
    assert [it["restartCount"] for it in shown["containers"]] == [7, 7]
    assert shown["containers"][0]["state"] == waits
    assert shown["containers"][0]["lastState"] == {"terminated": {"reason": "Error", "exitCode": 3}}


def test_of_a_node_its_conditions_and_versions_are_shown_and_no_annotation(
    api: ControlPlane, server: ControlPlaneServer
) -> None:
    server.objects.add_node("m-prod-1", ADDRESS, master=True, kubelet="v1.37.1")
    node = server.objects.get(NODES, "m-prod-1")
    metadata = {**node["metadata"], "annotations": {"applied": SECRET}}
    server.objects.replace(NODES, "m-prod-1", {**node, "metadata": metadata})
    (shown,) = api.inventory.nodes()
    assert SECRET not in json.dumps(shown)
    assert shown["status"]["nodeInfo"]["kubeletVersion"] == "v1.37.1"
    assert shown["status"]["conditions"][0]["type"] == "Ready"


def test_events_come_in_the_order_in_which_they_happened_last(api: ControlPlane, server: ControlPlaneServer) -> None:
    for name, when in (("b", "2026-11-29T11:00:02Z"), ("a", "2026-11-29T11:00:03Z"), ("c", None)):
        event = {"reason": name, "message": "it is so", "lastTimestamp": when, "eventTime": "2026-11-29T11:00:01.0Z"}
        involved = {"kind": "Pod", "namespace": "x", "name": "web-0", "uid": "1"}
        server.objects.create(EVENTS, {"metadata": {"name": name}, "involvedObject": involved, **event})
    events = api.inventory.events()
    assert [it["reason"] for it in events] == ["c", "b", "a"]
    assert events[0]["object"] == {"kind": "Pod", "namespace": "x", "name": "web-0"}


def test_what_kubeadm_keeps_is_shown_as_it_is(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.objects.create(CONFIG_MAPS, {"metadata": {"name": "kubelet-config"}, "data": {"kubelet": "kind: Kubelet\n"}})
    assert api.inventory.config_map("kubelet-config") == "kind: Kubelet\n"
    with pytest.raises(ControlPlaneError, match="does not show kubeadm-config"):
        api.inventory.config_map("kubeadm-config")


def test_of_the_environment_that_kubeadm_is_to_give_only_names_are_shown(
    api: ControlPlane, server: ControlPlaneServer
) -> None:
    variables = f"extraEnvs: [{{name: A, value: {SECRET}}}]"
    text = f"apiServer:\n  certSANs: [a]\n  {variables}\netcd:\n  local: {{{variables}}}\n"
    server.objects.create(CONFIG_MAPS, {"metadata": {"name": "kubeadm-config"}, "data": {"ClusterConfiguration": text}})
    shown = api.inventory.config_map("kubeadm-config")
    assert SECRET not in shown
    assert "certSANs:\n  - a\n  extraEnvs:\n  - name: A\n" in shown


def test_what_somebody_has_made_unreadable_of_it_is_told(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.objects.create(CONFIG_MAPS, {"metadata": {"name": "kubelet-config"}, "data": {"kubelet": "{"}})
    with pytest.raises(ControlPlaneError, match="kubelet-config is no YAML"):
        api.inventory.config_map("kubelet-config")


def test_a_master_that_is_not_ready_tells_why(api: ControlPlane, server: ControlPlaneServer) -> None:
    server.ready = False
    assert "[-]etcd failed" in api.inventory.readiness()


def test_one_question_that_is_refused_keeps_no_other_from_being_asked(api: ControlPlane, server: ControlPlaneServer) -> None:
    questions = api.inventory.questions
    server.faults.append(Fault(404))
    with pytest.raises(ControlPlaneError):
        questions["pods.json"]()
    assert questions["events.json"]() == []
    assert questions["version.json"]() == {"gitVersion": "v1.37.1"}
