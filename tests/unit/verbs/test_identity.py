"""Plans that are made, kept and applied later: carried out where nothing has changed, refused with what has where it has."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest
from doubles.site import Operator, Site

from kube_provision_core import verbs
from kube_provision_core.cli.plans import plan_data
from kube_provision_core.contract.boot import Stage
from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Discovery, MasterRecord, Power
from kube_provision_core.contract.status import NodeStatus
from kube_provision_core.engine import identity
from kube_provision_core.engine.identity import Identity
from kube_provision_core.engine.session import open_session
from kube_provision_core.engine.verb import Options, Verb
from kube_provision_core.verbs import planning, run
from kube_provision_core.verbs.destroy import DESTROY
from kube_provision_core.verbs.provision import PROVISION

pytestmark = pytest.mark.usefixtures("look_often")

ONE_MORE = {"workers": 3}
"""What is planned below: a third worker beside two that exist."""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A cluster that stands."""
    site = Site(tmp_path / "state")
    site.provision()
    return site


def planned(site: Site, verb: Verb = PROVISION, options: Options | None = None, **keys: object) -> Identity:
    """As it is read from what `plan --output json` has printed."""
    with open_session(site.config(**(ONE_MORE | keys)), site.state) as session:
        plan, made = planning.plan(verb, session, options or Options())
    read = identity.read(json.dumps(plan_data(plan, made)), "plan.json")
    assert read == made
    return read


def apply(site: Site, agreed: Identity, verb: Verb = PROVISION, **keys: object) -> int:
    with site.session(**(ONE_MORE | keys)) as session:
        options = Options(**vars(agreed.wish))
        return run.run(verb, session, options, Operator(site), agreed).exit_code


def refusal(site: Site, agreed: Identity, verb: Verb = PROVISION, **keys: object) -> tuple[str, ...]:
    """What is said; nobody may have been asked for more than how things are."""
    called: set[str] = set()
    with site.session(**(ONE_MORE | keys)) as session:
        session.plugins.add_hookcall_monitoring(lambda name, *_: called.add(name), lambda *_: None)
        with pytest.raises(ConfigError) as refused:
            run.run(verb, session, Options(**vars(agreed.wish)), Operator(site), agreed)
    assert called <= {"list_vms", "discover_masters", "preflight", "os_packages"}
    assert "would no longer do what was planned, and nothing was touched" in refused.value.problems[0]
    return refused.value.problems[1:]


def test_a_plan_that_still_holds_is_carried_out(site: Site) -> None:
    assert apply(site, planned(site)) == 0
    assert "w-prod-3" in site.world.vms


def test_a_plan_is_carried_out_once(site: Site) -> None:
    agreed = planned(site)
    apply(site, agreed)
    assert "create w-prod-3: is no longer to be done" in refusal(site, agreed)


# --- what matters ---------------------------------------------------------------------------------------------------


def test_a_machine_that_is_gone(site: Site) -> None:
    agreed = planned(site)
    del site.world.vms["w-prod-1"]
    told = refusal(site, agreed)
    assert told == ("machines w-prod-1: was memory-w-prod-1, is absent", "create w-prod-1: is to be done now")


def test_a_machine_that_came(site: Site) -> None:
    agreed = planned(site, workers=4)
    site.provision(workers=3)
    assert "machines w-prod-3: was absent, is memory-w-prod-3" in refusal(site, agreed, workers=4)


def test_a_machine_that_was_made_anew(site: Site) -> None:
    agreed = planned(site)
    site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], id="another")
    assert refusal(site, agreed) == ("machines w-prod-1: was memory-w-prod-1, is another",)


def test_a_machine_that_was_powered_off(site: Site) -> None:
    agreed = planned(site)
    site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], power=Power.OFF)
    assert refusal(site, agreed) == ("start w-prod-1: is to be done now",)


@pytest.mark.parametrize("keys", [{"cpu": 8}, {"packages": ["htop"]}, {"kubernetes_version": "1.35"}])
def test_another_configuration(site: Site, keys: dict[str, object]) -> None:
    told = refusal(site, planned(site), **keys)
    assert any(line.startswith("configuration worker: was") for line in told)


def test_another_content_of_a_file_that_the_configuration_names(site: Site, tmp_path: Path) -> None:
    manifest = tmp_path / "network.yml"
    manifest.write_text("kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}\n")
    keys: dict[str, object] = {"seed_manifests": [str(manifest)]}
    agreed = planned(site, **keys)
    manifest.write_text("kind: ConfigMap\napiVersion: v1\nmetadata: {name: b}\n")
    assert any(line.startswith("configuration master: was") for line in refusal(site, agreed, **keys))


def test_another_number_of_machines(site: Site) -> None:
    assert "create w-prod-4: is to be done now" in refusal(site, planned(site), workers=4)


def test_another_folder(site: Site, tmp_path: Path) -> None:
    fresh = Site(tmp_path / "fresh")
    agreed = planned(fresh)
    other = Site(tmp_path / "other", world=fresh.world)
    with other.session() as session:
        session.folder.save()
    (told,) = refusal(other, agreed)
    assert told.startswith("folder: was none, is ")


def test_another_version_of_a_plugin(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = planned(site)
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "9.9" if name == "tests" else version(name))
    assert "plugins target memory: was tests , is tests 9.9" in refusal(site, agreed)


def test_another_version_of_the_program(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    agreed = planned(site)
    monkeypatch.setattr(identity, "__version__", "9.9")
    assert any(line.startswith("program: was") for line in refusal(site, agreed))


def test_another_address_of_discovery_that_new_machines_are_told(site: Site) -> None:
    agreed = planned(site)
    site.world.addresses["consul-prod"] = "127.254.9.9"
    assert refusal(site, agreed) == ("discovery: was 127.254.0.1, is 127.254.9.9",)


def test_another_wish(site: Site) -> None:
    assert planned(site).digest != planned(site, options=Options(wait=True)).digest


# --- what does not --------------------------------------------------------------------------------------------------


def _time_passes(site: Site) -> None:
    site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], on_since=1.0)


def _a_node_goes_on(site: Site) -> None:
    site.world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "running", doing="joins", log=("a line",))


def _a_node_fails(site: Site) -> None:
    site.world.statuses["w-prod-1"] = NodeStatus(Stage.JOIN, "failed", "no route")


def _a_worker_finishes(site: Site) -> None:
    site.world.statuses["w-prod-1"] = NodeStatus(Stage.FINISH, "done")


def _a_worker_is_scrubbed(site: Site) -> None:
    site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], scrubbed=True)


def _a_worker_gets_another_address(site: Site) -> None:
    site.world.addresses["w-prod-1"] = "127.254.9.9"


def _discovery_sees_a_master_come_and_go(site: Site) -> None:
    site.registry.record = Discovery(initialised=False, masters=(MasterRecord("m-prod-1", "127.254.0.2"),))


UNIMPORTANT = (
    _time_passes,
    _a_node_goes_on,
    _a_node_fails,
    _a_worker_finishes,
    _a_worker_is_scrubbed,
    _a_worker_gets_another_address,
    _discovery_sees_a_master_come_and_go,
)


@pytest.mark.parametrize("change", UNIMPORTANT)
@pytest.mark.parametrize("wait", [False, True], ids=["without waiting", "waiting"])
def test_what_the_plan_does_not_rest_on(site: Site, change: Callable[[Site], None], wait: bool) -> None:
    options = Options(wait=wait)
    agreed = planned(site, options=options)
    change(site)
    assert planned(site, options=options).digest == agreed.digest


# --- destroy --------------------------------------------------------------------------------------------------------


def test_a_planned_destruction(site: Site) -> None:
    agreed = planned(site, DESTROY)
    site.world.vms["w-prod-1"] = replace(site.world.vms["w-prod-1"], id="another")
    assert "destroy w-prod-1: is to be done otherwise" in refusal(site, agreed, DESTROY)
    assert apply(site, planned(site, DESTROY), DESTROY) == 0
    assert site.world.vms == {}


def test_a_planned_destruction_of_one_node_is_of_that_one_again(site: Site) -> None:
    agreed = planned(site, DESTROY, Options(nodes=("w-prod-2",), draining=None))
    assert agreed.wish.draining is None
    site.world.statuses["w-prod-1"] = NodeStatus(Stage.FINISH, "done")
    assert apply(site, agreed, DESTROY) == 0
    assert "w-prod-2" not in site.world.vms
    assert len(site.world.vms) == 5


# --- what is no plan ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"verb": 1}', '{"actions": [1]}', "[" * 100_000])
def test_a_file_that_is_no_plan_is_one_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^plan\.json: is no plan"):
        identity.read(text, "plan.json")


def test_a_plan_that_was_edited_is_refused(site: Site) -> None:
    with open_session(site.config(**ONE_MORE), site.state) as session:
        plan, made = planning.plan(PROVISION, session, Options())
    data = plan_data(plan, made)
    data["actions"] = [action for action in data["actions"] if action["action"] != "create"]
    with pytest.raises(ConfigError, match=r"^plan\.json: was changed after it was planned"):
        identity.read(json.dumps(data), "plan.json")


def test_a_plan_of_another_cluster_is_no_plan_of_this_one(site: Site) -> None:
    """What its machines are called is no matter, then."""
    agreed = replace(planned(site, DESTROY, Options(nodes=("w-prod-2",))), cluster="test")
    agreed = replace(agreed, options={**agreed.options, "nodes": ["w-test-9"]})
    with pytest.raises(ConfigError, match="it was planned for cluster test, and this is prod; nothing was touched"):
        apply(site, agreed, DESTROY)
    assert "w-prod-2" in site.world.vms


# --- verbs by their names -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", verbs.NAMES)
def test_a_verb_that_can_be_planned_is_found_by_its_name(name: str) -> None:
    assert verbs.named(name).name == name


def test_what_cannot_be_planned_is_named_with_what_can() -> None:
    can = "provision, replace, upgrade, destroy, renew, rotate, restore, bake"
    with pytest.raises(ConfigError, match=f"^status: cannot be planned; what can: {can}$"):
        verbs.named("status")
