"""What the benchmark asks for, looked up item by item in what kubeadm is told, and on the page that tells of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_provision_core import Boot, Node, Role
from kube_provision_core.boot import api_server, hardened
from kube_provision_core.boot.hardened import ITEMS, KUBEADM, KUBELET, OTHERWISE, Item
from kube_provision_core.boot.kubeadm import CONFIGURATIONS
from kube_provision_core.boot.kubeadm_config import init_documents
from kube_provision_core.contract.machines import Cluster
from kube_provision_core.folder.encryption import create_encryption
from kube_provision_core.folder.pki import JoinSecrets

PAGE = Path(__file__).parents[3] / "docs/hardened.md"
HARDENED = {"hardened": True, "encryption_at_rest": True}
OIDC = {"issuer_url": "https://login.example", "client_id": "kubernetes", "groups_claim": "groups"}
OURS = [item for item in ITEMS if item.where not in (KUBEADM, OTHERWISE)]


@pytest.fixture
def given(secrets: JoinSecrets) -> JoinSecrets:
    return replace(secrets, encryption=create_encryption())


@pytest.fixture
def told(
    configure: Callable[..., Any], make_node: Callable[..., Node], cluster: Cluster, given: JoinSecrets
) -> Callable[..., Any]:
    """kubeadm's documents by their kinds."""

    def told(cluster: Cluster = cluster, **keys: Any) -> dict[str, Any]:
        found = init_documents(make_node(carries_ca=True), cluster, given, configure(**(HARDENED | keys)).core)
        return {document["kind"]: document for document in found}

    return told


def arguments(cluster: Any, program: str) -> dict[str, str]:
    listed = cluster[program]["extraArgs"]
    assert len({it["name"] for it in listed}) == len(listed), "one argument, said twice"
    return {it["name"]: it["value"] for it in listed}


@pytest.mark.parametrize("item", OURS, ids=lambda item: f"{item.number} {item.asks}")
def test_each_item_is_as_the_page_says(told: Callable[..., Any], item: Item) -> None:
    documents = told()
    if item.where == KUBELET:
        assert documents["KubeletConfiguration"][item.name] == item.value
    elif item.name == "enable-admission-plugins":
        assert item.value in arguments(documents["ClusterConfiguration"], item.where)[item.name].split(",")
    else:
        assert arguments(documents["ClusterConfiguration"], item.where)[item.name] == item.value


def test_the_page_has_the_same_list() -> None:
    text = PAGE.read_text()
    assert text.partition("<!-- items -->\n\n")[2].partition("\n\n<!-- end of items -->")[0] == hardened.table()


def test_each_item_stands_once_and_says_why_where_it_is_not_met() -> None:
    assert len({item.number for item in ITEMS}) == len(ITEMS)
    assert all(item.note for item in ITEMS if item.where == OTHERWISE)
    assert {item.where for item in ITEMS} == {*hardened.PROGRAMS, KUBELET, KUBEADM, OTHERWISE}


def test_nothing_of_it_is_said_where_nobody_asks_for_it(
    told: Callable[..., Any], render: Callable[..., Boot], make_node: Callable[..., Node]
) -> None:
    documents = told(hardened=False, encryption_at_rest=False)
    assert documents["KubeletConfiguration"].keys() == {"apiVersion", "kind", "cgroupDriver"}
    for program in ("controllerManager", "scheduler"):
        assert all(name.startswith("leader-elect-") for name in arguments(documents["ClusterConfiguration"], program))
    assert "extraArgs" not in documents["ClusterConfiguration"]["apiServer"]
    (sysctls,) = [file for file in render(make_node()).files if file.path.endswith("80-kube-provision.conf")]
    assert "kernel.panic" not in str(sysctls.content)


@pytest.mark.parametrize("oidc", [None, OIDC])
def test_nobody_is_answered_without_a_name_but_for_health_and_joins(
    configure: Callable[..., Any], given: JoinSecrets, oidc: Any
) -> None:
    files = {file.path: file for file in api_server.files(configure(**HARDENED, oidc=oidc).core, given)}
    document = yaml.safe_load(files[hardened.AUTHENTICATION].content)
    assert document["kind"] == "AuthenticationConfiguration"
    assert document["anonymous"]["enabled"] is True
    assert [it["path"] for it in document["anonymous"]["conditions"]] == [
        "/livez",
        "/readyz",
        "/healthz",
        "/api/v1/namespaces/kube-public/configmaps/cluster-info",
    ]
    assert ("jwt" in document) is bool(oidc)


@pytest.mark.parametrize(("prefix", "said"), [("oidc:", "oidc:"), ("-", "")])
def test_a_providers_tokens_are_taken_as_without_it(
    configure: Callable[..., Any], given: JoinSecrets, authority: str, prefix: str, said: str
) -> None:
    core = configure(**HARDENED, oidc=OIDC | {"ca": authority, "username_prefix": prefix}).core
    files = {file.path: file for file in api_server.files(core, given)}
    (jwt,) = yaml.safe_load(files[hardened.AUTHENTICATION].content)["jwt"]
    issuer = {"url": "https://login.example", "audiences": ["kubernetes"], "certificateAuthority": authority}
    assert jwt["issuer"] == issuer
    assert jwt["claimMappings"] == {
        "username": {"claim": "sub", "prefix": said},
        "groups": {"claim": "groups", "prefix": "oidc:"},
    }
    settings = api_server.settings(core)
    assert not [it for it in settings["extraArgs"] if it["name"].startswith("oidc-")]
    assert files.keys() == api_server.paths(core)


def test_admission_holds_both_of_its_plugins(configure: Callable[..., Any], given: JoinSecrets) -> None:
    core = configure(**HARDENED, pod_security="baseline").core
    (file,) = [file for file in api_server.files(core, given) if file.path.endswith("admission.yaml")]
    plugins = yaml.safe_load(file.content)["plugins"]
    assert [plugin["name"] for plugin in plugins] == ["PodSecurity", "EventRateLimit"]
    assert {limit["type"] for limit in plugins[1]["configuration"]["limits"]} == {"Namespace", "User"}


@pytest.mark.parametrize(
    ("program", "name"),
    [("apiServer", "profiling"), ("controllerManager", "terminated-pod-gc-threshold"), ("scheduler", "profiling")],
)
def test_what_a_user_says_takes_its_place(
    configure: Callable[..., Any], told: Callable[..., Any], program: str, name: str
) -> None:
    own = {program: {"extraArgs": [{"name": name, "value": "7"}]}}
    assert arguments(told(kubeadm={"cluster": own})["ClusterConfiguration"], program)[name] == "7"


def test_a_users_audit_policy_takes_its_place(configure: Callable[..., Any], given: JoinSecrets) -> None:
    own = hardened.AUDIT_POLICY.replace("Metadata", "Request")
    for policy, expected in ((own, own), ("", hardened.AUDIT_POLICY)):
        core = configure(**HARDENED, audit_policy=policy).core
        assert [file.content for file in api_server.files(core, given) if "audit" in file.path] == [expected]


@pytest.mark.parametrize("role", [Role.MASTER, Role.WORKER])
@pytest.mark.parametrize("shared", [True, False])
def test_a_kubelet_finds_the_kernel_as_it_wants_it_and_leaves_a_hosts_alone(
    told: Callable[..., Any],
    configure: Callable[..., Any],
    make_node: Callable[..., Node],
    cluster: Cluster,
    given: JoinSecrets,
    role: Role,
    shared: bool,
) -> None:
    from kube_provision_core.boot.kubeadm import KubeadmPart

    there = replace(cluster, shares_kernel=shared)
    assert ("protectKernelDefaults" in told(there)["KubeletConfiguration"]) is not shared
    made = KubeadmPart(configure(**HARDENED).by_role).render_boot(make_node(role), there, given)
    assert made is not None
    (file,) = [file for file in made.files if file.path == "/etc/sysctl.d/80-kube-provision.conf"]
    lines = dict(line.split(" = ") for line in str(file.content).splitlines() if line)
    assert lines.keys() >= {"net.ipv4.ip_forward"}
    assert {name: lines.get(name) for name in hardened.SYSCTLS} == (
        dict.fromkeys(hardened.SYSCTLS) if shared else hardened.SYSCTLS
    )


def test_whole_machines_are_rendered_with_it_and_kubeadm_would_take_it(
    render: Callable[..., Boot], make_node: Callable[..., Node], given: JoinSecrets
) -> None:
    rendered = render(make_node(carries_ca=True), given=given, **HARDENED)
    assert CONFIGURATIONS["init"] in {file.path for file in rendered.files}
    assert hardened.AUTHENTICATION in {file.path for file in rendered.files}
    worker = render(make_node(Role.WORKER), given=given, **HARDENED)
    assert not [file.path for file in worker.files if file.path.startswith(api_server.FOLDER)]
