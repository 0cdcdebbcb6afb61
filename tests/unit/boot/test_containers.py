"""The user's containers as units."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from kube_provision_core import Boot, BootError, Node, Role
from kube_provision_core.boot.containers import full_reference

Render = Callable[..., Boot]
Content = Callable[[Boot, str], str]

WEB = {"image": "nginx:1.27", "service": "web"}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("grafana/loki", "docker.io/grafana/loki:latest"),
        ("localhost/x", "localhost/x:latest"),
        ("registry:5000/a/b", "registry:5000/a/b:latest"),
        ("ghcr.io/a/b@sha256:12", "ghcr.io/a/b@sha256:12"),
    ],
)
def test_an_image_is_named_as_people_are_used_to(written: str, meant: str) -> None:
    assert full_reference(written) == meant


def test_a_container_runs_in_the_hosts_network_with_its_arguments_and_mounts(render: Render, content: Content) -> None:
    container = WEB | {"args": ["--say", "100% $HOME"], "volumes": ["/srv:/srv:ro", "/tmp/x:/x"]}
    unit = content(render(containers=[container]), "/etc/systemd/system/web.service")
    (start,) = (line for line in unit.splitlines() if line.startswith("ExecStart="))
    assert start == (
        "ExecStart=/usr/bin/ctr --namespace kube-provision run --rm --net-host"
        " --env-file /etc/kube-provision/containers/web.env"
        ' --mount "type=bind,src=/srv,dst=/srv,options=rbind:ro" --mount "type=bind,src=/tmp/x,dst=/x,options=rbind:rw"'
        ' "docker.io/library/nginx:1.27" web "--say" "100%% $$HOME"'
    )


def test_variables_are_read_from_a_file_that_only_root_reads(render: Render) -> None:
    rendered = render(containers=[WEB | {"env": {"PASSWORD": "geheim"}}])
    file = next(file for file in rendered.files if file.path == "/etc/kube-provision/containers/web.env")
    assert (file.content, file.mode, file.secret) == ("PASSWORD=geheim\n", 0o600, True)


def test_the_discovery_machine_gets_a_runtime_for_its_containers_alone(
    render: Render, content: Content, make_node: Callable[..., Node]
) -> None:
    assert "containerd" in content(render(make_node(Role.DISCOVERY), containers=[WEB]), "ubuntu-packages.sh")
    assert "containerd" not in content(render(make_node(Role.DISCOVERY)), "ubuntu-packages.sh")


def test_images_come_through_the_mirror_of_docker_hub(
    render: Render, content: Content, make_node: Callable[..., Node]
) -> None:
    rendered = render(make_node(Role.DISCOVERY), containers=[WEB], docker_proxy="https://mirror.example")
    assert "--hosts-dir /etc/containerd/certs.d" in content(rendered, "web.service")
    assert "mirror.example" in content(rendered, "/etc/containerd/certs.d/docker.io/hosts.toml")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"service": "kubelet"}, "kubelet: is the name of a service of the node's own"),
        ({"env": {"A": "x\ny"}}, "web: env A: must be one line"),
        ({"volumes": ["data:/data"]}, "web: volume data:/data: must be /source:/destination"),
        ({"volumes": ["/data:/data:rx"]}, "must be /source:/destination"),
        ({"volumes": ["/data"]}, "must be /source:/destination"),
    ],
)
def test_what_a_unit_cannot_express_is_refused(render: Render, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(BootError, match=f"^containers: .*{said}"):
        render(containers=[WEB | changed])
