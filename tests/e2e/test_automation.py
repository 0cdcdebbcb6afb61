"""docs/automation.md on a site: what pipelines, timer and play run is run, and a plan that no longer holds is refused."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from doubles.automation_page import ANSIBLE, GITHUB, GITLAB, PAGE, Runner, document, program
from prometheus_client.parser import text_string_to_metric_families

from .conftest import PROGRAM, Site


class Repository:
    """A cluster of two machines whose state is in a store, and whose configuration asks for a worker more."""

    def __init__(self, site: Site) -> None:
        self.site, self.store = site, site.folder / "store"
        self.store.mkdir()
        site.nodes_finish()
        site.environment["XDG_STATE_HOME"] = str(site.folder / "seen")  # a store's numbers are kept there, by its place
        assert site.provision(masters=1, workers=1).code == 0
        self.identity, self.recipient = self._keys()
        self.secrets = {"VCENTER_PASSWORD": site.vcenter.password, "STATE_IDENTITY": self.identity}
        self.environment = {**site.environment, "VCENTER_PASSWORD": site.vcenter.password}
        self.checkout = self._checked_out(site.folder / "checkout")
        done = self.run("state", "push", "prod", str(site.state))
        assert done.returncode == 0, done.stderr

    def _keys(self) -> tuple[str, str]:
        from pyrage import x25519

        identity = x25519.Identity.generate()
        return str(identity), str(identity.to_public())

    def _checked_out(self, folder: Path) -> Path:
        folder.mkdir()
        text = self.site.config.read_text() + "name: prod\nmasters: 1\nworkers: 2\nvcenter_password: ${VCENTER_PASSWORD}\n"
        (folder / "prod.yml").write_text(text)
        (folder / "operators.txt").write_text(f"{self.recipient}\n")
        return folder

    @property
    def state(self) -> dict[str, str]:
        """What pages say of it, but for where it is."""
        path = self.site.folder / "identity"
        path.write_text(self.identity)
        path.chmod(0o600)
        return {
            "KUBE_PROVISION_STATE": f"file://{self.store}",
            "KUBE_PROVISION_STATE_RECIPIENTS_FILE": "operators.txt",
            "KUBE_PROVISION_STATE_IDENTITY_FILE": str(path),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.shell(shlex.join(["kube-provision", *words]))

    def shell(self, text: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = f"{PROGRAM.parent}:{os.environ['PATH']}"
        return subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=self.checkout,
            env={**os.environ, **self.environment, **self.state, "PATH": path, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def job(self, name: str) -> list[subprocess.CompletedProcess[str]]:
        """One of GitHub's. Where the state is, is this test's; the rest is the page's."""
        workflow = document(GITHUB)
        told = {**workflow["env"], "KUBE_PROVISION_STATE": f"file://{self.store}"}
        runner = Runner(self.checkout, {**self.site.environment, **told}, self.secrets, self.site.folder / f"runner-{name}")
        done = list(runner.run(workflow["jobs"][name]))
        for step in done:
            assert self.site.vcenter.password not in step.stdout + step.stderr
            assert self.identity not in step.stdout + step.stderr
        self.summary = runner.summary.read_text() if runner.summary.exists() else ""
        return done

    @property
    def machines(self) -> list[str]:
        return self.site.vcenter.machine_names()


BEFORE, AFTER = ["consul-prod", "m-prod-1", "w-prod-1"], ["consul-prod", "m-prod-1", "w-prod-1", "w-prod-2"]


@pytest.fixture
def repository(site: Site) -> Iterator[Repository]:
    made = Repository(site)
    with site.alive(masters=1, workers=2):
        yield made


def test_what_was_reviewed_is_what_github_applies_and_once(repository: Repository) -> None:
    plan = repository.job("plan")
    assert [step.returncode for step in plan] == [0, 0], plan[-1].stderr
    assert "+ create w-prod-2 it does not exist" in repository.summary
    assert repository.machines == BEFORE

    applied = repository.job("apply")
    assert [step.returncode for step in applied] == [0, 0], applied[-1].stderr
    assert repository.machines == AFTER
    assert (repository.checkout / "run.html").exists()

    refused = repository.job("apply")
    assert [step.returncode for step in refused] == [0, 2], refused[-1].stderr
    assert said_on_the_page() <= {*re.sub(r"vm-\d+", "vm-62", refused[-1].stderr).splitlines()}
    assert repository.machines == AFTER


def said_on_the_page() -> set[str]:
    (text,) = re.findall(r"^```text\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return {*text.splitlines()}


def test_gitlab_applies_no_plan_that_somebody_has_overtaken_by_hand(repository: Repository) -> None:
    jobs = document(GITLAB)
    (*_, planning), (applying,) = jobs["plan"]["script"], jobs["apply"]["script"]
    assert repository.shell(planning).returncode == 0
    assert repository.machines == BEFORE
    assert repository.run("provision", "--config", "prod.yml", "--no-wait").returncode == 0
    refused = repository.shell(applying)
    assert (refused.returncode, repository.machines) == (2, AFTER), refused.stderr

    for line in (*jobs["plan"]["script"], applying):
        done = repository.shell(line)
        assert done.returncode == 0, done.stderr
    assert repository.machines == AFTER
    for path in (*jobs["plan"]["artifacts"]["paths"], *jobs["apply"]["artifacts"]["paths"]):
        assert (repository.checkout / path).exists()


def test_the_timers_service_mends_and_writes_numbers(repository: Repository) -> None:
    state = repository.site.folder / "var"
    (state / "kube-provision/metrics").mkdir(parents=True)
    shutil.copytree(repository.site.state / "prod", state / "kube-provision/prod")
    command = program("kube-provision").replace("%S", str(state)).replace("%i", "prod")
    done = repository.shell(command, KUBE_PROVISION_STATE="")
    assert done.returncode == 0, done.stderr
    assert repository.machines == AFTER
    text = (state / "kube-provision/metrics/prod.prom").read_text()
    samples = {it.name: it.value for family in text_string_to_metric_families(text) for it in family.samples}
    assert samples["kube_provision_run_exit_code"] == 0


def test_the_play_applies_what_it_has_planned(repository: Repository) -> None:
    """Its commands, and the files between them; what a plan says that it is asked for is in there."""
    (play,) = document(ANSIBLE)
    plan, apply = (task["ansible.builtin.command"]["argv"] for task in play["tasks"] if "ansible.builtin.command" in task)
    planned = repository.run(*plan[1:])
    assert planned.returncode == 0, planned.stderr
    assert json.loads(planned.stdout)["changes"] > 0
    assert {"mark", "action", "subject", "reason"} <= json.loads(planned.stdout)["actions"][0].keys()
    (repository.checkout / "plan.json").write_text(planned.stdout)
    assert repository.run(*apply[1:]).returncode == 0
    assert repository.machines == AFTER
