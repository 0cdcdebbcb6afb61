"""Templates: baked by a full clone of their source, exchanged in one step, and never taken from under their clones."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from servers.vmware import Vmware

from kube_provision_core import (
    Baked,
    Boot,
    Cluster,
    ConfigError,
    HostMemory,
    Image,
    Node,
    Power,
    Role,
    TargetError,
    Template,
)
from kube_provision_core import Machine as Size
from kube_provision_fusion import vmx
from kube_provision_fusion.baking import machine, mark
from kube_provision_fusion.baking.shelf import Shelf
from kube_provision_fusion.driver import Fusion
from kube_provision_fusion.power import PowerSwitch

MakeNode = Callable[..., Node]
MakeBoot = Callable[[Node], Boot]

ROLES = frozenset(Role)
SPEC = "aaaabbbbcccc"
SECRET = "a-proxys-password"
IMAGE = Image(SPEC, Boot(f"bake-{SPEC}", f"bake-{SPEC}", f"#cloud-config\n# {SECRET}\n"), "", Size(2, 4))
BAKED = Baked(SPEC, "2026-11-27T10:00:00Z", "Ubuntu 24.04", {"kubeadm": "1.36.4-1.1"}, ("registry.k8s.io/pause:3.10",))
NEWER = replace(BAKED, spec="ddddeeeeffff", date="2026-12-01T10:00:00Z")
NEWER_IMAGE = replace(IMAGE, spec=NEWER.spec)


@pytest.fixture
def driver(vmware: Vmware) -> Fusion:
    return baker(vmware)


def baker(vmware: Vmware, **keys: Any) -> Fusion:
    return vmware.driver(**{"template": str(template_of(vmware)), "bake_from": str(vmware.template), **keys})


def template_of(vmware: Vmware) -> Path:
    return vmware.vm_dir / "kube-1.36.vmwarevm" / "kube-1.36.vmx"


def only(driver: Fusion) -> Template:
    (template,) = driver.list_templates(roles=ROLES)
    return template


def versions(vmware: Vmware) -> list[Path]:
    """Folders of the template's versions, the oldest first."""
    return sorted(vmware.vm_dir.glob("kube-1.36.2*"))


def guest_is_done(vmware: Vmware, baked: Baked = BAKED) -> None:
    """What the script publishes at its end."""
    status = {"stage": "finish", "state": "done", "error": "", "baked": baked.document}
    vmware.publish("kube-1.36", **{"kube-provision.status": json.dumps(status)})


def bake(vmware: Vmware, driver: Fusion, image: Image = IMAGE, baked: Baked = BAKED) -> None:
    driver.bake_image(template=only(driver), image=image)
    guest_is_done(vmware, baked)
    driver.finish_image(template=only(driver))


def bake_again(vmware: Vmware, driver: Fusion) -> None:
    bake(vmware, driver, NEWER_IMAGE, NEWER)


def everything_in(folder: Path) -> bytes:
    return b"\n".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def test_a_template_that_does_not_exist_is_known_with_its_source(vmware: Vmware, driver: Fusion) -> None:
    file = template_of(vmware)
    assert only(driver) == Template(str(file), ROLES, source=str(vmware.template), where=str(file))


def test_each_template_is_listed_once_with_its_roles(vmware: Vmware) -> None:
    server = vmware.config(template=str(vmware.vm_dir / "server" / "server.vmx"))
    config = {role: server if role is Role.DISCOVERY else vmware.config() for role in Role}
    found = {Path(it.name).stem: it.roles for it in Fusion(config, vmware.host, vmware.limits).list_templates(roles=ROLES)}
    assert found == {"ubuntu_base": {Role.MASTER, Role.WORKER}, "server": {Role.DISCOVERY}}


class TestTheMachineThatBakes:
    def test_is_a_full_clone_of_the_source_beside_the_template(self, vmware: Vmware, driver: Fusion) -> None:
        assert driver.bake_image(template=only(driver), image=IMAGE) is True
        (version,) = versions(vmware)
        (clone,) = vmware.calls("clone")
        assert clone["argv"][3:6] == [str(vmware.template), str(version / "kube-1.36.vmx"), "full"]
        assert list(vmware.running()) == ["kube-1.36"]
        assert not os.path.lexists(template_of(vmware).parent)

    def test_has_its_size_and_boot_data(self, vmware: Vmware, driver: Fusion) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        config = vmware.running()["kube-1.36"]["config"]
        assert (config["numvcpus"], config["memsize"]) == ("2", "4096")
        assert vmware.boot_data_of(versions(vmware)[0] / "kube-1.36.vmx") == IMAGE.boot.user_data
        assert config["displayname"] == "kube-1.36.baking"

    def test_forgets_what_its_source_was(self, vmware: Vmware, driver: Fusion, node: MakeNode, boot: MakeBoot) -> None:
        made = vmware.driver().provision_vm(node=node(), boot=boot(node()))
        vmware.vmrun().switch_off(Path(made.id))
        driver = baker(vmware, bake_from=made.id)
        driver.bake_image(template=only(driver), image=IMAGE)
        assert [key for key in vmware.running()["kube-1.36"]["config"] if key.startswith("kube-provision")] == []

    def test_is_no_machine_of_any_cluster(self, driver: Fusion, cluster: Cluster) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        assert list(driver.list_vms(cluster=cluster)) == []

    def test_is_found_by_what_it_was_given(self, vmware: Vmware, driver: Fusion) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        baking = only(baker(vmware)).baking
        assert baking is not None
        assert (baking.spec, baking.running, baking.done) == (SPEC, True, False)

    def test_is_done_when_it_says_what_it_holds(self, vmware: Vmware, driver: Fusion) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        running = {"stage": "install", "state": "running", "step": "x/packages"}
        vmware.publish("kube-1.36", **{"kube-provision.status": json.dumps(running)})
        baking = only(driver).baking
        assert baking is not None
        assert baking.status is not None
        assert (baking.status.progress, baking.done) == ("install x/packages", False)
        guest_is_done(vmware)
        baking = only(driver).baking
        assert baking is not None
        assert baking.done

    def test_that_was_switched_off_does_not_run(self, vmware: Vmware, driver: Fusion) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        vmware.vmrun().switch_off(versions(vmware)[0] / "kube-1.36.vmx")
        baking = only(driver).baking
        assert baking is not None
        assert (baking.running, baking.done) == (False, False)

    def test_that_an_earlier_run_has_left_is_replaced(self, vmware: Vmware, driver: Fusion) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        driver.bake_image(template=only(driver), image=NEWER_IMAGE)
        assert len(versions(vmware)) == 1
        baking = only(driver).baking
        assert baking is not None
        assert baking.spec == NEWER.spec
        assert len(vmware.running()) == 1

    def test_leaves_nothing_when_it_cannot_be_made(self, vmware: Vmware, driver: Fusion) -> None:
        with vmware.fault("half clone", message="Insufficient disk space"), pytest.raises(TargetError, match="Insufficient"):
            driver.bake_image(template=only(driver), image=IMAGE)
        assert versions(vmware) == []
        assert only(driver).baking is None

    def test_that_was_cloned_only_in_part_is_made_anew(self, vmware: Vmware, driver: Fusion) -> None:
        left = vmware.vm_dir / "kube-1.36.20261101T000000Z.vmwarevm"
        left.mkdir()
        mark.write(left, mark.Mark(SPEC, complete=False))
        (left / "kube-1.36.vmx").write_bytes(b'.encoding = "UTF-8"\ndisplayName = "cl')
        baking = only(driver).baking
        assert baking is not None
        assert (baking.running, baking.done) == (False, False)
        bake(vmware, driver)
        assert not left.exists()


class TestTheFinishedTemplate:
    @pytest.fixture
    def version(self, vmware: Vmware, driver: Fusion) -> Path:
        bake(vmware, driver)
        (version,) = versions(vmware)
        return version

    def test_is_reached_by_its_path(self, vmware: Vmware, version: Path) -> None:
        assert template_of(vmware).resolve() == version / "kube-1.36.vmx"
        assert vmware.running() == {}

    def test_tells_people_what_is_in_it(self, vmware: Vmware, version: Path) -> None:
        read = vmx.read(template_of(vmware))
        assert read.get("displayName") == "kube-1.36"
        assert read.get("annotation") == f"kube-provision: baked 2026-11-27: kubeadm 1.36.4-1.1\nfrom {vmware.template}"
        assert Baked.parse(json.loads(read.get("kube-provision.baked"))) == BAKED

    def test_holds_no_boot_data(self, vmware: Vmware, driver: Fusion) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        (version,) = versions(vmware)
        delivered = vmx.read(version / "kube-1.36.vmx").get("guestinfo.userdata").encode()
        assert delivered in everything_in(version)
        guest_is_done(vmware)
        driver.finish_image(template=only(driver))
        assert delivered not in everything_in(version)
        assert [name for name in vmx.read(version / "kube-1.36.vmx").names() if name.startswith("guestinfo")] == []

    def test_is_recognised(self, vmware: Vmware, version: Path) -> None:
        assert only(baker(vmware)) == Template(
            str(template_of(vmware)),
            ROLES,
            source=str(vmware.template),
            exists=True,
            baked=BAKED,
            where=str(version / "kube-1.36.vmx"),
        )

    def test_is_alone(self, vmware: Vmware, version: Path) -> None:
        assert {path.name for path in vmware.vm_dir.iterdir()} == {
            "ubuntu_base.vmwarevm",
            "kube-1.36.vmwarevm",
            version.name,
        }

    def test_makes_machines_that_begin_afresh(
        self, vmware: Vmware, driver: Fusion, version: Path, cluster: Cluster, node: MakeNode, boot: MakeBoot
    ) -> None:
        assert list(driver.preflight(machines=[(node(), boot(node()))])) == []
        made = driver.provision_vm(node=node(), boot=boot(node()))
        (seen,) = driver.list_vms(cluster=cluster)
        assert (seen.id, seen.status, seen.scrubbed) == (made.id, None, False)
        assert vmx.read(Path(made.id)).get("kube-provision.baked") == ""

    def test_is_shown_to_vmware_where_it_lies(
        self, vmware: Vmware, driver: Fusion, version: Path, node: MakeNode, boot: MakeBoot
    ) -> None:
        """A clone remembers its parent's path, and the link leads elsewhere some day."""
        driver.provision_vm(node=node(), boot=boot(node()))
        paths = [argument for call in vmware.calls() for argument in call["argv"] if argument.endswith(".vmx")]
        assert [path for path in paths if path != os.path.realpath(path)] == []


class TestAnEarlierTemplate:
    def test_is_replaced(self, vmware: Vmware, driver: Fusion) -> None:
        bake(vmware, driver)
        (before,) = versions(vmware)
        bake_again(vmware, driver)
        assert only(driver).baked == NEWER
        assert not before.exists()
        assert len(versions(vmware)) == 1

    def test_of_linked_clones_stays_for_them(
        self,
        vmware: Vmware,
        driver: Fusion,
        node: MakeNode,
        boot: MakeBoot,
        cluster: Cluster,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        bake(vmware, driver)
        old = driver.provision_vm(node=node("w-prod-1"), boot=boot(node("w-prod-1")))
        with caplog.at_level(logging.WARNING):
            bake_again(vmware, driver)
        first, second = versions(vmware)
        assert f"{first} is kept: linked clones may build on its snapshots" in caplog.text

        vmware.vmrun().switch_off(Path(old.id))
        driver.provision_vm(node=node("w-prod-1"), boot=boot(node("w-prod-1")))
        driver.provision_vm(node=node("w-prod-2"), boot=boot(node("w-prod-2")))
        assert {vm.power for vm in driver.list_vms(cluster=cluster)} == {Power.ON}
        sources = [call["argv"][3] for call in vmware.calls("clone") if call["argv"][5] == "linked"]
        assert sources == [str(first / "kube-1.36.vmx"), str(second / "kube-1.36.vmx")]

    def test_that_a_clones_disk_builds_on_stays_without_snapshots_too(
        self, vmware: Vmware, driver: Fusion, node: MakeNode, boot: MakeBoot, caplog: pytest.LogCaptureFixture
    ) -> None:
        """Somebody has tidied up VMware's list of them."""
        bake(vmware, driver)
        driver.provision_vm(node=node("w-prod-1"), boot=boot(node("w-prod-1")))
        (first,) = versions(vmware)
        next(first.glob("*.vmsd")).unlink()
        with caplog.at_level(logging.WARNING):
            bake_again(vmware, driver)
        assert first in versions(vmware)
        assert f"{first} is kept: disks of w-prod-1.vmwarevm build on it" in caplog.text

    def test_of_full_clones_goes(self, vmware: Vmware, node: MakeNode, boot: MakeBoot) -> None:
        driver = baker(vmware, clone_type="full")
        bake(vmware, driver)
        driver.provision_vm(node=node(), boot=boot(node()))
        bake_again(vmware, driver)
        assert len(versions(vmware)) == 1

    def test_that_is_open_in_vmware_stays(self, vmware: Vmware, driver: Fusion, caplog: pytest.LogCaptureFixture) -> None:
        bake(vmware, driver)
        vmware.vmrun().start(template_of(vmware).resolve())
        with caplog.at_level(logging.WARNING):
            bake_again(vmware, driver)
        assert "is kept: it is open in VMware" in caplog.text
        assert len(versions(vmware)) == 2
        assert only(driver).baked == NEWER

    def test_stays_until_the_new_one_is_good(self, vmware: Vmware, driver: Fusion) -> None:
        bake(vmware, driver)
        driver.bake_image(template=only(driver), image=NEWER_IMAGE)
        assert only(driver).baked == BAKED
        guest_is_done(vmware, NEWER)
        with vmware.fault("stop", message="Unknown error"), pytest.raises(TargetError, match="cannot be switched off"):
            driver.finish_image(template=only(driver))
        assert only(driver).baked == BAKED

    @pytest.mark.parametrize(
        ("thing", "name"),
        [
            (PowerSwitch, "stop"),
            (machine, "describe"),
            (Shelf, "publish"),
            (mark, "remove"),
            (PowerSwitch, "delete"),
        ],
    )
    def test_is_replaced_by_the_next_run_where_one_was_killed(
        self, vmware: Vmware, driver: Fusion, thing: object, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bake(vmware, driver)
        driver.bake_image(template=only(driver), image=NEWER_IMAGE)
        guest_is_done(vmware, NEWER)
        with monkeypatch.context() as patch:
            patch.setattr(thing, name, die)
            with pytest.raises(KeyboardInterrupt):
                driver.finish_image(template=only(driver))
        later = baker(vmware)
        found = only(later)
        if found.baking:
            assert found.baking.done
            later.finish_image(template=found)
        found = only(later)
        assert (found.baked, found.baking) == (NEWER, None)
        assert vmware.running() == {}

    def test_that_a_killed_run_has_not_deleted_goes_with_the_next_bake(
        self, vmware: Vmware, driver: Fusion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bake(vmware, driver)
        with monkeypatch.context() as patch:
            patch.setattr(PowerSwitch, "delete", die)
            with pytest.raises(KeyboardInterrupt):
                bake_again(vmware, driver)
        assert len(versions(vmware)) == 2
        bake(vmware, driver)
        assert len(versions(vmware)) == 1


def die(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_another_machine_than_the_one_that_was_seen_is_not_taken(vmware: Vmware, driver: Fusion) -> None:
    driver.bake_image(template=only(driver), image=IMAGE)
    guest_is_done(vmware)
    seen = only(driver)
    baker(vmware).bake_image(template=seen, image=NEWER_IMAGE)
    with pytest.raises(TargetError, match="the machine that has baked is gone; run again"):
        driver.finish_image(template=seen)


class TestStopping:
    def test_a_guest_without_tools_is_switched_off(self, vmware: Vmware, driver: Fusion) -> None:
        vmware.be(tools=False)
        bake(vmware, driver)
        assert only(driver).baked == BAKED

    def test_vmware_may_take_its_time_to_write_the_file(self, vmware: Vmware, driver: Fusion) -> None:
        """Else it would bring the boot data back, and take the record away."""
        vmware.be(close_seconds=0.5)
        bake(vmware, driver)
        assert only(driver).baked == BAKED
        assert vmx.read(template_of(vmware)).get("guestinfo.userdata") == ""

    def test_locks_of_a_crash_are_told_and_the_template_made_when_they_are_gone(
        self, vmware: Vmware, driver: Fusion
    ) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        guest_is_done(vmware)
        found = only(driver)
        vmware.pull_the_plug()
        driver = replaced_limits(vmware)
        with pytest.raises(TargetError, match=r"no template yet: it is locked by kube-1\.36\.vmx\.lck\. Close it in VMware"):
            driver.finish_image(template=found)
        shutil.rmtree(versions(vmware)[0] / "kube-1.36.vmx.lck")
        driver.finish_image(template=only(driver))
        assert only(driver).baked == BAKED


def replaced_limits(vmware: Vmware) -> Fusion:
    vmware.limits = replace(vmware.limits, close=0.2)
    return baker(vmware)


class TestSomebodyElses:
    def test_template_is_left_alone(self, vmware: Vmware) -> None:
        vmware.create_foreign("kube-1.36")
        driver = baker(vmware)
        assert (only(driver).exists, only(driver).baked) == (True, None)
        driver.bake_image(template=only(driver), image=IMAGE)
        guest_is_done(vmware)
        with pytest.raises(TargetError, match=r"kube-1\.36\.vmwarevm: was not made by bake; it is left alone"):
            driver.finish_image(template=only(driver))
        assert "somebody's" in template_of(vmware).read_text()

    def test_link_is_left_alone(self, vmware: Vmware) -> None:
        template_of(vmware).parent.symlink_to(vmware.template.parent)
        driver = baker(vmware)
        assert (only(driver).exists, only(driver).baked) == (True, None)

    def test_link_that_leads_nowhere_is_replaced(self, vmware: Vmware, driver: Fusion) -> None:
        template_of(vmware).parent.symlink_to("gone")
        assert not only(driver).exists
        bake(vmware, driver)
        assert only(driver).baked == BAKED

    def test_copy_of_a_version_is_no_version(self, vmware: Vmware, driver: Fusion) -> None:
        driver.bake_image(template=only(driver), image=IMAGE)
        (version,) = versions(vmware)
        copy = version.with_name("kube-1.36.20990101T000000Z.vmwarevm")
        shutil.copytree(version, copy)
        guest_is_done(vmware)
        driver.finish_image(template=only(driver))
        assert template_of(vmware).resolve().parent == version
        assert copy.exists()


class TestBadInput:
    """Told at the first look, in a line each, before anything is made."""

    def problems(self, driver: Fusion) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            driver.list_templates(roles=ROLES)
        assert all("\n" not in line for line in caught.value.problems)
        return list(caught.value.problems)

    def only(self, driver: Fusion) -> str:
        (line,) = self.problems(driver)
        return line

    def test_a_source_that_is_missing(self, vmware: Vmware) -> None:
        line = self.only(baker(vmware, bake_from=str(vmware.root / "none.vmx")))
        assert line == f"bake_from: there is no file {vmware.root}/none.vmx"

    def test_a_source_that_is_encrypted(self, vmware: Vmware) -> None:
        assert "it is encrypted" in self.only(baker(vmware, bake_from=str(vmware.add_template("encrypted.vmx"))))

    def test_a_source_that_runs(self, vmware: Vmware, driver: Fusion) -> None:
        vmware.vmrun().start(vmware.template)
        assert self.only(driver) == f"bake_from: {vmware.template}: it is running; shut it down"

    def test_a_source_in_an_unknown_encoding(self, vmware: Vmware, driver: Fusion) -> None:
        vmware.template.write_text(vmware.template.read_text().replace("UTF-8", "windows-31j"))
        assert "its encoding windows-31j is not known here" in self.only(driver)

    def test_a_source_that_is_locked(self, vmware: Vmware, driver: Fusion) -> None:
        vmware.vmrun().start(vmware.template)
        vmware.pull_the_plug()
        assert "it is locked by ubuntu_base.vmx.lck" in self.only(driver)

    def test_a_source_for_another_architecture(self, vmware: Vmware) -> None:
        line = self.only(baker(vmware, bake_from=str(vmware.add_template("debian arm.vmx"))))
        assert line.endswith("is for arm64, and this computer runs x86_64 only")

    def test_a_source_that_is_the_template(self, vmware: Vmware) -> None:
        line = self.only(baker(vmware, template=str(vmware.template)))
        assert line == f"bake_from: {vmware.template} is the template itself; name another machine"

    def test_a_folder_that_is_there_without_a_template(self, vmware: Vmware) -> None:
        line = self.only(baker(vmware, template=str(vmware.vm_dir / "kube.vmx")))
        assert line.endswith(f"name one that is not, such as {vmware.vm_dir}/kube.vmwarevm/kube.vmx")

    def test_a_place_that_is_missing(self, vmware: Vmware) -> None:
        line = self.only(baker(vmware, template=str(vmware.root / "none" / "kube" / "kube.vmx")))
        assert line == f"template: there is no folder {vmware.root}/none to bake it in; create it"

    def test_a_place_where_nothing_can_be_made(self, vmware: Vmware) -> None:
        line = self.only(baker(vmware, template="/proc/kube/kube.vmx"))
        assert line.startswith("template: nothing can be made in /proc: ")

    def test_a_snapshot_that_no_baked_template_has(self, vmware: Vmware) -> None:
        line = self.only(baker(vmware, snapshot="golden"))
        assert line == "snapshot: a template that bake makes has no snapshot golden; unset the key"

    def test_a_vmrun_that_is_missing(self, vmware: Vmware) -> None:
        line = self.only(baker(vmware, vmrun=str(vmware.root / "none")))
        assert line == f"vmrun: there is no program {vmware.root}/none"

    def test_all_problems_are_told_at_once(self, vmware: Vmware) -> None:
        driver = baker(vmware, vmrun="/none", bake_from="/none.vmx", template="/nowhere/kube/kube.vmx", snapshot="golden")
        assert [line.partition(":")[0] for line in self.problems(driver)] == ["vmrun", "bake_from", "template", "snapshot"]

    def test_without_a_source_the_template_has_none(self, vmware: Vmware) -> None:
        assert only(baker(vmware, bake_from=None)).source == ""

    def test_a_path_that_cannot_be(self, vmware: Vmware) -> None:
        file = vmware.vm_dir / ("x" * 300) / "kube.vmx"
        assert self.only(baker(vmware, template=str(file))).endswith("cannot be looked at: File name too long")
        with pytest.raises(TargetError, match="cannot be looked at: File name too long"):
            only(baker(vmware, template=str(file), bake_from=None))

    def test_boot_data_that_vmware_does_not_deliver(self, driver: Fusion) -> None:
        large = replace(IMAGE, boot=Boot("bake", "bake", os.urandom(60_000).hex()))
        with pytest.raises(ConfigError, match=r"kube-1\.36: boot data \(guestinfo\.userdata\) is .* more than the 65536"):
            driver.bake_image(template=only(driver), image=large)

    def test_too_little_space(self, vmware: Vmware, driver: Fusion, monkeypatch: pytest.MonkeyPatch) -> None:
        """For one that there is not it is told before anything begins."""
        wanted = only(driver)
        usage = shutil.disk_usage(vmware.root)._replace(free=3 * 1024**3)
        monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
        said = r"3\.0 GiB are free, and a machine that bakes takes about 4\.0"
        with pytest.raises(TargetError, match=said):
            driver.bake_image(template=wanted, image=IMAGE)
        with pytest.raises(ConfigError, match=said):
            only(baker(vmware))
        assert versions(vmware) == []

    def test_too_little_memory(self, vmware: Vmware, driver: Fusion, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("kube_provision_fusion.preflight.host_memory", lambda: HostMemory(2**29))
        with pytest.raises(TargetError, match=r"GiB of memory; this host has 0\.5 GiB in all"):
            driver.bake_image(template=only(driver), image=IMAGE)
        assert versions(vmware) == []


class TestOnLinux:
    def test_folders_bear_no_ending(self, vmware: Vmware) -> None:
        vmware.be(product="ws")
        file = vmware.vm_dir / "kube-1.36" / "kube-1.36.vmx"
        driver = baker(vmware, template=str(file))
        bake(vmware, driver)
        (version,) = versions(vmware)
        assert version.suffix != ".vmwarevm"
        assert file.resolve() == version / "kube-1.36.vmx"
