"""What users add to a machine arrives there; what cannot be used says which key and which file."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_provision_core import Boot, BootError, Cluster, Node, Role, Stage
from kube_provision_core.boot.script import ScriptPart
from kube_provision_core.folder.pki import JoinSecrets

Render = Callable[..., Boot]
Content = Callable[[Boot, str], str]


def cloud_config(rendered: Boot) -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(rendered.user_data)
    return values


def steps(rendered: Boot, stage: Stage) -> list[str]:
    """Names of the script part's steps of a stage, in running order."""
    listed = next(file for file in rendered.files if file.path == "/etc/kube-provision/steps.json")
    return [
        f"{step['plugin']}-{step['name']}"
        for step in yaml.safe_load(str(listed.content))
        if step["stage"] == stage and step["plugin"] in ("script", "core")
    ]


# --- files and templates -------------------------------------------------------------------------------------------


def test_files_are_delivered_byte_by_byte(render: Render, tmp_path: Path) -> None:
    (tmp_path / "logo").write_bytes(b"\x89PNG\0\xff")
    rendered = render(files={"/srv/logo": tmp_path / "logo"})
    assert next(file for file in rendered.files if file.path == "/srv/logo").content == b"\x89PNG\0\xff"


def test_the_longer_form_says_owner_and_mode(render: Render, content: Content, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim")
    source = {"source": tmp_path / "token", "owner": "app:app", "mode": "0640"}
    rendered = render(files={"/srv/token": source, "/srv/user": source | {"owner": "app"}})
    file = next(file for file in rendered.files if file.path == "/srv/token")
    assert (file.mode, file.owner) == (0o640, "app:app")
    assert steps(rendered, Stage.INSTALL) == ["core-ownership"]
    assert "chown app:app /srv/token\nchown app: /srv/user\n" in content(rendered, "20-install/core-ownership.sh")
    assert "owner" not in str([entry for entry in cloud_config(rendered)["write_files"] if entry["path"] == "/srv/token"])


def test_a_file_that_only_its_owner_reads_is_secret(render: Render, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("geheim")
    rendered = render(files={"/srv/token": {"source": tmp_path / "token", "mode": "0400"}})
    assert next(file for file in rendered.files if file.path == "/srv/token").secret


def test_templates_see_the_node_the_cluster_and_the_variables(render: Render, content: Content, tmp_path: Path) -> None:
    (tmp_path / "part.j2").write_text("{{ env_vars.SITE }}")
    (tmp_path / "motd.j2").write_text("{{ node.name }} {{ node.role }} {{ cluster.name }} {% include 'part.j2' %}\n")
    rendered = render(templates={"/etc/motd": tmp_path / "motd.j2"}, env_vars={"SITE": "north"})
    assert content(rendered, "/etc/motd") == "m-prod-1 master prod north\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{{ nod.name }}", "'nod' is undefined"),
        ("{{ node.nam }}", "has no attribute 'nam'"),
        ("one\n{% if %}", ":2: Expected an expression"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% include 'gone.j2' %}", "gone.j2"),
    ],
)
def test_a_template_that_cannot_be_rendered_says_which(render: Render, tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "motd.j2").write_text(text)
    with pytest.raises(BootError) as caught:
        render(templates={"/etc/motd": tmp_path / "motd.j2"})
    assert str(caught.value).startswith(f"templates: /etc/motd: {tmp_path}/motd.j2")
    assert said in str(caught.value)


def test_a_template_that_is_no_text_says_so(render: Render, tmp_path: Path) -> None:
    (tmp_path / "motd.j2").write_bytes(b"ab\xff")
    with pytest.raises(BootError, match=r"templates: /etc/motd: .*: is not UTF-8 text \(byte 2\)"):
        render(templates={"/etc/motd": tmp_path / "motd.j2"})


def test_all_files_that_are_gone_by_now_are_told_at_once(
    configure: Callable[..., Any], make_node: Callable[..., Node], cluster: Cluster, secrets: JoinSecrets, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).touch()
    part = ScriptPart(configure(files={f"/srv/{name}": tmp_path / name for name in ("a", "b")}).by_role)
    for name in ("a", "b"):
        (tmp_path / name).unlink()
    with pytest.raises(BootError) as caught:
        part.render_boot(make_node(), cluster, secrets)
    assert str(caught.value).splitlines() == [
        f"files: /srv/{name}: {tmp_path}/{name}: cannot be read: No such file or directory" for name in ("a", "b")
    ]


def test_a_workers_own_file_may_hold_no_private_key_either(
    render: Render, make_node: Callable[..., Node], tmp_path: Path
) -> None:
    (tmp_path / "key").write_text("-----BEGIN PRIVATE KEY-----\n")
    with pytest.raises(BootError, match="/srv/key: plugin script puts a private key"):
        render(make_node(Role.WORKER), files={"/srv/key": tmp_path / "key"})


# --- commands, packages, variables -----------------------------------------------------------------------------------


def test_commands_run_before_after_and_at_the_end(render: Render, content: Content) -> None:
    rendered = render(pre_commands=["cd /srv", "touch a"], commands=["echo joined"], phone_home=["echo done"])
    assert steps(rendered, Stage.PREPARE) == ["script-pre-commands"]
    assert steps(rendered, Stage.FINISH) == ["script-commands", "script-phone-home"]
    assert content(rendered, "script-pre-commands.sh").endswith("cd /srv\ntouch a\n")


def test_packages_are_installed_with_the_rest(render: Render, content: Content) -> None:
    assert " htop)" in content(render(packages=["htop"]), "ubuntu-packages.sh")


def test_variables_reach_steps_and_logins(render: Render, content: Content) -> None:
    rendered = render(env_vars={"SITE": "the north's $1"})
    assert content(rendered, "/etc/kube-provision/environment") == "SITE='the north'\"'\"'s $1'\n"
    assert content(rendered, "/etc/profile.d/kube-provision.sh") == "export SITE='the north'\"'\"'s $1'\n"
    assert "EnvironmentFile=-/etc/kube-provision/environment" in content(
        rendered, "/etc/systemd/system/kube-provision.service"
    )


def test_a_variable_of_several_lines_is_refused(render: Render) -> None:
    with pytest.raises(BootError, match="env_vars: SITE: must be one line"):
        render(env_vars={"SITE": "a\nb"})


def test_kernel_parameters_win_over_ours(render: Render, content: Content) -> None:
    rendered = render(sysctls={"vm.max_map_count": "262144"})
    assert content(rendered, "/etc/sysctl.d/90-kube-provision-user.conf") == "vm.max_map_count = 262144\n"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.absent.of_a_module", "net/absent/of_a_module"),
        ("net/absent/of_a_module", "net/absent/of_a_module"),
        ("net.ipv4.conf.eth0/100.forwarding", "net/ipv4/conf/eth0.100/forwarding"),
        ("net/ipv4/conf/eth0.100/forwarding", "net/ipv4/conf/eth0.100/forwarding"),
    ],
)
def test_kernel_parameters_of_a_module_that_comes_later_are_set_then(
    render: Render, content: Content, name: str, path: str
) -> None:
    """Run by a kernel that has neither the module nor the network card."""
    rendered = render(sysctls={name: "1", "net.ipv4.ip_forward": "1"})
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sysctl.conf"
        file.write_text(content(rendered, "/etc/sysctl.d/90-kube-provision-user.conf"))
        script = content(rendered, "script-sysctls.sh").replace("/etc/sysctl.d/90-kube-provision-user.conf", str(file))
        command = ["unshare", "--map-root-user", "--net", "bash", "-c", f"{script}\ncat /proc/sys/net/ipv4/ip_forward"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "1\n")
    assert done.stderr == f"sysctls: /proc/sys/{path} does not exist yet: it is set when its module is loaded\n"
    rule = content(rendered, "/etc/udev/rules.d/90-kube-provision-sysctls.rules")
    assert 'SUBSYSTEM=="module"' in rule
    assert "systemd-sysctl /etc/sysctl.d/90-kube-provision-user.conf" in rule


def test_a_kernel_parameter_of_a_wrong_value_fails(render: Render, content: Content, tmp_path: Path) -> None:
    rendered = render(sysctls={"net.ipv4.ip_forward": "perhaps"})
    (tmp_path / "sysctl.conf").write_text(content(rendered, "/etc/sysctl.d/90-kube-provision-user.conf"))
    script = content(rendered, "script-sysctls.sh").replace(
        "/etc/sysctl.d/90-kube-provision-user.conf", f"{tmp_path}/sysctl.conf"
    )
    command = ["unshare", "--map-root-user", "--net", "bash", "-euo", "pipefail", "-c", script]
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0


# --- what cloud-init does --------------------------------------------------------------------------------------------


def test_users_come_beside_the_templates_own(render: Render) -> None:
    users = cloud_config(render(users=[{"name": "ann", "ssh_keys": ["ssh-ed25519 AAAA ann"]}, {"name": "bob"}]))["users"]
    assert users[0] == "default"
    assert users[1]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA ann"]
    assert "ssh_authorized_keys" not in users[2]


def test_the_time_zone_is_cloud_inits_to_set(render: Render) -> None:
    assert cloud_config(render(timezone="Europe/Berlin"))["timezone"] == "Europe/Berlin"


def test_raw_cloud_config_comes_last(render: Render, make_node: Callable[..., Node]) -> None:
    rendered = render(timezone="UTC", cloud_init={"timezone": "CET", "runcmd": ["true"]})
    assert cloud_config(rendered)["timezone"] == "CET"
    assert cloud_config(rendered)["runcmd"][-1] == "true"
    with pytest.raises(BootError, match="cloud_init: holds a private key"):
        render(make_node(Role.WORKER), cloud_init={"ssh_keys": {"rsa_private": "-----BEGIN RSA PRIVATE KEY-----"}})
