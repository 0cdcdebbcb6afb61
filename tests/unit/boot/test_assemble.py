"""A whole machine: all plugins' fragments and the operating system's packages become one boot."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import replace
from typing import Any

import pytest

from kube_provision_core import (
    Boot,
    BootError,
    BootFragment,
    Cluster,
    File,
    Node,
    Packages,
    PluginError,
    Repository,
    Role,
    Stage,
    Step,
    boot,
    hookimpl,
)
from kube_provision_core.folder.pki import JoinSecrets
from kube_provision_core.registry import Plugins

Render = Callable[..., Boot]


class Os:
    """Notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    @hookimpl
    def os_packages(
        self,
        components: frozenset[str],
        versions: Mapping[str, str],
        repositories: Mapping[str, Repository],
        extra: frozenset[str],
    ) -> Packages:
        self.asked.append({"components": components, "versions": versions, "repositories": repositories, "extra": extra})
        install = Step("install", Stage.INSTALL, "true")
        return Packages(("x",), (File("/etc/os-file", ""),), (install,))


def test_the_operating_system_is_asked_once_for_all_that_is_wanted(render: Render) -> None:
    system = Os()
    rendered = render(
        plugins={"ubuntu": system},
        packages=["htop"],
        package_repositories={"os": {"url": "http://mirror/ubuntu"}},
    )
    assert system.asked == [
        {
            "components": {"kubeadm", "container-runtime", "tcp-proxy", "vmware-tools"},
            "versions": {"kubeadm": "1.36.4"},
            "repositories": {"os": Repository("http://mirror/ubuntu")},
            "extra": {"htop"},
        }
    ]
    paths = {file.path for file in rendered.files}
    assert {"/etc/os-file", "/usr/local/lib/kube-provision/steps/20-install/ubuntu-install.sh"} <= paths


def test_nothing_is_rendered_without_an_operating_system(
    manager: Plugins,
    make_node: Callable[..., Node],
    cluster: Cluster,
    configure: Callable[..., Any],
    secrets: JoinSecrets,
) -> None:
    with pytest.raises(PluginError, match="os driver ubuntu does not answer os_packages"):
        boot.renderer(manager, configure()).render(make_node(), cluster, secrets)


class AddEverywhere:
    """What a site's own extension may do: change what others deliver."""

    @hookimpl(wrapper=True)
    def render_boot(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
        fragments = yield
        return [
            replace(fragment, files=tuple(replace(file, path=f"{file.path}.site") for file in fragment.files))
            if any(file.path == "/etc/kube-provision/node.json" for file in fragment.files)
            else fragment
            for fragment in fragments
        ]


def test_a_wrappers_change_is_delivered(render: Render) -> None:
    paths = {file.path for file in render(plugins={"site": AddEverywhere()}).files}
    assert "/etc/kube-provision/node.json.site" in paths
    assert "/etc/kube-provision/node.json" not in paths


def test_a_fragment_that_contradicts_the_cores_names_both(render: Render) -> None:
    class Rival:
        @hookimpl
        def render_boot(self) -> BootFragment:
            return BootFragment(files=(File("/etc/containerd/config.toml", "version = 3\n"),))

    with pytest.raises(BootError, match=r"^/etc/containerd/config\.toml: plugins kubeadm and rival both claim it"):
        render(plugins={"rival": Rival()})


def test_files_get_their_owners_after_packages_have_made_them(render: Render) -> None:
    class Owned:
        @hookimpl
        def render_boot(self) -> BootFragment:
            return BootFragment(files=(File("/etc/seeker.d/x", "", owner="seeker:seeker"),))

    rendered = render(plugins={"aaa": Owned()})
    names = [file.path.rpartition("/")[2] for file in rendered.files if "/20-install/" in file.path]
    listed = next(str(file.content) for file in rendered.files if file.path.endswith("steps.json"))
    assert names
    assert listed.index("ubuntu-packages.sh") < listed.index("core-ownership.sh") < listed.index('"discover"')


@pytest.mark.parametrize("role", Role)
def test_secrets_are_never_shown(render: Render, make_node: Callable[..., Node], role: Role) -> None:
    shown = repr(render(make_node(role, carries_ca=role is Role.MASTER)))
    assert "PRIVATE KEY" not in shown
    assert "token" not in shown


class Labeller:
    """Changes what kubeadm is told, as an extension may."""

    @hookimpl(wrapper=True)
    def render_boot(self, node: Node) -> Generator[None, list[BootFragment], list[BootFragment]]:
        fragments = yield
        return [replace(it, files=tuple(map(self.labelled, it.files))) for it in fragments]

    def labelled(self, file: File) -> File:
        argument = "  - name: node-labels\n    value: node-role.kubernetes.io/worker=\n"
        content = str(file.content).replace("  - name: node-ip\n", f"{argument}  - name: node-ip\n")
        return replace(file, content=content) if "kubeadm-" in file.path else file


def test_what_a_wrapper_makes_of_kubeadms_configuration_is_checked_too(render: Callable[..., Boot]) -> None:
    with pytest.raises(BootError, match=r"node-labels: node-role\.kubernetes\.io/worker is a label"):
        render(plugins={"labeller": Labeller()})


class Spoiler(Labeller):
    def __init__(self, content: str) -> None:
        self._content = content

    def labelled(self, file: File) -> File:
        return replace(file, content=self._content) if "kubeadm-" in file.path else file


@pytest.mark.parametrize("content", ["a: [", "just words", "- a\n", "{}\n---\n"])
def test_what_a_wrapper_spoils_is_told_in_a_line(render: Callable[..., Boot], content: str) -> None:
    with pytest.raises(BootError) as caught:
        render(plugins={"spoiler": Spoiler(content)})
    assert all("kubeadm" in line for line in str(caught.value).splitlines())
