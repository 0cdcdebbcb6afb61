"""containerd is told what the node's kubeadm wants."""

from __future__ import annotations

import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

from kube_provision_core import Boot

STAND_INS = {
    "kubeadm": """#!/bin/sh
case "$*" in
  "version --output short") echo v1.36.4 ;;
  "config images list --kubernetes-version v1.36.4 --image-repository r.example/k8s")
    printf 'r.example/k8s/kube-proxy:v1.36.4\\nr.example/k8s/pause:3.10.2\\n' ;;
  *) exit 1 ;;
esac
""",
    "systemctl": "#!/bin/sh\n",
    "ctr": "#!/bin/sh\n",
}


def test_pods_start_with_the_image_that_kubeadm_names(
    render: Callable[..., Boot], content: Callable[[Boot, str], str], tmp_path: Path
) -> None:
    rendered = render(image_repository="r.example/k8s")
    configuration = tmp_path / "config.toml"
    configuration.write_text(content(rendered, "/etc/containerd/config.toml"))
    for name, text in STAND_INS.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    script = content(rendered, "kubeadm-container-runtime.sh").replace("/etc/containerd/config.toml", str(configuration))
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    for _ in range(2):
        subprocess.run(["bash", "-c", script], env=environment, check=True, timeout=60)
        plugin = tomllib.loads(configuration.read_text())["plugins"]["io.containerd.grpc.v1.cri"]
        assert plugin["sandbox_image"] == "r.example/k8s/pause:3.10.2"


def test_plugins_of_the_network_are_found_where_kubernetes_puts_them(
    render: Callable[..., Boot], content: Callable[[Boot, str], str]
) -> None:
    """Debian 13 builds in /usr/lib/cni alone; 1.x knows no list of folders, and 2.1 and later make one of this."""
    configuration = tomllib.loads(content(render(), "/etc/containerd/config.toml"))
    assert configuration["version"] == 2
    assert configuration["plugins"]["io.containerd.grpc.v1.cri"]["cni"] == {"bin_dir": "/opt/cni/bin"}
