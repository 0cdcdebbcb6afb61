"""The JSON Schema agrees with what `load` takes."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml

from kube_provision_core import ConfigError, PluginError
from kube_provision_core.config import schema

DRIVERS = [("target", "moon"), ("os", "plain"), ("discovery", "beacon")]
MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"

GOOD = [
    "",
    "cpu: 8",
    "cpu: '8'",
    "cpu: ${N}",
    "masters: 5",
    "masters: {count: 5, cpu: 4, template: x}",
    "workers: 0",
    "pools: {gpu: 2, edge: {count: 0, cpu: 4, template: x, taints: ['a:NoSchedule']}}",
    "pools: {}",
    "beacon: {cpu: 1}",
    "kubernetes_version: 1.36",
    "kubernetes_version: 1.36.4",
    "k8s_version: '1.35'",
    "moon_password: 12345",
    "moon_token: yes",
    "far_side: true",
    "far_side: 'yes'",
    "gravity: 1.5",
    "base: null",
    "boot_disk_size: ~",
    "landers: [{legs: 3}, {legs: 4, colour: gold}]",
    "anything: {a: [1, {b: c}]}",
    "cloud_init: {a: {b: 1}}",
    "sysctls: {vm.swappiness: 1}",
    "env_vars: {A: 1, B: true, C: x}",
    "commands: [a, b]",
    "seed_manifests: []",
    "files: {}",
    "containers: [{image: a, service: b, env: {A: 1}, volumes: ['/a:/b']}]",
    "volumes: [{dev: /dev/sdb, mount: /x, format: xfs}]",
    "users: [{name: ada, ssh_keys: [ssh-ed25519 AAAA x]}]",
    "package_repositories: {os: {url: 'http://m.example'}}",
    "registries: {quay.io: {mirrors: ['https://m.example/v2/quay'], username: ann, password: '${N}'}, 'r.example:5000': {}}",
    "proxy_username: ann\nproxy_password: 1234\nhttps_proxy: http://p:3128",
    "kubelet: {maxPods: 200, seccompDefault: yes, kubeReserved: {cpu: 1}}",
    "masters: {kubelet: {maxPods: '50'}}",
    "swap: true",
    "swap: 'true'",
    "workers: {swap: 4}",
    "pools: {gpu: {count: 1, swap: '8'}}",
    "swap: ${N}",
    "kube_proxy: nftables",
    "labels: {disk: fast, example.com/tier: 1}",
    "masters: {taints: []}",
    "workers: {taints: ['dedicated=gpu:NoSchedule']}",
    "api_server_sans: [api.example, 10.0.0.5]",
    "cloud_provider: external",
    "oidc: {issuer_url: 'https://login.example', client_id: kubernetes, groups_claim: groups}",
    "pod_security: restricted",
    "encryption_at_rest: true",
    "encryption_at_rest: true\nhardened: true",
    "kube_proxy: {mode: ipvs, ipvs: {strictARP: true}}",
    "kubeadm: {cluster: {apiServer: {extraArgs: [{name: v, value: 4}]}}}",
    "pod_subnet: 10.1.0.0/16",
    "http_proxy: http://p:3128",
    "image_archives: /var/archives",
    "ntp_servers: [10.0.0.1]",
]
BAD = [
    "zzz: 1",
    "cpu: four",
    "cpu: 0",
    "cpu: 1.5",
    "cpu: true",
    "cpu: [1]",
    "cpu:",
    "masters: 0",
    "masters: many",
    "masters: {count: 0}",
    "masters: {zzz: 1}",
    "masters: {pod_subnet: 10.1.0.0/16}",
    "beacon: {count: 1}",
    "pools: 3",
    "pools: [gpu]",
    "pools: {Big: 1}",
    "pools: {masters: 1}",
    "pools: {beacon: 1}",
    "pools: {gpu: many}",
    "pools: {gpu: {count: 1, zzz: 1}}",
    "pools: {gpu: {count: 1, pod_subnet: 10.1.0.0/16}}",
    "pools: {gpu: {count: 1, ami: a, template: b}}",
    "beacon: 3",
    "ami: also",
    "masters: {ami: a, template: b}",
    "cluster_name: prod",
    "name: Prod_1",
    "kubernetes_version: one",
    "far_side: dark",
    "landers: [{}]",
    "landers: [{legs: 3, zzz: 1}]",
    "landers: [{legs: 3, colour: red}]",
    "landers: {legs: 3}",
    "kubelet: {maxPods: many}",
    "kubelet: {maxPod: 200}",
    "kubelet: {cgroupDriver: systemd}",
    "kubelet: {failSwapOn: false}",
    "swap: 'yes'",
    "swap: 0",
    "swap: -1",
    "swap: 1.5",
    "swap: 65537",
    "kube_proxy: userspace",
    "labels: [disk]",
    "taints: dedicated",
    "cloud_provider: vsphere",
    "oidc: {client_id: kubernetes}",
    "pod_security: privileged",
    "encryption_at_rest: aescbc",
    "hardened: cis",
    "kubeadm: {cluster: {networking: {podSubnet: 10.1.0.0/16}}}",
    "kubeadm: {upgrade: {}}",
    "crater: [a]",
    "commands: reboot",
    "files: {etc/x: x}",
    "files: [x]",
    "env_vars: {1A: x}",
    "containers: [{image: a}]",
    "containers: [{image: a, service: b, docker_args: [x]}]",
    "volumes: [{dev: sdb, mount: /x}]",
    "volumes: [{dev: /dev/sdb, mount: /x, format: ntfs}]",
    "package_repositories: {helm: {url: 'http://m.example'}}",
    "package_repositories: {os: {}}",
    "registries: {quay: {}}",
    "registries: {quay.io: {mirrors: [m.example]}}",
    "registries: {quay.io: {mirror: 'https://m.example'}}",
    "registries: {quay.io: {username: 'a:b', password: x}}",
    "registries: [quay.io]",
    "pod_subnet: everything",
    "http_proxy: p",
    "provisioner: x",
]


def fits(text: str) -> bool:
    return validator().is_valid(yaml.safe_load(text))


@cache
def validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(DRIVERS))


@pytest.fixture(scope="module", autouse=True)
def _is_a_schema(site: Any) -> None:
    """Named for order alone: the plugins' folder exists before the first test asks for them."""


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(schema(DRIVERS))


@pytest.mark.parametrize("text", GOOD)
def test_what_load_takes_fits_the_schema(load_text, text: str) -> None:
    load_text(MINIMAL + text, environ={"N": "8"})
    assert fits(MINIMAL + text)


@pytest.mark.parametrize("text", BAD)
def test_what_load_refuses_does_not_fit_the_schema(load_text, text: str) -> None:
    with pytest.raises(ConfigError):
        load_text(MINIMAL + text)
    assert not fits(MINIMAL + text)


def test_every_key_is_described_and_no_description_names_an_alias_alone() -> None:
    properties = schema(DRIVERS)["properties"]
    assert all(prop.get("description") for prop in properties.values())
    assert properties["ami"]["description"].startswith("Same as `template`: ")


def test_nothing_is_required_as_all_may_come_from_elsewhere() -> None:
    assert fits("{}")


def test_nothing_of_pydantics_own_is_left() -> None:
    text = str(schema(DRIVERS))
    assert not [word for word in ("per_role", "writeOnly", "ipv4network") if word in text]


def test_an_unknown_driver_has_no_schema() -> None:
    with pytest.raises(PluginError, match="no target driver 'mooon'"):
        schema([("target", "mooon")])


def test_without_drivers_it_is_the_cores() -> None:
    assert "template" not in schema()["properties"]
