"""What ssh is told of a machine. OpenSSH itself reads it here: `ssh -G` says what it understands, `ssh-keygen -F` whom."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from doubles.memory import MemoryTarget
from doubles.site import Operator, Site

from kube_provision_core import hookimpl
from kube_provision_core.contract.errors import ConfigError, KubeProvisionError, TargetError
from kube_provision_core.contract.machines import Cluster, Endpoint, Power, Vm
from kube_provision_core.verbs import ssh
from kube_provision_core.verbs.asking import Told

pytestmark = pytest.mark.usefixtures("look_often")

NAME = "w-prod-1"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "100% of it")
    site.provision()
    return site


@pytest.fixture
def keys(tmp_path: Path) -> list[str]:
    """Of a machine, as its SSH server made them."""
    for kind in ("ed25519", "ecdsa", "rsa"):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "root@host", "-f", tmp_path / kind], check=True)
    return [(tmp_path / f"{kind}.pub").read_text() for kind in ("ed25519", "ecdsa", "rsa")]


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Have machines tell this, and note who was asked."""

    def tell(text: str) -> list[str]:
        asked: list[str] = []

        def ask(session: object, verb: str, node: str, *rest: object) -> Told:
            asked.append(node)
            return Told(text.encode(), 0, 0)

        monkeypatch.setattr("kube_provision_core.verbs.ssh.ask", ask)
        return asked

    return tell


def way(site: Site, name: str = NAME, login: str | None = None, **keys: object) -> ssh.Way:
    with site.session(**keys) as session:
        return ssh.way(session, name, login)


def learn(site: Site, name: str = NAME) -> None:
    with site.session() as session:
        ssh.learn_host_keys(session, name, ssh.way(session, name, None), Operator(site))


def words(site: Site, *command: str, accept_new: bool = False, login: str | None = None) -> tuple[str, ...]:
    with site.session() as session:
        return ssh.command_line(session, ssh.way(session, NAME, login), command, accept_new=accept_new)


def understood(line: Sequence[str]) -> dict[str, str]:
    """By OpenSSH, without a word of this host's own settings."""
    said = subprocess.run([line[0], "-G", "-F", "none", *line[1:]], capture_output=True, text=True, check=True).stdout
    return dict(text.split(" ", 1) for text in said.splitlines() if " " in text)


def known(site: Site, alias: str) -> list[str]:
    """Keys that OpenSSH knows by that name."""
    assert site.folder
    command = ["ssh-keygen", "-F", alias, "-f", str(site.folder.known_hosts)]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return [line.partition(" ")[2] for line in said.splitlines() if not line.startswith("#")]


def test_keys_that_a_machine_has_told_are_known_and_it_is_asked_once(site: Site, keys: list[str], tell) -> None:
    asked = tell("".join(keys))
    assert not way(site).known
    learn(site)
    found = way(site)
    assert (found.known, asked) == (True, [NAME])
    assert known(site, found.alias) == [key.rsplit(" ", 1)[0] for key in keys]
    assert site.folder
    assert stat.S_IMODE(site.folder.known_hosts.stat().st_mode) == 0o600


def test_a_machine_that_was_made_anew_is_another_and_its_predecessors_keys_go(site: Site, keys: list[str], tell) -> None:
    tell(keys[0])
    learn(site)
    learn(site, "w-prod-2")
    old = way(site).alias
    vm = site.world.vms[NAME]
    assert vm.stamp
    site.world.vms[NAME] = replace(vm, stamp=replace(vm.stamp, instance="another"))
    assert not way(site).known
    learn(site)
    assert (known(site, old), way(site).known, way(site, "w-prod-2").known) == ([], True, True)


def test_ssh_knows_the_cluster_alone_and_accepts_nobody_else(site: Site, keys: list[str], tell) -> None:
    tell(keys[0])
    learn(site)
    told = understood(words(site, accept_new=True))
    assert site.folder
    assert (told["hostname"], told["port"]) == (way(site).at.host, "22")
    assert told["stricthostkeychecking"] == "true"
    assert told["userknownhostsfile"].replace("%%", "%").strip('"') == str(site.folder.known_hosts)
    assert told["globalknownhostsfile"] == "/dev/null"
    assert told["hostkeyalias"] == way(site).alias


def test_one_that_has_told_none_is_taken_by_the_users_own_rules_where_that_is_said(site: Site) -> None:
    told = understood(words(site, accept_new=True))
    assert told["stricthostkeychecking"] == "accept-new"
    assert "hostkeyalias" not in told
    assert understood(words(site))["stricthostkeychecking"] == "true"


def test_a_command_follows_the_machine_as_it_is(site: Site) -> None:
    line = words(site, "ls", "-l", login="me")
    assert line[-3:] == (way(site).at.host, "ls", "-l")
    assert understood(line)["user"] == "me"


def test_who_logs_in_is_said_or_the_first_user_that_a_key_lets_in(site: Site) -> None:
    users = [{"name": "nobodys"}, {"name": "ops", "ssh_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ"]}]
    assert way(site).login == ""
    assert way(site, users=users).login == "ops"
    assert way(site, login="me", users=users).login == "me"


class Forwarded(MemoryTarget):
    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        return [replace(vm, reach={22: Endpoint("127.0.0.1", 20022)}) for vm in super().list_vms(cluster)]


class Addressless(MemoryTarget):
    @hookimpl
    def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
        return [replace(vm, addresses=(), notice="card 1 is not connected") for vm in super().list_vms(cluster)]


def test_a_machine_that_is_reached_elsewhere_is_found_there(site: Site) -> None:
    site.target = Forwarded
    told = understood(words(site))
    assert (told["hostname"], told["port"]) == ("127.0.0.1", "20022")


# --- what cannot be -----------------------------------------------------------------------------------------------------


def refused(site: Site, name: str = NAME) -> KubeProvisionError:
    with pytest.raises(KubeProvisionError) as raised:
        way(site, name)
    return raised.value


def test_one_that_is_off_lets_nobody_in(site: Site) -> None:
    site.world.vms[NAME] = replace(site.world.vms[NAME], power=Power.OFF)
    assert str(refused(site)) == "w-prod-1 is off, and nobody can log in there: start it"
    assert refused(site).exit_code == 2


def test_one_without_an_address_says_why(site: Site) -> None:
    site.target = Addressless
    assert str(refused(site)) == "w-prod-1: its address is not known (card 1 is not connected)"


def test_what_is_no_machine_is_named_with_those_that_are(site: Site, tmp_path: Path) -> None:
    line = "x: no machine of cluster prod; its machines are consul-prod, m-prod-1, m-prod-2, m-prod-3, w-prod-1, w-prod-2"
    assert str(refused(site, "x")) == line
    assert str(refused(Site(tmp_path / "none"), "x")) == "x: no machine of cluster prod; it has none"
    assert isinstance(refused(site, "x"), ConfigError)


@pytest.mark.parametrize("text", ["", "cat: /etc/ssh/ssh_host_*_key.pub: No such file or directory", "x\nevil ssh-rsa A\n"])
def test_one_that_tells_no_key_is_not_known(site: Site, tell, text: str) -> None:
    tell(text)
    with pytest.raises(TargetError, match=r"^w-prod-1 has told no host key, as one does that runs no SSH server$"):
        learn(site)
    assert not way(site).known
