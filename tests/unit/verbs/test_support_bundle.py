"""A bundle of a cluster in memory, whose machines tell of all secrets that there are: none of them is in it."""

from __future__ import annotations

import base64
import json
import os
import re
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from doubles.member import Member, at_work, moved
from doubles.memory import MemoryTarget
from doubles.site import Operator, Site

from kube_provision_core import Cluster, NodeStatus, Power, Stage, TargetError, Vm, hookimpl
from kube_provision_core.engine.session import open_session
from kube_provision_core.folder.store import Folder
from kube_provision_core.verbs.asking import Told
from kube_provision_core.verbs.support_bundle import PROGRAMS, Bundle, collect

pytestmark = pytest.mark.usefixtures("look_often")

NODES = {"masters": 1, "workers": 1}
NAMES = ("m-prod-1", "w-prod-1")
UNITS = ("kube-provision", "kubelet", "containerd", "system")
LIMIT = 256 * 1024
"""Bytes that a machine may publish: none of what is planted is cut."""
PASSWORD, PROXY, LEAKED = "hush-hush-registry", "p@ss/of:proxy&co", "hush-of-an-environment"
KEY, NAMELESS, OF_CONTAINER = "hush-of-a-cloud", "hush-of-no-name", "hush-of-a-container"
GIVEN = {
    "registries": {"harbor.lan": {"username": "puller", "password": PASSWORD}},
    "http_proxy": "http://proxy.lan:3128",
    "proxy_username": "me",
    "proxy_password": PROXY,
    "env_vars": {"DB_PASSWORD": LEAKED, "AWS_SECRET_ACCESS_KEY": KEY, "GREETING": NAMELESS},
    "containers": [{"image": "a.lan/b:1", "service": "b", "env": {"GREETING": OF_CONTAINER}}],
    "commands": ["register --with hush-of-a-command"],
    "encryption_at_rest": True,
    **NODES,
}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path / "state")
    site.provision(**GIVEN)
    site.world.statuses = {name: NodeStatus(Stage.FINISH, "done") for name in site.world.vms}
    return site


def bundle(site: Site) -> Bundle:
    with open_session(site.config(**GIVEN), site.state) as session:
        return collect(session, site.state, Operator(site))


def folder(site: Site) -> Folder:
    assert site.folder
    return site.folder


def secrets(site: Site, members: dict[str, Member]) -> dict[str, str]:
    """All that docs/secrets.md tells of, and those of the configuration."""
    kept = folder(site)
    kept.write_kubeconfig("127.0.0.1")
    told = kept.read_kubeconfig()
    found = re.search(rb"client-key-data: *(\S+)", told or b"")
    assert found
    assert kept.encryption
    keys = {path: content.decode() for path, content in kept.pki.files.items() if path.endswith(".key")}
    machines = {f"the key of {name}": member.key for name, member in members.items()}
    return {
        **keys,
        **machines,
        "the key of Secrets": kept.encryption.key.secret,
        "their next one": kept.encryption.next.secret,
        "the kubeconfig's key": base64.b64decode(found.group(1)).decode(),
        "token": kept.token,
        "a token that was minted": "abcdef.0123456789abcdef",
        "certificate key": kept.certificate_key,
        **dict(kept.generated),
        "registry": PASSWORD,
        "proxy": PROXY,
        "environment": LEAKED,
        "a key of a cloud": KEY,
        "what has no name of a secret": NAMELESS,
        "environment of a container": OF_CONTAINER,
    }


def spellings(secret: str) -> list[str]:
    """As our programs write it: files, JSON of statuses, boot data, URLs of proxies, logins of registries."""
    content, encoded = secret.encode(), base64.b64encode(secret.encode()).decode()
    login = base64.b64encode(b"puller:" + content).decode()
    lines = [*secret.splitlines(), *textwrap.wrap(encoded, 76)]
    return [secret, json.dumps(secret), json.dumps(json.dumps(secret)), quote(secret, ""), encoded, login, *lines]


def pieces(secret: str) -> set[str]:
    """What must not be found anywhere: whole lines, and what is left of it in base64 wherever it began."""
    body = [line for line in secret.strip().splitlines() if not line.startswith("-----")]
    encoded = [base64.b64encode(bytes(before) + secret.strip().encode()).decode()[4:-4] for before in range(3)]
    inner = [it for it in encoded if len(it) >= 12]
    return {*body, quote(body[0], ""), json.dumps(body[0])[1:-1], *inner}


@pytest.fixture
def living(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Member]]:
    """Nodes that take what they are given."""
    stamps = {name: site.world.vms[name].stamp for name in NAMES}
    members = {
        name: Member(tmp_path / name, folder(site).pki, name=name, stamp=stamp) for name, stamp in stamps.items() if stamp
    }
    monkeypatch.setattr(MemoryTarget, "answer_limit", LIMIT, raising=False)
    monkeypatch.setattr("kube_provision_core.verbs.asking.asking", moved(tmp_path, LIMIT))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}")
    with at_work(site.world, members):
        yield members


def program(folder: Path, name: str, text: str) -> None:
    """One that writes the text."""
    (folder / "bin").mkdir(exist_ok=True)
    (folder / f"bin/{name}.txt").write_text(text)
    (folder / f"bin/{name}").write_text(f'#!/bin/sh\necho "$@"\ncat {folder}/bin/{name}.txt\n')
    (folder / f"bin/{name}").chmod(0o755)


def everything(found: Bundle) -> str:
    return "\n".join([*found.texts, *found.texts.values(), *found.missing])


def switch_off(site: Site) -> None:
    site.world.vms = {name: replace(vm, power=Power.OFF) for name, vm in site.world.vms.items()}


UNKNOWN = "hush-of-nobody-here"
"""A secret that nothing here knows, and what tells it."""
TELLING = (
    f"container &Container{{Name:web,Args:[--with {UNKNOWN}],WorkingDir:,Env:[]EnvVar{{EnvVar{{Name:A,Value:{UNKNOWN},"
    "ValueFrom:nil,},},Resources:ResourceRequirements{},} start failed in pod web_x(1): CreateContainerConfigError",
    f"DB_PASS={UNKNOWN}",
    f'{{"name": "AWS_SECRET_ACCESS_KEY", "value": "{UNKNOWN}"}}',
    f'err="{{\\"clientSecret\\": \\"{UNKNOWN}\\"}}"',
    f"http://me:{UNKNOWN}/{UNKNOWN}@proxy.lan",
)


def test_no_secret_that_there_is_is_in_it(site: Site, living: dict[str, Member], tmp_path: Path) -> None:
    planted = secrets(site, living)
    spelt = [spelling for secret in planted.values() for spelling in spellings(secret)]
    lines = [*TELLING, *(line for spelling in spelt for line in spelling.splitlines())]
    program(tmp_path, "journalctl", "".join(f"2026-11-29T11:00:00+0000 m-prod-1 sh[7]: said {line}\n" for line in lines))
    program(tmp_path, "crictl", "\n".join(lines))
    words = " ".join(spelt)
    site.world.statuses["consul-prod"] = NodeStatus(
        Stage.JOIN, "failed", error=words, diagnosis=words, cause=words, log=tuple(lines), step="join", attempt=1, attempts=5
    )
    found = bundle(site)
    text = "\n".join([*found.texts, *found.texts.values(), *found.missing])
    left = {title: piece for title, secret in planted.items() for piece in pieces(secret) if piece in text}
    assert left == {}
    assert UNKNOWN not in text
    assert "hush-of-a-command" not in text
    for path in (*(f"machines/{name}/{unit}.txt" for name in NAMES for unit in UNITS), "machines/consul-prod/why.json"):
        assert "(secret)" in found.texts[path]
        assert not [line for line in found.missing if path in line]


def test_it_holds_what_tells_of_the_cluster_and_says_what_was_cut_on_its_way(
    site: Site, living: dict[str, Member], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MemoryTarget, "answer_limit", 4096)
    monkeypatch.setattr("kube_provision_core.verbs.asking.asking", moved(tmp_path))
    program(tmp_path, "journalctl", "".join(f"{number * 7919 % 100003}\n" for number in range(9000)))
    found, name = bundle(site), NAMES[0]
    assert re.search(rf"machines/{name}/kubelet.txt: \d+ bytes before it, which had no room", "\n".join(found.missing))
    assert {path for path in found.texts if "/" not in path} == {
        "about.json", "certificates.json", "configuration.json", "missing.txt", "plan.json", "seen.json", "status.json",
    }  # fmt: skip
    of_it = {path.rpartition("/")[2] for path in found.texts if path.startswith(f"machines/{name}/")}
    assert of_it == {
        "containerd.txt", "kube-provision.txt", "kubelet.txt", "machine.json", "system.txt", "why.json",
    }  # fmt: skip
    assert "== uname -a\nLinux" in found.texts[f"machines/{name}/system.txt"]
    configuration = json.loads(found.texts["configuration.json"])["core"]["master"]
    assert configuration["registries"]["harbor.lan"]["username"] == "puller"
    assert configuration["proxy_password"] == "(secret)"
    assert configuration["commands"] == configuration["env_vars"] == "(left out)"
    about = json.loads(found.texts["about.json"])
    assert about["plugins"]["target memory"].startswith("tests")
    assert "arrange" in [it["action"] for it in json.loads(found.texts["plan.json"])["actions"]]
    assert site.world.tasks == {}


def test_what_a_machine_has_answered_to_a_task_is_left_out(site: Site) -> None:
    switch_off(site)
    site.world.statuses["w-prod-1"] = NodeStatus(Stage.FINISH, "done", task='{"result": "sealed"}')
    machine = json.loads(bundle(site).texts["machines/w-prod-1/machine.json"])
    assert (machine["status"]["state"], machine["status"]["task"]) == ("done", "")


def test_half_a_secret_at_which_a_text_was_cut_is_not_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    half = folder(site).certificate_key[30:].encode()
    cut = {unit: Told(half + b"\nwhole\n", 7, 0) for unit in PROGRAMS}
    monkeypatch.setattr("kube_provision_core.verbs.support_bundle.ask_each", lambda *_: {"w-prod-1": cut})
    found = bundle(site)
    assert found.texts["machines/w-prod-1/kubelet.txt"] == "whole\n"
    left_out = f"machines/w-prod-1/kubelet.txt: {7 + len(half) + 1} bytes before it, which had no room on their way"
    assert left_out in found.missing


def test_a_machine_that_says_one_word_without_end_keeps_nobody_waiting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {unit: Told(b"aB3" * 2**20 + b"\n", 0, 0) if unit == "tell-kubelet" else "silent" for unit in PROGRAMS}
    monkeypatch.setattr("kube_provision_core.verbs.support_bundle.ask_each", lambda *_: {"w-prod-1": told})
    assert bundle(site).texts["machines/w-prod-1/kubelet.txt"] == "(secret)\n"


def test_what_a_machine_was_too_slow_to_tell_is_said_to_be_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = {unit: Told(b"begun\n", 0, 124 if unit == "tell-system" else 0) for unit in PROGRAMS}
    monkeypatch.setattr("kube_provision_core.verbs.support_bundle.ask_each", lambda *_: {"w-prod-1": slow})
    found = bundle(site)
    assert found.texts["machines/w-prod-1/system.txt"] == "begun\n"
    said = [line for line in found.missing if "machines/w-prod-1/" in line and ".txt" in line]
    assert said == ["machines/w-prod-1/system.txt: what would have come after 60 s: it was ended"]


# --- a cluster that half works ---------------------------------------------------------------------------------------------


def test_a_machine_that_is_off_is_missing_in_one_line(site: Site) -> None:
    switch_off(site)
    found = bundle(site)
    (line,) = (line for line in found.missing if "w-prod-1" in line)
    assert line.startswith("machines/w-prod-1/kube-provision.txt, machines/w-prod-1/kubelet.txt")
    assert line.endswith("system.txt: the machine is off")
    assert json.loads(found.texts["machines/w-prod-1/machine.json"])["power"] == "off"
    assert found.texts["missing.txt"].splitlines() == list(found.missing)


def test_a_machine_that_takes_nothing_is_asked_once(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_core.verbs.asking.AT_ONCE", 0.3)
    found = bundle(site)
    (line,) = (line for line in found.missing if "w-prod-1" in line)
    assert "system.txt: not taken after" in line
    assert site.world.tasks == {}


def test_while_another_run_is_at_work_its_machines_are_left_to_it(site: Site) -> None:
    with Folder.lock(site.state, "prod"):
        found = bundle(site)
    (line,) = (line for line in found.missing if "journals" in line)
    assert "another run is at work on cluster prod (process" in line
    assert "status.json" in found.texts


def test_where_the_target_is_silent_the_rest_is_there(site: Site) -> None:
    class Silent(MemoryTarget):
        @hookimpl
        def list_vms(self) -> Sequence[Vm]:
            raise TargetError("vcenter.lan does not answer")

    site.target, site.address = Silent, "127.0.0.1"
    found = bundle(site)
    assert "machines: vcenter.lan does not answer" in found.missing
    assert "plan.json: vcenter.lan does not answer" in found.missing
    assert {"about.json", "configuration.json", "missing.txt", "seen.json"} == found.texts.keys()
    assert json.loads(found.texts["seen.json"])["discovery"]["initialised"] is False


def test_what_a_slow_target_takes_is_time_in_which_nobody_else_is_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(MemoryTarget):
        @hookimpl
        def list_vms(self, cluster: Cluster) -> Sequence[Vm]:
            time.sleep(0.5)
            return super().list_vms(cluster)

    switch_off(site)
    monkeypatch.setattr("kube_provision_core.verbs.support_bundle.QUESTIONS_SECONDS", 0.4)
    site.target = Slow
    found = bundle(site)
    assert "about.json: not asked any more: what was asked before has taken too long" in found.missing


@pytest.mark.parametrize("address", ["127.0.0.1", None])
def test_where_target_and_discovery_are_silent_it_is_there(site: Site, address: str | None) -> None:
    class Silent(MemoryTarget):
        @hookimpl
        def list_vms(self) -> Sequence[Vm]:
            raise TargetError("vcenter.lan does not answer")

    site.target, site.address, site.registry.silent = Silent, address, True
    found = bundle(site)
    assert ("discovery: 127.0.0.1 does not answer" in found.missing) == (address is not None)
    assert {"about.json", "configuration.json"} <= found.texts.keys()


def test_where_discovery_is_silent_the_rest_is_there(site: Site) -> None:
    switch_off(site)
    site.address, site.registry.silent = "127.0.0.1", True
    found = bundle(site)
    assert "discovery: 127.0.0.1 does not answer" in found.missing
    assert {"status.json", "machines/w-prod-1/why.json"} <= found.texts.keys()


def test_where_the_cluster_lives_and_no_master_answers_that_is_told(site: Site) -> None:
    switch_off(site)
    folder(site).mark_initialised()
    (folder(site).path / "kubeconfig").write_text("client-key-data: edited by hand\n")
    found = bundle(site)
    assert [line for line in found.missing if line.startswith("cluster/nodes.json: no master can be asked")]
    assert [line for line in found.missing if line.startswith("cluster/etcd.json: ")]
    assert "status.json" in found.texts


def test_a_cluster_that_was_never_made_has_a_bundle_too(tmp_path: Path) -> None:
    site = Site(tmp_path / "state")
    found = bundle(site)
    assert "cluster: its API is not asked: it is not initialised" in found.missing
    assert json.loads(found.texts["status.json"])["nodes"][0]["power"] == "missing"
    assert not site.state.exists()
