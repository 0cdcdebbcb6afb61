"""What runs write into the cluster's history, and tell discovery of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from doubles.memory import MemoryTarget
from doubles.site import Operator, Site

from kube_provision_core import __version__, hookimpl
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import BusyError, ConfigError, DiscoveryError, FolderError
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine.report import Report
from kube_provision_core.engine.session import open_session
from kube_provision_core.engine.verb import Options, Verb
from kube_provision_core.folder.history import Chain, Run
from kube_provision_core.verbs import planning, run
from kube_provision_core.verbs.destroy import DESTROY
from kube_provision_core.verbs.history import ClusterHistory, history
from kube_provision_core.verbs.provision import PROVISION
from kube_provision_core.verbs.recording import NO_DIGEST, recorded

HERE = "10.200.200.1"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path, address=HERE)


def chain(site: Site) -> Chain:
    assert site.folder
    return site.folder.history.read()


def runs(site: Site) -> list[Run]:
    return list(chain(site).runs.values())


def how(site: Site) -> list[tuple[str, int | None]]:
    return [(run.verb, run.exit_code) for run in runs(site)]


def known(site: Site) -> str:
    """The head, as discovery keeps it."""
    assert site.folder
    cluster_id, head = site.registry.head.split()
    assert cluster_id == site.folder.cluster_id
    return head


def seen(site: Site) -> ClusterHistory:
    with site.session() as session:
        return history(session, site.state)


class TestARun:
    def test_that_changes_something_is_told_with_its_plan_and_its_end(self, site: Site) -> None:
        with site.session() as session:
            _, identity = planning.plan(PROVISION, session, Options())
        site.provision()
        (told,) = runs(site)
        assert (told.verb, told.digest, told.program) == ("provision", identity.digest, __version__)
        assert (told.changes, told.options, told.exit_code) == ({"+": 5, "~": 1}, {}, 0)
        assert told.outcomes == {"done": 11}

    def test_that_changes_nothing_is_not_told(self, site: Site) -> None:
        site.provision()
        before = chain(site)
        site.provision()
        assert chain(site) == before

    def test_is_told_with_what_was_asked_for_alone(self, site: Site) -> None:
        site.provision()
        site.destroy("w-prod-2", draining=None)
        assert runs(site)[-1].options == {"nodes": ["w-prod-2"], "draining": None}
        assert how(site) == [("provision", 0), ("destroy", 0)]

    def test_that_failed_in_part_says_so(self, site: Site) -> None:
        site.world.breaks.add("w-prod-1")
        site.provision()
        (told,) = runs(site)
        assert (told.exit_code, told.outcomes["failed"]) == (4, 1)

    def test_is_written_down_before_it_changes_anything(self, site: Site) -> None:
        found: list[list[tuple[str, int | None]]] = []

        class Looking(MemoryTarget):
            @hookimpl
            def provision_vm(self, node, boot):  # type: ignore[no-untyped-def]
                found.append(how(site))
                return MemoryTarget.provision_vm(self, node, boot)

        site.target = Looking
        site.provision(masters=1, workers=0)
        assert found == [[("provision", None)]]

    def test_that_is_refused_is_not_told(self, site: Site) -> None:
        site.provision()
        with site.session(workers=3) as session, pytest.raises(ConfigError):
            run.run(PROVISION, session, Options(), Operator(site, agree=_refuse))
        assert how(site) == [("provision", 0)]

    def test_of_which_nothing_can_be_written_changes_nothing(self, site: Site) -> None:
        site.provision()
        (site.state / "prod" / "history.jsonl").chmod(0o644)
        with pytest.raises(FolderError, match=r"history\.jsonl"):
            site.provision(workers=3)
        assert "w-prod-3" not in site.world.vms

    def test_whose_end_cannot_be_written_says_so_in_its_report(self, site: Site) -> None:
        site.listen = lambda event: (site.state / "prod" / "history.jsonl").chmod(0o644)
        report = site.provision()
        assert (report.exit_code, "history.jsonl" in report.folder_error) == (4, True)

    def test_that_bakes_is_about_no_cluster(self, site: Site) -> None:
        with open_session(site.config(), None) as session:
            planned, identity = planning.plan(PROVISION, session, Options())
            seen = planning.look(session).seen
            with recorded(PROVISION, session, seen, planned, identity) as ends:
                report = Report("prod", (), seen)
                assert ends(report) is report
        assert (planned.changes != (), site.registry.head) == (True, "")


class TestARunThatEndsBeforeItHasAReport:
    @pytest.mark.parametrize(
        ("problem", "code"),
        [
            (DiscoveryError("no leader"), 3),
            (BusyError("another run"), 2),
            (KeyboardInterrupt(), 130),
            (ValueError("a bug"), 1),
        ],
    )
    def test_has_ended_all_the_same(self, site: Site, problem: BaseException, code: int) -> None:
        def fail(*_: object) -> None:
            raise problem

        verb = Verb("provision", PROVISION.needs, PROVISION.plan, report=fail, begin=PROVISION.begin)  # type: ignore[arg-type]
        with site.session() as session, pytest.raises(type(problem)):
            run.run(verb, session, Options(), Operator(site))
        assert how(site) == [("provision", code)]
        assert known(site) == chain(site).head

    def test_tells_what_ended_it_where_that_cannot_be_written(self, site: Site) -> None:
        def fail(*_: object) -> None:
            (site.state / "prod" / "history.jsonl").chmod(0o644)
            raise ValueError("a bug")

        verb = Verb("provision", PROVISION.needs, PROVISION.plan, report=fail, begin=PROVISION.begin)  # type: ignore[arg-type]
        with site.session() as session, pytest.raises(ValueError, match="a bug"):
            run.run(verb, session, Options(), Operator(site))


class TestDiscovery:
    def test_knows_the_head_as_a_run_begins_and_as_it_ends(self, site: Site) -> None:
        found: list[str] = []
        site.listen = lambda event: found.append(known(site))
        site.provision()
        assert set(found) == chain(site).runs.keys()
        assert known(site) == chain(site).head

    def test_of_the_clusters_own_is_told_once_it_has_booted(self, site: Site) -> None:
        site.address = None
        site.provision()
        assert site.registry.head == ""
        site.world.statuses["consul-prod"] = NodeStatus(Stage.FINISH, "done")
        site.provision(workers=3)
        assert known(site) == chain(site).head

    def test_that_is_silent_keeps_no_run_from_being_told(self, site: Site) -> None:
        site.provision()
        before = site.registry.head
        site.listen = lambda event: setattr(site.registry, "silent", True)
        site.destroy("w-prod-2", draining=None)
        assert how(site) == [("provision", 0), ("destroy", 0)]
        assert chain(site).has(known(site))
        assert site.registry.head != before

    def test_that_falls_silent_as_a_run_begins_keeps_it_from_nothing(self, site: Site) -> None:
        site.provision()
        with site.session() as session:

            def agree(_: object) -> None:
                site.registry.silent = True

            with pytest.raises(DiscoveryError):
                run.run(DESTROY, session, Options(nodes=("w-prod-2",), draining=None), Operator(site, agree=agree))
        assert how(site) == [("provision", 0), ("destroy", 3)]

    def test_forgets_it_with_the_cluster(self, site: Site) -> None:
        site.provision()
        site.destroy()
        (aside,) = site.state.glob("prod.destroyed-*")
        lines = [json.loads(line) for line in (aside / "history.jsonl").read_text().splitlines()]
        assert [line.get("verb") or line["exit_code"] for line in lines] == ["provision", 0, "destroy", 0]
        assert (site.registry.head, site.folder) == ("", None)

    @pytest.mark.parametrize("written", ["x" * 500_000, "\x1b[2J", ""])
    def test_that_somebody_else_has_written_to_is_not_believed_and_not_quoted(self, site: Site, written: str) -> None:
        site.provision()
        site.registry.head = f"{site.registry.head.split()[0]} {written}"
        assert seen(site).known == NO_DIGEST
        assert "no digest" in seen(site).fault

    def test_that_keeps_the_head_of_another_cluster_of_the_name_says_nothing_of_this_one(self, site: Site) -> None:
        site.registry.head = f"another {'0f' * 32}"
        site.provision()
        assert runs(site)[0].lost == ""


class TestIsSeen:
    def test_whole(self, site: Site) -> None:
        site.provision()
        found = seen(site)
        assert (found.fault, found.unknown, found.known, found.head) == ("", "", known(site), chain(site).head)
        assert [run.verb for run in found.runs] == ["provision"]

    def test_a_run_that_was_killed(self, site: Site) -> None:
        site.provision()
        assert site.folder
        site.folder.history.begin(Run("destroy", {}, "", {}, ""), "")
        assert (seen(site).fault, how(site)[-1]) == ("", ("destroy", None))

    def test_cut_at_its_end(self, site: Site) -> None:
        site.provision()
        path = site.state / "prod" / "history.jsonl"
        path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
        assert "is not there: the last lines were cut, or changed" in seen(site).fault

    def test_changed(self, site: Site) -> None:
        site.provision()
        path = site.state / "prod" / "history.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"verb":"provision"', b'"verb":"prohibit!"'))
        assert seen(site).fault.startswith("line 2 was not written after what is before it")

    def test_made_anew_by_a_run_that_goes_on_and_tells_what_was_lost(self, site: Site) -> None:
        site.provision()
        lost = chain(site).head
        (site.state / "prod" / "history.jsonl").unlink()
        assert seen(site).fault
        site.destroy("w-prod-2", draining=None)
        assert (seen(site).fault, [run.lost for run in runs(site)]) == ("", [lost])

    def test_by_nobody_who_could_compare_it(self, site: Site) -> None:
        site.provision()
        site.registry.silent = True
        found = seen(site)
        assert (found.known, found.unknown, found.fault) == (None, f"{HERE} does not answer", "")
        site.registry.silent, site.address = False, None
        assert seen(site).unknown == "there is no discovery service"

    def test_of_a_folder_of_before_there_was_one(self, site: Site) -> None:
        site.provision()
        (site.state / "prod" / "history.jsonl").unlink()
        site.registry.head = ""
        assert (seen(site).runs, seen(site).fault, seen(site).known) == ((), "", "")

    def test_not_where_there_is_no_folder(self, site: Site) -> None:
        with pytest.raises(ConfigError, match="cluster prod has no folder at"):
            seen(site)
        site.provision()
        with site.session() as session:
            shutil.rmtree(site.state / "prod")
            with pytest.raises(ConfigError, match="cluster prod has no folder at"):
                history(session, site.state)


def _refuse(_: object) -> None:
    raise ConfigError("not agreed to")
