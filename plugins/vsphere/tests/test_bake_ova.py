"""Templates that are baked from an OVA, which is imported in place of a clone."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles.ovas import DESCRIPTOR, DISK, manifest, pack, parts, whole
from servers.simulator import STATUS_KEY, Inventory, Machine, Simulator

from kube_provision_core import Baked, Boot, ConfigError, Image, Role, TargetError, Template
from kube_provision_core import Machine as Size
from kube_provision_vsphere import stamp
from kube_provision_vsphere.client import importing, session
from kube_provision_vsphere.driver import Vsphere
from kube_provision_vsphere.ova import Part

pytestmark = pytest.mark.integration

MakeDriver = Callable[..., Vsphere]
Simulate = Callable[..., Simulator]

ROLES = frozenset(Role)
SPEC = "aaaabbbbcccc"
IMAGE = Image(SPEC, Boot(f"bake-{SPEC}", f"bake-{SPEC}", "#cloud-config\n# bakes\n"), "", Size(2, 4))
BAKED = Baked(SPEC, "2026-11-27T10:00:00Z", "Ubuntu 24.04", {"kubeadm": "1.36.4-1.1"}, ())
INVENTORY = Inventory(datastores=2, policies={"gold": ["LocalDS_1"]})
SENT = {"disk-0.vmdk": {"size": len(DISK), "sha256": hashlib.sha256(DISK).hexdigest()}}


@pytest.fixture
def ova(tmp_path: Path) -> Path:
    return pack(tmp_path / "ubuntu.ova", whole())


@pytest.fixture
def vcenter(simulate: Simulate) -> Simulator:
    return simulate(inventory=INVENTORY)


@pytest.fixture
def driver(vcenter: Simulator, driver_for: MakeDriver, ova: Path) -> Vsphere:
    return driver_for(vcenter, **keys(ova))


def keys(ova: Path) -> dict[str, Any]:
    return {"template": "kube", "bake_from": {"ova": ova}, "datastore": "LocalDS_1", "network": "DC0_DVPG0"}


def only(driver: Vsphere) -> Template:
    (template,) = driver.list_templates(ROLES)
    return template


def test_the_source_is_named_with_its_digest(driver: Vsphere, driver_for: MakeDriver, vcenter: Simulator, ova: Path) -> None:
    """Another OVA of that name makes what was baked of an earlier one outdated."""
    source = only(driver).source
    assert source.startswith("OVA ubuntu.ova, sha256 ")
    assert only(driver) == Template("kube", ROLES, source=source, where="/DC0/vm/k8s/kube")
    pack(ova, whole(disk=DISK + b"newer"))
    assert only(driver_for(vcenter, **keys(ova))).source != source


def test_it_is_imported_into_a_machine_that_bakes(vcenter: Simulator, driver: Vsphere) -> None:
    driver.bake_image(only(driver), IMAGE)
    machine = vcenter.vm("kube.baking")
    assert (machine["path"], machine["power"], machine["template"]) == ("/DC0/vm/k8s/kube.baking", "poweredOn", False)
    assert (machine["cpu"], machine["memory_mib"], machine["disks"][0]["gib"]) == (2, 4096, 10)
    assert (machine["datastores"], machine["networks"], machine["pool"]) == (["LocalDS_1"], ["DC0_DVPG0"], "Resources")
    assert machine["uploads"] == SENT
    assert machine["properties"] is False
    userdata = gzip.decompress(base64.b64decode(machine["extra_config"]["guestinfo.userdata"])).decode()
    assert userdata == IMAGE.boot.user_data
    assert len(machine["extra_config"][stamp.DISKS].split()) == 1
    baking = only(driver).baking
    assert baking is not None
    assert (baking.spec, baking.running) == (SPEC, True)


def test_a_template_comes_of_it(
    vcenter: Simulator, driver: Vsphere, driver_for: MakeDriver, ova: Path, node: Any, boot: Any
) -> None:
    driver.bake_image(only(driver), IMAGE)
    status = {"stage": "finish", "state": "done", "error": "", "baked": BAKED.document}
    vcenter.publish("kube.baking", {STATUS_KEY: json.dumps(status)})
    driver.finish_image(only(driver))
    later = driver_for(vcenter, **keys(ova))
    assert only(later).baked == BAKED
    assert vcenter.vm("kube")["annotation"].endswith(f"\nfrom {only(later).source}")
    later.provision_vm(node(1), boot(node(1)))
    assert vcenter.vm("w-prod-1")["power"] == "poweredOn"


def test_what_is_no_disk_goes_along(vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path) -> None:
    """Such as the NVRAM of a machine that boots by EFI."""
    files = parts(DESCRIPTOR.replace("</References>", '<File ovf:href="vm.nvram" ovf:id="file2"/></References>'))
    files["vm.nvram"] = b"boot order"
    files["ubuntu.mf"] = manifest(files, "sha1")
    driver = driver_for(vcenter, **keys(pack(tmp_path / "ubuntu.ova", files)))
    driver.bake_image(only(driver), IMAGE)
    other = {"size": 10, "sha256": hashlib.sha256(b"boot order").hexdigest()}
    assert vcenter.vm("kube.baking")["uploads"] == {**SENT, "vm.nvram": other}


def test_a_storage_policy_and_a_host_go_along(simulate: Simulate, driver_for: MakeDriver, ova: Path) -> None:
    vcenter = simulate(inventory=replace(INVENTORY, drs=False))
    driver = driver_for(vcenter, **keys(ova), storage_policy="gold")
    driver.bake_image(only(driver), IMAGE)
    assert len(vcenter.vm("kube.baking")["policies"]) == 2, "of its own files, and of its disk"


def test_a_host_is_known_by_the_certificate_that_vcenter_names(
    simulate: Simulate, driver_for: MakeDriver, ova: Path
) -> None:
    """The simulator refuses who shows it a session or a password."""
    vcenter = simulate(inventory=replace(INVENTORY, upload_to="host"))
    driver = driver_for(vcenter, **keys(ova))
    driver.bake_image(only(driver), IMAGE)
    assert vcenter.vm("kube.baking")["uploads"] == SENT


def test_a_host_with_another_certificate_gets_nothing(simulate: Simulate, driver_for: MakeDriver, ova: Path) -> None:
    vcenter = simulate(inventory=replace(INVENTORY, upload_to="impostor"))
    driver = driver_for(vcenter, **keys(ova))
    with pytest.raises(TargetError, match=r"^kube\.baking: import ubuntu\.ova, sha256 \w+: 127\.0\.0\.1:\d+ does not take"):
        driver.bake_image(only(driver), IMAGE)
    assert "NFC" not in vcenter.counts()
    assert vcenter.machine_names() == []


def test_a_pinned_vcenter_is_sent_the_disk_too(vcenter: Simulator, driver_for: MakeDriver, ova: Path) -> None:
    driver = driver_for(vcenter, **keys(ova), vcenter_ca_file=None, vcenter_thumbprint=vcenter.thumbprint)
    driver.bake_image(only(driver), IMAGE)
    assert vcenter.vm("kube.baking")["uploads"] == SENT


def test_an_import_that_takes_longer_than_its_lease_does_not_end(
    simulate: Simulate, driver_for: MakeDriver, ova: Path
) -> None:
    vcenter = simulate(inventory=INVENTORY, lease_timeout=1, upload_time=2.5)
    driver = driver_for(vcenter, **keys(ova))
    driver.bake_image(only(driver), IMAGE)
    assert vcenter.counts()["HttpNfcLeaseProgress"] > 2
    assert vcenter.vm("kube.baking")["power"] == "poweredOn"


class TestTrouble:
    @pytest.mark.parametrize("kind", ["503", "reset", "lost"])
    def test_an_upload_that_fails_leaves_nothing(self, vcenter: Simulator, driver: Vsphere, kind: str) -> None:
        vcenter.trouble(kind, "NFC")
        with pytest.raises(TargetError, match=r"^kube\.baking: import .*: 127\.0\.0\.1:\d+ does not take it: "):
            driver.bake_image(only(driver), IMAGE)
        assert vcenter.machine_names() == []
        driver.bake_image(only(driver), IMAGE)
        assert vcenter.vm("kube.baking")["uploads"] == SENT

    def test_a_disk_that_is_not_what_the_manifest_says_becomes_no_machine(
        self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path
    ) -> None:
        damaged = pack(tmp_path / "ubuntu.ova", {**whole(), "disk.vmdk": b"x" + DISK[1:]})
        driver = driver_for(vcenter, **keys(damaged))
        with pytest.raises(ConfigError, match=r"^bake_from: disk\.vmdk is not what the OVA's manifest says; fetch"):
            driver.bake_image(only(driver), IMAGE)
        assert vcenter.machine_names() == []
        assert vcenter.counts()["HttpNfcLeaseAbort"] == 1

    def test_an_ova_that_vanishes_becomes_no_machine(self, vcenter: Simulator, driver: Vsphere, ova: Path) -> None:
        template = only(driver)
        ova.unlink()
        with pytest.raises(ConfigError, match=r"^bake_from: .*ubuntu\.ova cannot be read: No such file"):
            driver.bake_image(template, IMAGE)
        assert vcenter.machine_names() == []

    def test_an_ova_that_shrinks_becomes_no_machine(self, vcenter: Simulator, driver: Vsphere, ova: Path) -> None:
        template = only(driver)
        with ova.open("r+b") as file:
            file.truncate(1024 * 1024)
        with pytest.raises(ConfigError, match=r"^bake_from: disk\.vmdk ends before its end"):
            driver.bake_image(template, IMAGE)
        assert vcenter.machine_names() == []

    @pytest.mark.parametrize("kind", ["503", "reset", "lost"])
    @pytest.mark.parametrize("method", ["CreateImportSpec", "HttpNfcLeaseComplete"])
    def test_an_answer_that_gets_lost_is_asked_for_again(
        self, vcenter: Simulator, driver: Vsphere, method: str, kind: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session, "SILENCE_PAUSE", 0.01)
        vcenter.trouble(kind, method)
        driver.bake_image(only(driver), IMAGE)
        assert vcenter.counts()[method] == 2
        assert vcenter.machine_names() == ["kube.baking"]

    def test_what_a_run_left_that_was_killed_while_it_uploaded_is_replaced(
        self, simulate: Simulate, driver_for: MakeDriver, ova: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """vCenter lets nobody have it before it has ended the import."""
        monkeypatch.setattr(importing, "LOOK_PAUSE", 0.2)
        vcenter = simulate(inventory=INVENTORY, lease_timeout=1)
        killed = driver_for(vcenter, **keys(ova))
        vcenter.trouble("reset", "NFC")
        vcenter.fail("HttpNfcLeaseAbort", fault="SystemError", times=1)
        with pytest.raises(TargetError, match="does not take it"):
            killed.bake_image(only(killed), IMAGE)
        left = vcenter.vm("kube.baking")
        assert (left["power"], left["uploads"], stamp.BAKING in left["extra_config"]) == ("poweredOff", {}, False)
        later = driver_for(vcenter, **keys(ova))
        assert only(later).baking is None
        later.bake_image(only(later), IMAGE)
        assert vcenter.vm("kube.baking")["id"] != left["id"]
        assert vcenter.vm("kube.baking")["uploads"] == SENT
        assert vcenter.counts()["Destroy_Task"] >= 1

    def test_what_a_run_left_that_was_killed_before_it_configured_the_machine_is_replaced(
        self, vcenter: Simulator, driver: Vsphere, driver_for: MakeDriver, ova: Path
    ) -> None:
        vcenter.fail("ReconfigVM_Task", "kube.baking", "SystemError", times=1)
        with pytest.raises(TargetError, match=r"^kube\.baking: configure: "):
            driver.bake_image(only(driver), IMAGE)
        left = vcenter.vm("kube.baking")
        later = driver_for(vcenter, **keys(ova))
        later.bake_image(only(later), IMAGE)
        assert vcenter.vm("kube.baking")["id"] != left["id"]

    def test_somebody_elses_machine_of_that_name_is_left_alone(
        self, simulate: Simulate, driver_for: MakeDriver, ova: Path
    ) -> None:
        vcenter = simulate(inventory=INVENTORY, machines=[Machine("k8s/kube.baking")])
        driver = driver_for(vcenter, **keys(ova))
        with pytest.raises(TargetError, match=r"kube\.baking: this machine was not made by bake"):
            driver.bake_image(only(driver), IMAGE)
        assert "ImportVApp" not in vcenter.counts()

    def test_an_import_whose_answer_gets_lost_is_begun_anew_by_the_next_run(
        self, simulate: Simulate, driver_for: MakeDriver, ova: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Asked a second time, vCenter tells of the lease that the name is taken. The first one nobody knows."""
        monkeypatch.setattr(session, "SILENCE_PAUSE", 0.01)
        monkeypatch.setattr(importing, "LOOK_PAUSE", 0.2)
        vcenter = simulate(inventory=INVENTORY, lease_timeout=1)
        driver = driver_for(vcenter, **keys(ova))
        template = only(driver)
        vcenter.trouble("lost", "ImportVApp")
        with pytest.raises(TargetError, match=r"^kube\.baking: import .*DuplicateName"):
            driver.bake_image(template, IMAGE)
        driver.bake_image(template, IMAGE)
        assert vcenter.vm("kube.baking")["uploads"] == SENT

    def test_a_run_that_is_over_uploads_no_more(
        self, vcenter: Simulator, driver: Vsphere, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        template = only(driver)
        send = Part.read

        def ended(part: Part, archive: Any) -> Iterator[bytes]:
            for number, chunk in enumerate(send(part, archive)):
                yield chunk
                if number == 0:
                    driver.close()

        monkeypatch.setattr(Part, "read", ended)
        with pytest.raises(TargetError, match="the run is over"):
            driver.bake_image(template, IMAGE)
        assert vcenter.vm("kube.baking")["uploads"] == {}

    def test_what_vcenter_refuses_in_a_descriptor_is_told_in_its_words(
        self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path
    ) -> None:
        strange = DESCRIPTOR.replace("<rasd:ResourceSubType>VirtualSCSI<", "<rasd:ResourceSubType>quantum<")
        driver = driver_for(vcenter, **keys(pack(tmp_path / "ubuntu.ova", whole(strange))))
        with pytest.raises(TargetError, match=r"^kube\.baking: import ubuntu\.ova, .*: .*quantum"):
            driver.bake_image(only(driver), IMAGE)
        assert vcenter.machine_names() == []


def hindrance(driver: Vsphere) -> str:
    (told,) = only(driver).hindrances
    return told.partition("is no OVA that can be imported: ")[2] or told


COLLECTION = DESCRIPTOR.replace("<VirtualSystem ", "<VirtualSystemCollection/><VirtualSystem ")
LICENSED = DESCRIPTOR.replace("<Info>A machine</Info>", "<EulaSection><License>Pay</License></EulaSection>")


class TestBadInput:
    @pytest.mark.parametrize(
        ("files", "told"),
        [
            ({"disk.vmdk": DISK}, "it holds no descriptors (.ovf), and one is wanted"),
            ({**whole(), "b.ovf": b"x"}, "it holds 2 descriptors (.ovf), and one is wanted"),
            (whole("<Envelope"), "unclosed token: line 1, column 0"),
            (whole("<domain/>"), "its descriptor is no OVF envelope"),
            (whole("<!DOCTYPE x><Envelope/>"), "its descriptor has a document type, and so may be larger than it looks"),
            (whole("<Envelope/>"), "one machine is wanted, and it describes none or several"),
            (whole(COLLECTION), "one machine is wanted, and it describes none or several"),
            (whole("<Envelope><VirtualSystem/></Envelope>"), "it has no disk"),
            (
                whole(LICENSED),
                "it asks for a licence to be accepted, which is for people to do; import it by hand, and name what "
                "came of it",
            ),
            (whole(DESCRIPTOR.replace("disk.vmdk", "../disk.vmdk")), "../disk.vmdk is not in it"),
            (
                whole(DESCRIPTOR.replace("<File ", '<File ovf:compression="gzip" ')),
                "disk.vmdk in it is compressed or in pieces; make one of it whose disks are streamOptimized alone",
            ),
            ({**whole(), "ubuntu.mf": b"hello"}, "its manifest has a line that is none: 'hello'"),
            ({**whole(), "ubuntu.mf": b""}, "its manifest does not list ubuntu.ovf"),
            (
                {**whole(), "ubuntu.mf": manifest({"ubuntu.ovf": DESCRIPTOR.encode()})},
                "its manifest does not list disk.vmdk",
            ),
            (
                {**whole(), "ubuntu.mf": manifest({"ubuntu.ovf": b"another"})},
                "ubuntu.ovf is not what its manifest says; fetch it again",
            ),
            (
                {**whole(), "ubuntu.ovf": b" " * 1024 * 1025},
                "a header, descriptor or manifest of it is larger than 1024 KiB",
            ),
            ({f"{number}": b"" for number in range(65)}, "it holds more than 64 files"),
        ],
    )
    def test_an_ova_that_cannot_be_imported(
        self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path, files: Mapping[str, bytes], told: str
    ) -> None:
        driver = driver_for(vcenter, **keys(pack(tmp_path / "ubuntu.ova", files)))
        assert hindrance(driver) == told
        assert only(driver).source == "OVA ubuntu.ova"

    def test_no_file(self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path) -> None:
        told = f"bake_from: {tmp_path}/none.ova cannot be read: No such file or directory"
        assert hindrance(driver_for(vcenter, **keys(tmp_path / "none.ova"))) == told

    def test_a_file_in_it_that_is_none(self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path) -> None:
        with tarfile.open(tmp_path / "ubuntu.ova", "w") as archive:
            member = tarfile.TarInfo("ubuntu.ovf")
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(member)
        assert hindrance(driver_for(vcenter, **keys(tmp_path / "ubuntu.ova"))) == "'ubuntu.ovf' in it is no plain file"

    def test_a_file_that_is_in_it_twice(self, vcenter: Simulator, driver_for: MakeDriver, ova: Path) -> None:
        with tarfile.open(ova, "a") as archive:
            archive.addfile(tarfile.TarInfo("disk.vmdk"))
        assert hindrance(driver_for(vcenter, **keys(ova))) == "it holds 'disk.vmdk' twice"

    def test_a_header_without_an_end(self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path) -> None:
        header = tarfile.TarInfo("long")
        header.type, header.size = tarfile.GNUTYPE_LONGNAME, len(DISK)
        (tmp_path / "ubuntu.ova").write_bytes(header.tobuf(tarfile.GNU_FORMAT) + DISK)
        told = "a header, descriptor or manifest of it is larger than 1024 KiB"
        assert hindrance(driver_for(vcenter, **keys(tmp_path / "ubuntu.ova"))) == told

    def test_a_folder(self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path) -> None:
        assert hindrance(driver_for(vcenter, **keys(tmp_path))) == f"bake_from: {tmp_path} cannot be read: Is a directory"

    def test_a_file_that_is_no_archive(self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path) -> None:
        (tmp_path / "ubuntu.ova").write_bytes(gzip.compress(DISK))
        assert hindrance(driver_for(vcenter, **keys(tmp_path / "ubuntu.ova"))).startswith("it is no tar, or not whole (")

    def test_a_file_that_was_not_fetched_to_its_end(self, vcenter: Simulator, driver_for: MakeDriver, ova: Path) -> None:
        with ova.open("r+b") as file:
            file.truncate(1024 * 1024)
        assert hindrance(driver_for(vcenter, **keys(ova))) == "it is no tar, or not whole (unexpected end of data)"

    def test_no_place_for_it(self, vcenter: Simulator, driver_for: MakeDriver, ova: Path) -> None:
        driver = driver_for(vcenter, **{**keys(ova), "datastore": None, "network": None})
        with pytest.raises(ConfigError) as refused:
            only(driver)
        assert list(refused.value.problems) == [
            "datastore: not set, and bake_from names no template that has one; name one",
            "network: not set, and bake_from names no template that has one; name one",
        ]

    def test_missing_privileges(self, simulate: Simulate, driver_for: MakeDriver, ova: Path) -> None:
        vcenter = simulate(inventory=INVENTORY, denied=["VApp.Import"])
        with pytest.raises(ConfigError) as refused:
            only(driver_for(vcenter, **keys(ova)))
        assert sorted(refused.value.problems) == [
            "the vCenter account lacks on /DC0/host/DC0_C0/Resources: VApp.Import",
            "the vCenter account lacks on /DC0/vm/k8s: VApp.Import",
        ]

    def test_machines_are_made_without_it(
        self, vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path, node: Any, boot: Any
    ) -> None:
        """Where the template is there, the OVA may be on another operator's machine."""
        driver = driver_for(vcenter, **{**keys(tmp_path / "none.ova"), "template": "ubuntu"})
        machines = [(node(1), boot(node(1)))]
        assert driver.preflight(machines) == []


def test_without_a_manifest_its_whole_content_tells_it_from_others(
    vcenter: Simulator, driver_for: MakeDriver, tmp_path: Path
) -> None:
    ova = pack(tmp_path / "ubuntu.ova", parts(disk=b"x" + DISK[1:]))
    other = only(driver_for(vcenter, **keys(ova))).source
    driver = driver_for(vcenter, **keys(pack(ova, parts())))
    assert only(driver).source != other
    driver.bake_image(only(driver), IMAGE)
    assert vcenter.vm("kube.baking")["uploads"] == SENT
