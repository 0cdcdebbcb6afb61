"""The main job through the real vSphere API: one command line, a whole cluster; run again; grown; removed."""

from __future__ import annotations

import base64
import gzip
import json
import signal
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from servers.simulator import FINISHED, STATUS_KEY

from .conftest import Site, finish, interrupt, until

WHOLE = ["consul-prod", "m-prod-1", "m-prod-2", "m-prod-3", "w-prod-1", "w-prod-2", "w-prod-3"]


def boot_data(site: Site, name: str) -> str:
    extra = site.vcenter.vm(name)["extra_config"]
    assert extra["guestinfo.userdata.encoding"] == "gzip+base64"
    return gzip.decompress(base64.b64decode(extra["guestinfo.userdata"])).decode()


def states(run: Any) -> dict[str, str]:
    return {node["name"]: node["state"] for node in run.data["nodes"]}


class TestTheFirstRun:
    def test_makes_a_whole_cluster_with_its_own_discovery_machine(self, site: Site) -> None:
        run = site.provision()
        assert run.code == 0, run.errors
        assert site.vcenter.machine_names() == WHOLE
        assert set(states(run).values()) == {"done"}
        assert {vm["power"] for vm in site.vcenter.vms().values() if not vm["template"]} == {"poweredOn"}

    def test_tells_every_machine_where_its_discovery_is(self, site: Site) -> None:
        site.provision()
        assert all(site.server_address in boot_data(site, name) for name in WHOLE[1:])

    def test_gives_private_keys_to_the_first_master_only(self, site: Site) -> None:
        site.provision()
        assert [name for name in WHOLE if "PRIVATE KEY" in boot_data(site, name)] == ["m-prod-1"]

    def test_keeps_masters_on_different_hosts(self, site: Site) -> None:
        site.provision()
        (rule,) = site.vcenter.clusters()["DC0_C0"]["rules"]
        assert sorted(rule["vms"]) == ["m-prod-1", "m-prod-2", "m-prod-3"]

    def test_writes_a_kubeconfig_that_works(self, site: Site) -> None:
        run = site.provision()
        config = yaml.safe_load(Path(run.data["kubeconfig"]).read_text())
        server = config["clusters"][0]["cluster"]["server"]
        assert config["current-context"] == "prod"
        assert server in {f"https://{site.master_address(i)}:6443" for i in (1, 2, 3)}
        assert stat.S_IMODE((site.state / "prod" / "kubeconfig").stat().st_mode) == 0o600

    def test_uses_an_existing_consul(self, open_site: Callable[..., Site]) -> None:
        site = open_site()
        with site.existing_consul() as address:
            run = site.provision(f"--consul-ip={address}")
        assert run.code == 0, run.errors
        assert site.vcenter.machine_names() == WHOLE[1:]

    def test_tells_in_a_line_what_nobody_can_read_and_reports_what_was_made(self, site: Site) -> None:
        site.vcenter.trouble("garbage", "CloneVM_Task", "w-prod-2", times=0)
        run = site.provision(masters=1, workers=2)
        assert run.code == 4, run.errors
        assert "Traceback" not in run.errors
        (failed,) = [node for node in run.data["nodes"] if node["state"] == "failed"]
        assert failed["name"] == "w-prod-2"
        assert states(run)["w-prod-1"] == "done"

    def test_leaves_no_session_behind(self, site: Site) -> None:
        site.provision()
        assert site.vcenter.sessions() == 0


class TestTheNextRun:
    def test_changes_nothing(self, site: Site) -> None:
        site.provision()
        before = site.vcenter.vms()
        site.vcenter.reset_counts()
        run = site.provision()
        assert (run.code, site.vcenter.vms()) == (0, before)
        assert "CloneVM_Task" not in site.vcenter.counts()

    def test_adds_two_workers(self, site: Site) -> None:
        site.provision()
        site.vcenter.reset_counts()
        run = site.provision(workers=5)
        assert run.code == 0, run.errors
        assert site.vcenter.machine_names() == [*WHOLE, "w-prod-4", "w-prod-5"]
        assert site.vcenter.counts()["CloneVM_Task"] == 2

    def test_refuses_fewer_with_the_command_that_removes_nodes(self, site: Site) -> None:
        site.provision()
        run = site.provision(workers=1)
        assert run.code == 2
        assert "kube-provision destroy --name prod --node w-prod-2 --node w-prod-3" in run.errors
        assert site.vcenter.machine_names() == WHOLE

    def test_after_a_kill_creates_the_rest_with_the_same_secrets(self, open_site: Callable[..., Site]) -> None:
        site = open_site(clone_time=1.0)
        with site.discovery():
            process = site.start("--masters", "3", "--workers", "3", "--parallel", "2", "--no-wait")
            until(lambda: "m-prod-1" in site.vcenter.machine_names())
            process.send_signal(signal.SIGKILL)
            finish(process)
            before = site.secrets
            run = site.provision()
            assert run.code == 0, run.errors
            assert site.vcenter.machine_names() == WHOLE
            assert (site.secrets.token, site.secrets.cluster_id) == (before.token, before.cluster_id)

    def test_scrubs_what_has_finished(self, site: Site) -> None:
        site.provision()
        site.vcenter.publish("m-prod-1", {STATUS_KEY: FINISHED})
        assert site.provision().code == 0
        assert "PRIVATE KEY" in boot_data(site, "m-prod-1"), "any process of a guest can tell that"
        with site.alive():
            assert site.provision().code == 0
        assert "PRIVATE KEY" not in boot_data(site, "m-prod-1")
        assert (
            "instance-id"
            in gzip.decompress(base64.b64decode(site.vcenter.vm("m-prod-1")["extra_config"]["guestinfo.metadata"])).decode()
        )


class TestWaiting:
    def test_ends_with_finished_nodes_whose_secrets_are_gone(self, site: Site) -> None:
        site.nodes_finish()
        assert site.provision(masters=1, workers=1).code == 0
        with site.alive(masters=1, workers=1):
            run = site.provision(masters=1, workers=1, wait=True)
        assert run.code == 0, run.errors
        assert all("PRIVATE KEY" not in boot_data(site, name) for name in ("m-prod-1", "w-prod-1"))
        assert site.secrets.initialised

    def test_is_bounded_and_names_who_is_late(self, site: Site) -> None:
        run = site.provision("--wait-timeout", "1", masters=1, workers=0, wait=True)
        assert run.code == 4
        assert states(run)["m-prod-1"] == "failed"


class TestALivingCluster:
    def test_gets_new_workers_with_a_fresh_token(self, site: Site) -> None:
        site.provision()
        site.record_initialised()
        with site.alive() as masters:
            run = site.provision(workers=4)
            assert run.code == 0, run.errors
            secrets = masters.objects.all("/api/v1/namespaces/kube-system/secrets")
        assert any(name.startswith("bootstrap-token-") for name in secrets)
        assert site.secrets.token not in boot_data(site, "w-prod-4")

    def test_gets_new_masters_with_a_fresh_upload_of_its_certificates(self, site: Site) -> None:
        site.provision()
        site.record_initialised()
        with site.alive() as masters:
            run = site.provision(masters=5)
            assert run.code == 0, run.errors
            assert "kubeadm-certs" in masters.objects.all("/api/v1/namespaces/kube-system/secrets")
        assert "PRIVATE KEY" not in boot_data(site, "m-prod-4")

    def test_that_lost_its_first_master_gets_another_through_a_survivor(self, site: Site) -> None:
        site.provision()
        site.record_initialised()
        with site.alive() as masters:
            masters.kill("m-prod-1")
            site.vcenter.destroy("m-prod-1")
            run = site.provision()
            assert run.code == 0, run.errors
            assert "m-prod-1" not in masters.nodes
            members = masters.etcd.etcdctl("m-prod-2", "member", "list")
        assert "m-prod-1" not in members
        assert "m-prod-1" in site.vcenter.machine_names()
        assert "PRIVATE KEY" not in boot_data(site, "m-prod-1")

    def test_that_lost_its_quorum_is_left_as_it_is(self, site: Site) -> None:
        site.provision(masters=2, workers=0)
        site.record_initialised()
        with site.alive(masters=2, workers=0) as masters:
            masters.kill("m-prod-1")
            site.vcenter.destroy("m-prod-1")
            run = site.provision(masters=2, workers=0)
        assert run.code == 3
        assert "etcd" in run.errors
        assert site.vcenter.machine_names() == ["consul-prod", "m-prod-2"]

    def test_without_a_living_master_gets_no_new_machines(self, site: Site) -> None:
        site.provision()
        site.record_initialised()
        run = site.provision(workers=4)
        assert run.code == 3
        assert site.vcenter.machine_names() == WHOLE

    def test_with_nothing_to_add_needs_no_living_master(self, site: Site) -> None:
        site.provision()
        site.record_initialised()
        assert site.provision().code == 0

    def test_gives_new_machines_the_kubernetes_that_it_runs_and_says_so(self, site: Site) -> None:
        site.provision()
        site.record_initialised()
        with site.alive() as masters:
            masters.objects.configure("kubernetesVersion", "v1.35.9")
            run = site.provision(workers=4)
        assert run.code == 0, run.errors
        assert "new machines get Kubernetes 1.35.9: kubernetes_version is 1.3" in run.errors
        assert "kubeadm=1.35.9-*" in boot_data(site, "w-prod-4")

    def test_drains_a_worker_before_its_machine_is_destroyed(self, site: Site) -> None:
        site.provision()
        site.record_initialised()
        with site.alive() as masters:
            run = site.run("destroy", "--node", "w-prod-3", "--yes")
            assert run.code == 0, run.errors
            assert "w-prod-3" not in masters.nodes
            assert "prod: w-prod-3 drain done: its pods have gone\n" in run.errors
            assert "prod: w-prod-3 delete-node done: no longer in the cluster\n" in run.errors
        assert site.vcenter.machine_names() == WHOLE[:-1]


class TestDestroy:
    def test_leaves_nothing_and_may_be_repeated(self, site: Site) -> None:
        site.provision()
        assert site.run("destroy", "--yes").code == 0
        assert site.vcenter.machine_names() == []
        assert site.run("destroy", "--yes").code == 0

    def test_keeps_disks_that_others_attached_and_names_them(self, site: Site) -> None:
        site.provision(masters=1, workers=1)
        volumes = [site.vcenter.attach(name, f"[LocalDS_0] fcd/{name}.vmdk") for name in ("m-prod-1", "w-prod-1")]
        run = site.run("destroy", "--yes")
        assert run.code == 0, run.errors
        assert site.vcenter.machine_names() == []
        assert set(volumes) <= set(site.vcenter.disks())
        assert all(volume in run.errors for volume in volumes)

    def test_asks_for_the_clusters_name(self, site: Site) -> None:
        site.provision(masters=1, workers=0)
        assert site.run("destroy").code == 2
        assert site.vcenter.machine_names() == ["consul-prod", "m-prod-1"]

    def test_has_an_existing_consul_forget_the_cluster(self, open_site: Callable[..., Site]) -> None:
        site = open_site()
        with site.existing_consul() as address:
            site.provision(f"--consul-ip={address}", masters=1, workers=0)
            site.record_initialised()
            assert site.run("destroy", "--yes", f"--consul-ip={address}").code == 0
            assert site.consul
            keys = json.loads(site.consul.request("GET", "/v1/kv/?keys"))
        assert not [key for key in keys if key.startswith("kube-provision/prod")]

    def test_lets_the_next_cluster_of_the_name_start_afresh(self, site: Site) -> None:
        site.provision(masters=1, workers=0)
        first = site.secrets.cluster_id
        site.run("destroy", "--yes")
        assert site.provision(masters=1, workers=0).code == 0
        assert site.secrets.cluster_id != first


class TestInterrupts:
    def test_start_nothing_new_and_report_what_happened(self, open_site: Callable[..., Site]) -> None:
        site = open_site(clone_time=1.5)
        with site.discovery():
            process = site.start("--masters", "3", "--workers", "3", "--parallel", "2", "--output", "json", "--no-wait")
            until(lambda: site.vcenter.counts().get("CloneVM_Task", 0) >= 2)
            interrupt(process)
            run = finish(process)
        assert run.code == 130
        assert run.data["interrupted"]
        created = [name for name in site.vcenter.machine_names() if name != "consul-prod"]
        assert len(created) <= 2
        assert site.vcenter.sessions() == 0

    def test_of_two_runs_at_the_same_time_one_acts(self, open_site: Callable[..., Site]) -> None:
        site = open_site(clone_time=1.5)
        with site.discovery():
            process = site.start("--masters", "1", "--workers", "1", "--no-wait")
            until(lambda: site.vcenter.counts().get("CloneVM_Task", 0) >= 1)
            process.send_signal(signal.SIGSTOP)  # however long the second one takes to begin
            second = site.provision(masters=1, workers=1)
            process.send_signal(signal.SIGCONT)
            assert finish(process).code == 0
        assert second.code == 2
        assert "prod" in second.errors
        assert site.vcenter.machine_names() == ["consul-prod", "m-prod-1", "w-prod-1"]


def test_progress_is_json_lines_on_request(site: Site) -> None:
    run = site.provision("--progress", "json", masters=1, workers=0)
    events = [json.loads(line) for line in run.errors.splitlines() if line.startswith("{")]
    assert {"create", "await"} <= {event["action"] for event in events}
