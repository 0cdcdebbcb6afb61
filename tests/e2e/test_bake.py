"""Templates baked on a vCenter, by whole command lines; the test is the machine that bakes."""

from __future__ import annotations

import base64
import gzip
import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from .conftest import Site, finish, interrupt, until

STATUS = "guestinfo.kube-provision.status"


@pytest.fixture
def baking_site(site: Site) -> Site:
    site.settings |= {"template": "kube-1.37", "bake_from": "ubuntu-24.04"}
    return site


def machine(site: Site, but: str = "") -> dict[str, Any]:
    """The machine that bakes, once it runs: another one than the one of that id."""
    found: list[dict[str, Any]] = []

    def is_there() -> bool:
        found[:] = [vm for vm in site.vcenter.vms().values() if vm["name"] == "kube-1.37.baking" and vm["id"] != but]
        return bool(found) and found[0]["power"] == "poweredOn"

    until(is_there)
    return found[0]


def bake_script(site: Site) -> str:
    """What the machine finds in its boot data."""
    data = gzip.decompress(base64.b64decode(machine(site)["extra_config"]["guestinfo.userdata"])).decode()
    files = {entry["path"]: entry["content"] for entry in yaml.safe_load(data)["write_files"]}
    return str(files["/usr/local/lib/kube-provision/bake.sh"])


def be_done(site: Site) -> None:
    spec = re.search(r"^    ([0-9a-f]{12}) \"\$\(date", bake_script(site), re.MULTILINE)
    assert spec
    baked = {"spec": spec[1], "date": "2026-11-27T10:00:00Z", "versions": {"kubeadm": "1.37.1-1.1"}, "images": []}
    done = {"stage": "finish", "state": "done", "error": "", "baked": baked}
    site.vcenter.publish("kube-1.37.baking", {STATUS: json.dumps(done)})


def test_a_template_is_baked_and_machines_are_made_from_it(baking_site: Site) -> None:
    site = baking_site
    process = site.start("bake", "--progress", "plain", "--output", "json")
    running = {"stage": "install", "state": "running", "error": "", "step": "ubuntu/packages", "attempt": 1, "attempts": 5}
    machine(site)
    site.vcenter.publish("kube-1.37.baking", {STATUS: json.dumps(running)})
    be_done(site)
    ran = finish(process)
    assert ran.code == 0, ran.errors
    (template,) = ran.data["templates"]
    assert template["baked"]["versions"] == {"kubeadm": "1.37.1-1.1"}
    assert site.vcenter.vm("kube-1.37")["template"]

    again = site.run("bake")
    assert again.code == 0
    assert "holds what is wanted (2026-11-27: kubeadm 1.37.1-1.1)" in again.errors

    assert site.provision(masters=1, workers=1).code == 0
    assert site.vcenter.machine_names() == ["consul-prod", "m-prod-1", "w-prod-1"]


def test_a_run_that_was_interrupted_is_taken_up_by_the_next(baking_site: Site) -> None:
    site = baking_site
    process = site.start("bake", "--progress", "plain")
    before = machine(site)["id"]
    interrupt(process)
    assert finish(process).code == 130
    process = site.start("bake", "--progress", "plain")
    be_done(site)
    ran = finish(process)
    assert ran.code == 0, ran.errors
    assert site.vcenter.vm("kube-1.37")["id"] == before


def test_a_machine_that_fails_leaves_no_template_and_is_replaced(baking_site: Site) -> None:
    site = baking_site
    process = site.start("bake", "--progress", "plain")
    first = machine(site)["id"]
    failed = {"stage": "install", "state": "failed", "error": "ubuntu/packages: Unable to locate package kubeadm"}
    site.vcenter.publish("kube-1.37.baking", {STATUS: json.dumps(failed)})
    ran = finish(process)
    assert ran.code == 4
    assert "stage install: ubuntu/packages: Unable to locate package kubeadm" in ran.output
    assert "kube-1.37" not in {vm["name"] for vm in site.vcenter.vms().values()}

    process = site.start("bake", "--progress", "plain")
    machine(site, but=first)
    be_done(site)
    assert finish(process).code == 0


def test_the_script_needs_no_server(baking_site: Site) -> None:
    baking_site.vcenter.kill()
    ran = baking_site.run("bake", "--script")
    assert ran.code == 0
    checked = subprocess.run(
        ["shellcheck", "--norc", "-"], input=ran.output, capture_output=True, text=True, timeout=60, check=False
    )
    assert checked.returncode == 0, checked.stdout


def test_bad_input_is_one_line_and_nothing_is_made(baking_site: Site) -> None:
    baking_site.settings["bake_from"] = "ubunto-24.04"
    ran = baking_site.run("bake")
    assert ran.code == 2
    (line,) = ran.errors.splitlines()
    assert line.partition(": ")[2].partition(": ")[2].startswith("bake_from: there is no template 'ubunto-24.04'")
    assert baking_site.vcenter.machine_names() == []
