"""Real registries, with an authority and a password of their own, and the containerd that is told of them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from servers import cri
from servers.containerd import containerd
from servers.registry import Registry, registry

from kube_provision_core.boot import container_runtime, registries
from kube_provision_core.config.core import CoreConfig

NATIVE = '\n[plugins."io.containerd.grpc.v1.cri".containerd]\n  snapshotter = "native"\n'
"""The usual one needs a file system that a folder of a test need not have."""


@dataclass(frozen=True)
class Runtime:
    """One that was told what a node's is."""

    environment: dict[str, str]
    certs: Path

    def pull_with_ctr(self, image: str) -> None:
        """As the unit of one of `containers` does. Raises `RuntimeError` with what it says."""
        command = [
            self.environment["CTR"],
            "images",
            "pull",
            "--snapshotter",
            "native",
            "--hosts-dir",
            str(self.certs),
            image,
        ]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(done.stderr)

    def pull_with_cri(self, image: str) -> None:
        cri.pull(Path(self.environment["CONTAINERD_ADDRESS"]), image)


def _serves_kubernetes(environment: dict[str, str]) -> bool:
    return cri.is_ready(Path(environment["CONTAINERD_ADDRESS"]))


@pytest.fixture
def runtime(tmp_path: Path) -> Callable[..., Any]:
    """A function that starts one for keys of a configuration."""

    @contextmanager
    def start(**keys: Any) -> Iterator[Runtime]:
        config = CoreConfig.model_validate({"name": "x", "target": "x", "os": "x", **keys})
        certs, told = tmp_path / "certs.d", str(container_runtime.configuration().content) + NATIVE
        for file in registries.files(config):
            content = str(file.content).replace(registries.FOLDER, str(certs))
            if file.path == registries.LOGINS:
                told += content
                continue
            path = certs / Path(file.path).relative_to(registries.FOLDER)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)
        with containerd(told.replace(registries.FOLDER, str(certs)), _serves_kubernetes) as environment:
            yield Runtime(environment, certs)

    return start


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """It wants a password."""
    images = ["team/app:1", "hub-cache/library/nginx:1.27"]
    with registry(tmp_path_factory.mktemp("site") / "registry", images) as running:
        yield running


@pytest.fixture(scope="module")
def with_tokens(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """It wants tokens, as Docker Hub does."""
    with registry(tmp_path_factory.mktemp("tokens") / "registry", ["team/app:1"], tokens=True) as running:
        yield running


PULLS = pytest.mark.parametrize("pull", [Runtime.pull_with_ctr, Runtime.pull_with_cri])
Pull = Callable[[Runtime, str], None]


@PULLS
def test_a_registry_with_its_own_authority_and_a_password(runtime: Callable[..., Any], site: Registry, pull: Pull) -> None:
    with runtime(registries={site.host: site.entry}) as told:
        pull(told, f"{site.host}/team/app:1")


@PULLS
@pytest.mark.parametrize(
    ("lacks", "said"),
    [("ca", "certificate signed by unknown authority"), ("username password", "(401 Unauthorized|authorization failed)")],
)
def test_without_either_nothing_is_pulled(
    runtime: Callable[..., Any], site: Registry, pull: Pull, lacks: str, said: str
) -> None:
    entry = {key: it for key, it in site.entry.items() if key not in lacks.split()}
    with runtime(registries={site.host: entry}) as told, pytest.raises(RuntimeError, match=said):
        pull(told, f"{site.host}/team/app:1")


@PULLS
def test_a_mirror_with_a_path_serves_another_host(runtime: Callable[..., Any], site: Registry, pull: Pull) -> None:
    mirror = {"mirrors": [f"https://{site.host}/v2/hub-cache"]}
    with runtime(registries={"docker.io": mirror, site.host: site.entry}) as told:
        pull(told, "docker.io/library/nginx:1.27")
    assert any(request.startswith("GET /v2/hub-cache/library/nginx/blobs/") for request in site.requests)


@PULLS
def test_the_short_form_reaches_the_same(runtime: Callable[..., Any], site: Registry, pull: Pull) -> None:
    with runtime(docker_proxy=f"https://{site.host}/v2/hub-cache", registries={site.host: site.entry}) as told:
        pull(told, "docker.io/library/nginx:1.27")


@PULLS
def test_the_registry_itself_is_not_asked_when_its_mirror_has_no_answer(
    runtime: Callable[..., Any], site: Registry, tmp_path: Path, pull: Pull
) -> None:
    with registry(tmp_path / "upstream", ["team/new:1"]) as upstream:
        entries = {upstream.host: {"mirrors": [f"https://{site.host}"], **site.entry}}
        before = upstream.requests
        with runtime(registries=entries) as told, pytest.raises(RuntimeError, match="not found"):
            pull(told, f"{upstream.host}/team/new:1")
        assert upstream.requests == before


@PULLS
def test_a_mirror_that_lacks_an_image_leads_to_the_next(
    runtime: Callable[..., Any], site: Registry, tmp_path: Path, pull: Pull
) -> None:
    with registry(tmp_path / "second", ["team/new:1"]) as second:
        entries: dict[str, Any] = {name.host: name.entry for name in (site, second)}
        entries["quay.io"] = {"mirrors": [f"https://{site.host}", f"https://{second.host}"]}
        with runtime(registries=entries) as told:
            pull(told, "quay.io/team/new:1")


def test_a_registry_that_wants_tokens_serves_what_kubernetes_pulls(
    runtime: Callable[..., Any], with_tokens: Registry
) -> None:
    with runtime(registries={with_tokens.host: with_tokens.entry}) as told:
        told.pull_with_cri(f"{with_tokens.host}/team/app:1")
