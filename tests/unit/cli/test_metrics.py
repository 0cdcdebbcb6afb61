"""`--metrics` on whole command lines: numbers that Prometheus' own parser reads, however the run ends."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from doubles.told_run import HOSTILE, Told
from prometheus_client.parser import text_string_to_metric_families

from kube_provision_core import KubeProvisionError, __version__
from kube_provision_core.cli.metrics import MARK, OF_PROGRAM, OUTCOMES, Metrics
from kube_provision_core.cli.program import SUMMARIES, program
from kube_provision_core.cli.progress import Progress
from kube_provision_core.cli.running import Running
from kube_provision_core.contract.kept_files import leftovers

PROVISION = ["-c", "config.yml", "-m", "1", "-w", "2", "--no-wait"]
FILE = Path("prod.prom")
METRICS = ["--metrics", FILE]
SERIES = {
    f"kube_provision_run_{name}" for name in ("outcome", "exit_code", "duration_seconds", "end_timestamp_seconds", "info")
}


@pytest.fixture(autouse=True)
def nothing_half_written(world) -> Iterator[None]:
    yield
    assert list(leftovers(Path())) == []


class Read:
    """What a file says, by Prometheus' own parser."""

    def __init__(self, path: Path = FILE) -> None:
        self.families = list(text_string_to_metric_families(path.read_text()))
        assert len({family.name for family in self.families}) == len(self.families)
        assert all(family.type == "gauge" and family.documentation for family in self.families)
        self.samples = [sample for family in self.families for sample in family.samples]

    @property
    def names(self) -> set[str]:
        return {sample.name for sample in self.samples}

    def value(self, name: str) -> float:
        (sample,) = (it for it in self.samples if it.name == f"kube_provision_run_{name}")
        return float(sample.value)

    def by(self, name: str, *labels: str) -> dict[tuple[str, ...], float]:
        """The samples that are not 0, by some of their labels."""
        mine = [it for it in self.samples if it.name == f"kube_provision_run_{name}" and it.value]
        return {tuple(it.labels[label] for label in labels): it.value for it in mine}

    @property
    def outcome(self) -> str:
        ((outcome,),) = self.by("outcome", "outcome")
        return outcome

    def of(self, label: str) -> set[str]:
        return {sample.labels[label] for sample in self.samples}


def test_whatever_shows_progress_can_write_them() -> None:
    context = program.make_context("kube-provision", ["--help"], resilient_parsing=True)
    options = {name: {it.name for it in program.get_command(context, name).params} for name in SUMMARIES}
    assert {name for name, found in options.items() if "metrics" in found} == {
        name for name, found in options.items() if "progress" in found
    }


def test_a_run_in_numbers(run, world) -> None:
    before = time.time()
    assert run("provision", *PROVISION, *METRICS).code == 0
    read = Read()
    assert (read.outcome, read.value("exit_code")) == ("done", 0)
    assert (read.of("cluster"), read.of("command")) == ({"prod"}, {"provision"})
    assert 0 < read.value("duration_seconds") <= time.time() - before + 1
    assert before - 1 <= read.value("end_timestamp_seconds") <= time.time() + 1
    assert read.by("info", "version") == {(__version__,): 1}
    assert read.by("actions", "action", "state")["create", "done"] == 4
    nodes = {("master", "done", "unknown"): 1, ("worker", "done", "unknown"): 2, ("discovery", "done", "unknown"): 1}
    assert read.by("nodes", "role", "state", "ready") == nodes


def test_whoever_collects_them_may_read_them(run, world) -> None:
    mask = os.umask(0o077)
    try:
        run("provision", *PROVISION, *METRICS)
    finally:
        os.umask(mask)
    assert FILE.stat().st_mode & 0o777 == 0o644


def test_what_fails_is_counted(run, world) -> None:
    world.breaks.add("w-prod-1")
    assert run(*PROVISION, *METRICS).code == 4
    read = Read()
    assert (read.outcome, read.value("exit_code")) == ("partly_done", 4)
    assert read.by("actions", "action", "state")["create", "failed"] == 1
    assert read.by("nodes", "role", "state")["worker", "failed"] == 1


def test_machines_that_are_gone_are_counted_no_more(run, world) -> None:
    run(*PROVISION)
    run("destroy", "--yes", *PROVISION[:-1], *METRICS)
    read = Read()
    assert (read.outcome, read.of("command"), read.by("nodes", "role")) == ("done", {"destroy"}, {})
    assert read.by("actions", "action")[("destroy",)] == 4


def test_a_bake_counts_its_actions_alone(run, shelf) -> None:
    assert run("bake", "-c", "config.yml", *METRICS).code == 0
    assert (Read().names, Read().outcome) == ({*SERIES, "kube_provision_run_actions"}, "done")


@pytest.mark.parametrize(
    ("words", "cluster"),
    [
        (["replace", "--yes", "w-prod-9", "-c", "config.yml"], "prod"),
        (["provision", "-c", "config.yml", "-e", "masters=no"], ""),
        (["provision", "-c", "nowhere.yml", "--name", "other"], "other"),
    ],
    ids=["by its plan", "by its configuration", "without one"],
)
def test_what_is_refused_says_so(run, world, words: list[str], cluster: str) -> None:
    """Whoever watches a nightly run has to hear of it, too."""
    assert run("provision", *PROVISION, *METRICS).code == 0
    assert run(*words, *METRICS).code == 2
    read = Read()
    assert (read.outcome, read.value("exit_code"), read.of("cluster")) == ("refused", 2, {cluster})
    assert read.names == SERIES


def test_another_run_that_is_at_work_says_so(run, world) -> None:
    from kube_provision_core.folder.on_disk import StateOnDisk

    with StateOnDisk(Path("state/kube-provision").absolute()).lock("prod"):
        assert run("provision", *PROVISION, *METRICS).code == 2
    assert Read().outcome == "refused"


@pytest.mark.parametrize(
    ("problem", "code", "outcome"), [(KeyboardInterrupt(), 130, "interrupted"), (RuntimeError("bug"), 1, "bug")]
)
def test_so_does_what_ends_before_its_first_action(run, world, monkeypatch, problem, code: int, outcome: str) -> None:
    def end(_: object) -> str:
        raise problem

    monkeypatch.setattr("kube_provision_core.cli.running.plan_table", end)
    if code == 1:
        with pytest.raises(RuntimeError):
            run(*PROVISION, *METRICS)
    else:
        assert run(*PROVISION, *METRICS).code == code
    assert (Read().outcome, Read().value("exit_code")) == (outcome, code)


def test_every_exit_code_has_a_word(tmp_path) -> None:
    for code in (0, 1, 2, 3, 4, 130):
        assert code in OUTCOMES
    metrics = Metrics(tmp_path / "a.prom", "exec", "prod")
    metrics.write(Told("w-1").end().report, None, 7)
    read = Read(tmp_path / "a.prom")
    assert (read.outcome, read.value("exit_code")) == (OF_PROGRAM, 7)


def test_a_plugin_s_own_exit_code_is_a_failure_s(tmp_path) -> None:
    class OwnError(KubeProvisionError):
        exit_code = 5

    Metrics(tmp_path / "a.prom", "provision", "prod").write(None, OwnError("why"))
    read = Read(tmp_path / "a.prom")
    assert (read.outcome, read.value("exit_code")) == ("failed", 5)


def test_names_stay_what_they_are_whatever_they_hold(tmp_path) -> None:
    name = f'{HOSTILE}\n\\"}} 1'
    Metrics(tmp_path / "a.prom", "provision", name).write(None, None)
    assert Read(tmp_path / "a.prom").of("cluster") == {name}


def test_those_of_an_earlier_run_are_replaced_in_one_step(run, world) -> None:
    run(*PROVISION, *METRICS)
    before = FILE.open()
    run(*PROVISION, *METRICS)
    assert Read().by("actions", "action").get(("create",)) is None
    assert 'action="create"' in before.read()
    before.close()


def refused(run, world, path: object) -> str:
    ran = run(*PROVISION, "--metrics", path)
    assert (ran.code, world.vms) == (2, {})
    return ran.line


def test_a_file_of_somebody_else_is_not(run, world) -> None:
    FILE.write_text("# HELP node_load1 1m load average.\n")
    assert "prod.prom: is no file of metrics of ours" in refused(run, world, FILE)


def test_nor_is_what_a_link_leads_to(run, world) -> None:
    Path("other.prom").write_bytes(MARK)
    FILE.symlink_to("other.prom")
    assert "is no plain file" in refused(run, world, FILE)


@pytest.mark.parametrize("page", ["prod.prom", "folder/../prod.prom", "link/prod.prom"])
def test_nor_is_the_page_of_the_same_run(run, world, page) -> None:
    Path("folder").mkdir()
    Path("link").symlink_to(".")
    ran = run(*PROVISION, "--report", page, *METRICS)
    assert ran.code == 2
    assert "--report and --metrics name the same file" in ran.line
    assert not FILE.exists()
    assert not world.vms


@pytest.mark.parametrize("path", [".", "missing/prod.prom", "config.yml/prod.prom", "/proc/prod.prom"])
def test_where_nothing_can_be_written_nothing_is_run(run, world, path: str) -> None:
    assert path.strip("./") in refused(run, world, path)


def test_nothing_that_runs_no_plan_takes_them(run, world, shelf) -> None:
    assert "--metrics goes with `certificates renew`" in run("certificates", "-c", "config.yml", *METRICS).line
    assert "--metrics does not go with --script" in run("bake", "--script", "-c", "config.yml", *METRICS).line


def test_those_that_cannot_be_written_any_more_are_told_and_end_no_run(tmp_path, capfd) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    told = Told("w-1").end()
    assert told.report
    with Running("prod", Progress("plain", metrics=Metrics(folder / "prod.prom", "provision"))) as user:
        shutil.rmtree(folder)
        user.end(told.report)
    assert user.finish(told.report, "table") == 74
    assert "prod.prom: the file of metrics cannot be written any more: No such file" in capfd.readouterr().err


PAGE = Path(__file__).parents[3] / "docs/automation.md"


def test_its_page_names_every_metric_with_its_labels(run, world) -> None:
    assert run("provision", *PROVISION, *METRICS).code == 0
    labels = {it.name: frozenset(it.labels) - {"cluster", "command"} for it in Read().samples}
    rows = re.findall(r"^\| `(kube_provision_\w+)` \|([^|]*)\|", PAGE.read_text(), re.MULTILINE)
    assert {name: frozenset(re.findall(r"`(\w+)`", cell)) for name, cell in rows} == labels


def test_its_page_names_every_outcome() -> None:
    (row,) = re.findall(r"^\| `kube_provision_run_outcome` .*$", PAGE.read_text(), re.MULTILINE)
    assert {*OUTCOMES.values(), OF_PROGRAM} <= {*re.findall(r"`(\w+)`", row)}


def test_the_rules_of_its_page_ask_for_what_there_is(run, world) -> None:
    assert run("provision", *PROVISION, *METRICS).code == 0
    text = PAGE.read_text().partition('```yaml title="kube-provision.rules.yml"\n')[2].partition("```")[0]
    (group,) = yaml.safe_load(text)["groups"]
    asked = {name for rule in group["rules"] for name in re.findall(r"kube_provision_\w+", rule["expr"])}
    assert asked
    assert asked <= Read().names
