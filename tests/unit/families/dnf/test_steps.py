"""The smaller steps, run: by the tools themselves where a host has them, else by stand-ins that say what they were asked."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from servers.debian import install, require, unpacked

from kube_provision_centos.driver import CentOS
from kube_provision_core import BootFragment, Cluster, DnfConfig, Packages, Role, Stage
from kube_provision_core.testing import cluster_of, node_of

Run = Callable[..., subprocess.CompletedProcess[str]]

POLICY = """
(handleunknown allow) (mls true) (sid kernel) (sidorder (kernel))
(sensitivity s0) (sensitivityorder (s0)) (category c0) (categoryorder (c0)) (sensitivitycategory s0 (c0))
(class file (create)) (classorder (file))
(user system_u) (role system_r) (role object_r) (userrole system_u system_r) (userlevel system_u (s0))
(userrange system_u ((s0)(s0)))
(type unconfined_service_t) (type var_run_t) (type httpd_var_run_t) (roletype system_r unconfined_service_t)
(allow unconfined_service_t var_run_t (file (create)))
(sidcontext kernel (system_u system_r unconfined_service_t ((s0)(s0))))
"""
"""The smallest policy that has the types of the module; CentOS' own has them all."""


def driver(**keys: object) -> CentOS:
    return CentOS(dict.fromkeys(Role, DnfConfig.model_validate(keys)))


def rendered(role: Role = Role.WORKER, cluster: Cluster | None = None, **keys: object) -> BootFragment:
    return driver(**keys).render_boot(node_of("x-1", role), cluster or cluster_of())


def installed(*components: str) -> Packages:
    return driver().os_packages(frozenset(components), {"kubeadm": "1.36.4"}, {}, frozenset())


def script(part: BootFragment | Packages, name: str) -> str:
    (found,) = (step.script for step in part.steps if step.name == name)
    return found


@pytest.fixture
def stand_in(tmp_path: Path) -> Callable[[str, str], None]:
    """A function that puts a program on the PATH of the steps: its name and its shell script."""

    def stand_in(name: str, text: str) -> None:
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{tmp_path}/asked\n{text}\n')
        path.chmod(0o755)

    return stand_in


@pytest.fixture(autouse=True)
def _kernel_of_its_own(stand_in: Callable[[str, str], None]) -> None:
    """Wherever these tests run."""
    stand_in("systemd-detect-virt", "exit 1")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A function that runs a script on a root folder of its own, with stand-ins before the host's programs."""

    def run(text: str) -> subprocess.CompletedProcess[str]:
        script = text.replace("/etc/", f"{tmp_path}/etc/")
        environment = {"PATH": f"{tmp_path}/bin:{os.environ['PATH']}:/usr/sbin:/sbin", "LC_ALL": "C"}
        command = ["bash", "-euo", "pipefail", "-c", script]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)

    return run


def write(root: Path, path: str, text: str) -> Path:
    file = root / path.lstrip("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def asked(root: Path) -> list[str]:
    log = root / "asked"
    return log.read_text().splitlines() if log.exists() else []


# --- release --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("system", "version", "code"),
    [
        ("centos", "9", 0),
        ("centos", "10", 0),
        ("centos", "10.1", 0),
        ("centos", "8", 1),
        ("centos", "90", 1),
        ("rhel", "9", 1),
        ("ubuntu", "24.04", 1),
    ],
)
def test_another_system_is_refused_with_a_diagnosis(run: Run, tmp_path: Path, system: str, version: str, code: int) -> None:
    write(tmp_path, "/etc/os-release", f'ID="{system}"\nVERSION_ID="{version}"\nPRETTY_NAME="{system} {version}"\n')
    fragment = rendered()
    assert [(step.stage, step.attempts) for step in fragment.steps if step.name == "release"] == [(Stage.PREPARE, 1)]
    ran = run(script(fragment, "release"))
    assert ran.returncode == code, ran.stderr
    assert (f"the template runs {system} {version}, not centos 9 10" in ran.stderr) == bool(code)


# --- kernel modules -------------------------------------------------------------------------------------------------


def test_a_kernel_that_has_all_modules_costs_nothing(run: Run, tmp_path: Path, stand_in: Callable[[str, str], None]) -> None:
    stand_in("modprobe", "exit 0")
    stand_in("dnf", "exit 0")
    assert run(script(installed("kubeadm"), "kernel-modules")).returncode == 0
    assert not [line for line in asked(tmp_path) if line.startswith("dnf")]


def test_missing_modules_are_installed_for_the_running_kernel(
    run: Run, tmp_path: Path, stand_in: Callable[[str, str], None]
) -> None:
    stand_in("uname", "echo 6.12.0-1.el10.x86_64")
    stand_in("modprobe", f"test -e {tmp_path}/extra")
    stand_in("dnf", f"touch {tmp_path}/extra")
    ran = run(script(installed("kubeadm"), "kernel-modules"))
    assert ran.returncode == 0, ran.stderr
    (install,) = (line for line in asked(tmp_path) if line.startswith("dnf"))
    assert install.endswith("install kernel-modules-6.12.0-1.el10.x86_64 kernel-modules-extra-6.12.0-1.el10.x86_64")


def test_a_kernel_whose_modules_cannot_be_had_is_named(run: Run, stand_in: Callable[[str, str], None]) -> None:
    stand_in("uname", "echo 6.12.0-1.el10.x86_64")
    stand_in("modprobe", 'test "$3" != br_netfilter')
    stand_in("dnf", "echo 'Error: Unable to find a match'; exit 1")
    ran = run(script(installed("kubeadm"), "kernel-modules"))
    assert ran.returncode == 1
    assert "the template's kernel 6.12.0-1.el10.x86_64 has no modules br_netfilter, and dnf brings none" in ran.stderr


def test_what_dnf_says_of_missing_modules_is_not_lost(run: Run, stand_in: Callable[[str, str], None]) -> None:
    stand_in("modprobe", "exit 1")
    stand_in("dnf", "echo 'Curl error (60): SSL certificate problem'; echo 'Error: Failed to download metadata' >&2; exit 1")
    ran = run(script(installed("kubeadm"), "kernel-modules"))
    assert "Curl error (60): SSL certificate problem" in ran.stdout
    assert "and dnf brings none (Error: Failed to download metadata): install" in ran.stderr.splitlines()[-1]


def test_modules_that_no_package_has_are_named(run: Run, stand_in: Callable[[str, str], None]) -> None:
    stand_in("modprobe", 'test "$3" != br_netfilter')
    stand_in("dnf", "echo Complete!")
    ran = run(script(installed("kubeadm"), "kernel-modules"))
    assert ran.returncode == 1
    assert "has no modules br_netfilter: install" in ran.stderr


def test_a_container_brings_the_kernel_of_its_host_no_modules(
    run: Run, tmp_path: Path, stand_in: Callable[[str, str], None]
) -> None:
    stand_in("systemd-detect-virt", 'test "$*" = "--quiet --container"')
    stand_in("modprobe", "exit 1")
    stand_in("dnf", "exit 1")
    ran = run(script(installed("kubeadm"), "kernel-modules"))
    assert (ran.returncode, ran.stderr) == (0, "")
    assert not [line for line in asked(tmp_path) if line.startswith("dnf")]


# --- kube-proxy -----------------------------------------------------------------------------------------------------

INIT = "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: iptables\n"


@pytest.mark.parametrize(
    ("version", "mode"), [("9", "iptables"), ("9.6", "iptables"), ("10", "nftables"), ("10.1", "nftables")]
)
def test_kube_proxys_mode_is_what_the_release_can_do(run: Run, tmp_path: Path, version: str, mode: str) -> None:
    write(tmp_path, "/etc/os-release", f"ID=centos\nVERSION_ID={version}\n")
    configuration = write(tmp_path, "/etc/kube-provision/kubeadm-init.yaml", INIT)
    configuration.chmod(0o600)
    for _ in range(2):
        ran = run(script(installed("kubeadm"), "kube-proxy"))
        assert ran.returncode == 0, ran.stderr
    assert yaml.safe_load(configuration.read_text())["mode"] == mode
    assert configuration.stat().st_mode & 0o777 == 0o600


def test_a_machine_that_only_joins_has_no_mode_to_set(run: Run, tmp_path: Path) -> None:
    write(tmp_path, "/etc/os-release", "ID=centos\nVERSION_ID=10\n")
    assert run(script(installed("kubeadm"), "kube-proxy")).returncode == 0


def test_a_configuration_without_a_mode_is_not_passed_over(run: Run, tmp_path: Path) -> None:
    write(tmp_path, "/etc/os-release", "ID=centos\nVERSION_ID=10\n")
    write(tmp_path, "/etc/kube-provision/kubeadm-init.yaml", "kind: InitConfiguration\n")
    assert run(script(installed("kubeadm"), "kube-proxy")).returncode == 1


def test_a_cluster_without_kube_proxy_has_no_mode_to_set(run: Run, tmp_path: Path) -> None:
    write(tmp_path, "/etc/os-release", "ID=centos\nVERSION_ID=10\n")
    none = "kind: ClusterConfiguration\nproxy:\n  disabled: true\n"
    configuration = write(tmp_path, "/etc/kube-provision/kubeadm-init.yaml", none)
    ran = run(script(installed("kubeadm"), "kube-proxy"))
    assert (ran.returncode, configuration.read_text()) == (0, none)


# --- Calico ---------------------------------------------------------------------------------------------------------

ENABLED = "set env daemonset/calico-node --containers=calico-node FELIX_NFTABLESMODE=Enabled"


@pytest.mark.parametrize(
    ("mode", "variables", "changed"),
    [
        ("nftables", "DATASTORE_TYPE WAIT_FOR_DATASTORE", True),
        ("nftables", "DATASTORE_TYPE FELIX_NFTABLESMODE WAIT_FOR_DATASTORE", False),
        ("nftables", "", False),
        ("iptables", "DATASTORE_TYPE WAIT_FOR_DATASTORE", False),
        ("", "", False),
    ],
    ids=["of its own", "configured by somebody", "another network plugin", "iptables", "no kube-proxy"],
)
def test_calico_filters_with_what_kube_proxy_uses(
    run: Run, tmp_path: Path, stand_in: Callable[[str, str], None], mode: str, variables: str, changed: bool
) -> None:
    write(tmp_path, "/proxy", f"kind: KubeProxyConfiguration\nmetricsBindAddress: ''\nmode: {mode}\n" if mode else "")
    answers = f"*configmap*) cat {tmp_path}/proxy ;; *jsonpath*) printf %s '{variables}' ;;"
    stand_in("kubectl", f'case "$*" in {answers} esac')
    ran = run(script(rendered(Role.MASTER), "calico"))
    assert ran.returncode == 0, ran.stderr
    assert [line for line in asked(tmp_path) if line.endswith(ENABLED)] == asked(tmp_path)[2:]
    assert (len(asked(tmp_path)) == 3) == changed


def test_a_cluster_that_does_not_answer_is_asked_again(run: Run, stand_in: Callable[[str, str], None]) -> None:
    stand_in("kubectl", "echo 'Unable to connect to the server' >&2; exit 1")
    ran = run(script(rendered(Role.MASTER), "calico"))
    assert ran.returncode == 1
    assert "Unable to connect to the server" in ran.stderr


@pytest.mark.parametrize(("role", "steps"), [(Role.MASTER, 1), (Role.WORKER, 0), (Role.DISCOVERY, 0)])
def test_masters_alone_see_to_calico_when_its_manifest_is_applied(role: Role, steps: int) -> None:
    assert [step.stage for step in rendered(role).steps if step.name == "calico"] == [Stage.FINISH] * steps


# --- NetworkManager -------------------------------------------------------------------------------------------------


@pytest.mark.integration
def test_network_manager_leaves_calicos_devices_alone_besides_those_it_left_before(tmp_path: Path) -> None:
    install("libjansson4", "libndp0", "libnm0")
    binary = unpacked("network-manager") / "usr/sbin/NetworkManager"
    folder = tmp_path / "etc/NetworkManager/conf.d"
    write(tmp_path, f"{folder.relative_to(tmp_path)}/10-site.conf", "[keyfile]\nunmanaged-devices=interface-name:eth9\n")
    deliver(tmp_path, rendered())
    for name in ("main", "intern"):
        (tmp_path / name).touch()
    (tmp_path / "lib").mkdir()
    options = [f"--config={tmp_path}/main", f"--config-dir={folder}", f"--system-config-dir={tmp_path}/lib"]
    command = [str(binary), *options, f"--intern-config={tmp_path}/intern", "--print-config"]
    printed = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert printed.returncode == 0, printed.stderr
    (line,) = (line for line in printed.stdout.splitlines() if line.startswith("unmanaged-devices="))
    left = set(line.partition("=")[2].split(","))
    assert left >= {f"interface-name:{name}" for name in ("eth9", "cali*", "tunl*", "vxlan.calico", "wireguard.cali")}


@pytest.mark.parametrize(("running", "reloads"), [(0, 1), (3, 0)])
def test_a_running_network_manager_is_told(
    run: Run, tmp_path: Path, stand_in: Callable[[str, str], None], running: int, reloads: int
) -> None:
    stand_in("systemctl", f'case "$1" in is-active) exit {running} ;; esac')
    assert run(script(rendered(), "network-manager")).returncode == 0
    assert len([line for line in asked(tmp_path) if line.startswith("systemctl reload")]) == reloads


def test_the_discovery_machine_has_no_pods_network() -> None:
    fragment = rendered(Role.DISCOVERY)
    assert not [step for step in fragment.steps if step.name == "network-manager"]
    assert not [file for file in fragment.files if "NetworkManager" in file.path]


# --- SELinux --------------------------------------------------------------------------------------------------------


def test_selinux_stays_as_it_is_and_lets_the_proxy_connect(
    run: Run, tmp_path: Path, stand_in: Callable[[str, str], None]
) -> None:
    for program in ("selinuxenabled", "setsebool", "semodule", "setenforce"):
        stand_in(program, "exit 0")
    assert run(script(installed("tcp-proxy"), "selinux")).returncode == 0
    assert asked(tmp_path) == [
        "selinuxenabled ",
        "setsebool -P httpd_can_network_connect on",
        f"semodule --install {tmp_path}/etc/kube-provision/selinux/kube_provision.cil",
    ]


def test_a_system_without_selinux_needs_nothing(run: Run, tmp_path: Path, stand_in: Callable[[str, str], None]) -> None:
    stand_in("selinuxenabled", "exit 1")
    assert run(script(installed("tcp-proxy"), "selinux")).returncode == 0
    assert asked(tmp_path) == ["selinuxenabled "]


@pytest.mark.integration
def test_selinuxs_own_compiler_accepts_the_module(tmp_path: Path) -> None:
    require("secilc")
    (module,) = (str(file.content) for file in installed("tcp-proxy").files if file.path.endswith(".cil"))
    (tmp_path / "base.cil").write_text(POLICY)
    (tmp_path / "module.cil").write_text(module)
    command = ["secilc", "--output=policy", "--filecontext=contexts", "base.cil", "module.cil"]
    compiled = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert compiled.returncode == 0, compiled.stdout + compiled.stderr


# --- firewalld ------------------------------------------------------------------------------------------------------


@pytest.fixture
def firewall(tmp_path: Path, stand_in: Callable[[str, str], None]) -> Path:
    """The configuration of a firewalld that is not running, for its own tool."""
    install("python3-firewall", "python3-nftables")
    package = unpacked("firewalld")
    folder = tmp_path / "etc/firewalld"
    for part in ("services", "zones", "policies", "icmptypes", "ipsets", "helpers"):
        (folder / part).mkdir(parents=True)
    configuration = f"--default-config {package}/usr/lib/firewalld --system-config {folder}"
    tool = f'exec /usr/bin/python3 {package}/usr/bin/firewall-offline-cmd {configuration} "$@"'
    stand_in("firewall-offline-cmd", tool)
    stand_in("systemctl", "exit 3")
    return folder


def deliver(root: Path, part: BootFragment | Packages) -> None:
    for file in part.files:
        write(root, file.path, str(file.content))


def opened(run: Run, name: str) -> set[str]:
    (ports,) = (
        line.split(":")[1].split()
        for line in run(f"firewall-offline-cmd --info-service={name}").stdout.splitlines()
        if line.strip().startswith("ports:")
    )
    return set(ports)


@pytest.mark.integration
@pytest.mark.parametrize(
    ("role", "ports"),
    [
        (Role.MASTER, {"6443/tcp", "2379-2380/tcp", "10250/tcp", "10257/tcp", "10259/tcp", "179/tcp", "4789/udp"}),
        (Role.WORKER, {"10250/tcp", "10256/tcp", "30000-32767/tcp", "30000-32767/udp", "179/tcp", "4789/udp"}),
        (Role.DISCOVERY, {"8300/tcp", "8500/tcp", "8501/tcp"}),
    ],
)
def test_firewalld_opens_the_ports_of_the_role_and_those_asked_for(
    run: Run, tmp_path: Path, firewall: Path, role: Role, ports: set[str]
) -> None:
    fragment = rendered(role, firewall_ports=["8285/udp"])
    deliver(tmp_path, fragment)
    deliver(tmp_path, installed("consul"))
    for _ in range(2):
        ran = run(script(fragment, "firewall"))
        assert ran.returncode == 0, ran.stderr
    assert opened(run, "kube-provision") >= {*ports, "8285/udp"}
    assert opened(run, "kube-provision-consul") == {"8301/tcp", "8301/udp"}
    services = run("firewall-offline-cmd --zone=public --list-services").stdout.split()
    assert {"kube-provision", "kube-provision-consul", "ssh"} <= set(services)
    checked = run("firewall-offline-cmd --check-config")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.integration
def test_firewalld_opens_a_servers_ports_on_masters_that_are_the_service(run: Run, tmp_path: Path, firewall: Path) -> None:
    cluster = replace(cluster_of(), discovery_on_masters=True, discovery_by_majority=True)
    for role, open_ in ((Role.MASTER, True), (Role.WORKER, False)):
        deliver(tmp_path, rendered(role, cluster))
        assert ({"8300/tcp", "8501/tcp"} <= opened(run, "kube-provision")) is open_


@pytest.mark.integration
@pytest.mark.parametrize("networks", ["10.244.0.0/16", "10.244.0.0/16,fd00:10:244::/56"])
def test_firewalld_trusts_the_pods_networks(run: Run, tmp_path: Path, firewall: Path, networks: str) -> None:
    deliver(tmp_path, rendered(Role.WORKER, replace(cluster_of(), pod_subnet=networks)))
    assert run("firewall-offline-cmd --zone=kube-pods --list-sources").stdout.split() == networks.split(",")
    policy = run("firewall-offline-cmd --info-policy=from-kube-pods").stdout
    assert "target: ACCEPT" in policy
    assert "ingress-zones: kube-pods" in policy


def test_a_running_firewall_is_told_at_once(run: Run, tmp_path: Path, stand_in: Callable[[str, str], None]) -> None:
    for program in ("firewall-offline-cmd", "firewall-cmd", "systemctl"):
        stand_in(program, "echo public")
    write(tmp_path, "/etc/firewalld/services/kube-provision.xml", "")
    assert run(script(rendered(), "firewall")).returncode == 0
    assert asked(tmp_path)[-1] == "firewall-cmd --reload"


def test_a_sites_authorities_take_the_place_of_earlier_ones(
    run: Run, stand_in: Callable[[str, str], None], tmp_path: Path
) -> None:
    anchors, folder = tmp_path / "etc/pki/ca-trust/source/anchors", tmp_path / "etc/kube-provision/the site's"
    stand_in("update-ca-trust", "")
    for path, text in {
        anchors / "kube-provision-9.crt": "old",
        anchors / "own.crt": "own",
        folder / "kube-provision-1.crt": "new",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    step = driver().trust_authorities("/etc/kube-provision/the site's")
    assert step.stage is Stage.PREPARE
    for _ in range(2):
        run(step.script)
    assert {path.name: path.read_text() for path in anchors.iterdir()} == {"kube-provision-1.crt": "new", "own.crt": "own"}
    assert (tmp_path / "asked").read_text() == "update-ca-trust extract\n" * 2
