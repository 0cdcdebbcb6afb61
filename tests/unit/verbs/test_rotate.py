"""In which order masters get another key of Secrets, what keeps that from beginning, and that it may be broken off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import pytest
import yaml
from doubles import restoration
from doubles.facts import GivenFacts
from doubles.restoration import desire

from kube_provision_core.boot.api_server import KEYS
from kube_provision_core.cluster import Living
from kube_provision_core.cluster.cluster_node import ClusterNode
from kube_provision_core.cluster.desired import Desired
from kube_provision_core.cluster.observe import Observation
from kube_provision_core.contract.errors import ConfigError
from kube_provision_core.contract.machines import Discovery, Power, Role, Vm
from kube_provision_core.engine.encryption import RewriteSecrets, TurnKeys
from kube_provision_core.engine.facts import Known
from kube_provision_core.engine.plan import Action, AwaitTask, OfTask, Plan
from kube_provision_core.engine.verb import Options
from kube_provision_core.folder.encryption import Encryption, Stage, create_encryption
from kube_provision_core.verbs.rotate import plan

MADE = create_encryption()
LIVES = Discovery(initialised=True, cluster_id="id-1")
MASTERS = ("m-prod-1", "m-prod-2", "m-prod-3")


def made(vm: Vm) -> Vm:
    assert vm.stamp
    return replace(vm, stamp=replace(vm.stamp, instance="5f0c"))


WHOLE = tuple(map(made, restoration.WHOLE))


def living(*masters: str) -> Living:
    return Living(tuple(ClusterNode(name, True, ("control-plane",), "10.0.0.5") for name in masters))


def planned(
    encryption: Encryption | None = MADE,
    *,
    vms: tuple[Vm, ...] = WHOLE,
    there: tuple[str, ...] = MASTERS,
    desired: Desired | None = None,
    lives: bool = True,
    encrypts: bool = True,
    **marks: Any,
) -> Plan:
    desired = desired or desire()
    facts = GivenFacts(
        Observation(desired.cluster, vms, LIVES), initialised=Known(lives), nodes=Known(living(*there)), encrypts=encrypts
    )
    facts.folder.encryption = encryption
    vars(facts.folder).update(marks)
    found = plan(desired, facts, Options())
    done: set[str] = set()
    for action in found.actions:
        assert action.after <= done, action.key
        assert action.key not in done
        done.add(action.key)
    return found


def refused(**more: Any) -> str:
    with pytest.raises(ConfigError) as told:
        planned(**more)
    return "\n".join(told.value.problems)


def turns(found: Plan) -> list[str]:
    return [it.key for it in found.actions if isinstance(it, TurnKeys | AwaitTask | RewriteSecrets)]


ALL_STAGES = [
    "keys-reading prod",
    *(f"keys-reading {name}" for name in MASTERS),
    "keys-writing prod",
    *(f"keys-writing {name}" for name in MASTERS),
    "rewrite-secrets prod",
    "keys-leaving prod",
    *(f"keys-leaving {name}" for name in MASTERS),
    "keys-settled prod",
]


@pytest.mark.parametrize(
    ("stage", "first"),
    [
        (Stage.SETTLED, "keys-reading prod"),
        (Stage.READING, "keys-reading prod"),
        (Stage.WRITING, "keys-writing prod"),
        (Stage.LEAVING, "keys-leaving prod"),
    ],
)
def test_a_rotation_goes_on_with_the_stage_in_which_it_was_broken_off(stage: Stage, first: str) -> None:
    found = planned(MADE if stage is Stage.SETTLED else MADE.at(stage))
    assert turns(found) == ALL_STAGES[ALL_STAGES.index(first) :]
    assert [f"({stage})" in note for note in found.notes] == [True] * (stage is not Stage.SETTLED)


def test_each_action_waits_for_the_one_before_so_that_one_that_fails_keeps_all_others() -> None:
    actions = [it for it in planned().actions if not it.tolerant]
    for before, after in pairwise(actions):
        assert before.key in after.after


def test_the_plan_is_the_same_until_something_has_changed_and_tells_no_key() -> None:
    first, second = planned(), planned()
    assert [it.details for it in first.actions] == [it.details for it in second.actions]
    assert MADE.key.secret not in repr(first)
    assert MADE.next.secret not in repr(first)


def test_one_master_alone_is_told_of_what_does_not_answer_meanwhile() -> None:
    alone = replace(desire(), masters=desire().masters[:1])
    vms = tuple(it for it in WHOLE if it.name not in MASTERS[1:])
    (note,) = planned(desired=alone, vms=vms, there=MASTERS[:1]).notes
    assert note.startswith("of 1 master(s) none can be spared")


def test_what_an_earlier_run_has_left_is_taken_away_first() -> None:
    vms = tuple(replace(it, task="waits") if it.name == "w-prod-1" else it for it in WHOLE)
    found = planned(vms=vms)
    assert found.actions[0].key == "clear-task w-prod-1"
    assert found.actions[1].after == {"clear-task w-prod-1"}


def changed(name: str, **more: Any) -> tuple[Vm, ...]:
    return tuple(replace(it, **more) if it.name == name else it for it in WHOLE)


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"encryption": None, "encrypts": False}, "cluster prod does not encrypt Secrets at rest (encryption_at_rest)"),
        ({"encryption": None}, "encryption_at_rest: cluster prod was made without it"),
        ({"encrypts": False}, "encryption_at_rest: Secrets of cluster prod are encrypted"),
        ({"lives": False}, "cluster prod is not initialised, and has no Secrets yet"),
        ({"restoring": "ab"}, "cluster prod is being restored"),
        ({"abandoning": "ab"}, "cluster prod is being restored"),
        ({"vms": changed("m-prod-2", power=Power.OFF)}, "m-prod-2 does not run, and would not read what others write"),
        ({"there": MASTERS[:2]}, "m-prod-3 is no master of the cluster yet"),
        ({"there": (*MASTERS, "m-prod-7")}, "m-prod-7: the cluster counts it as a master, and there is no machine"),
        ({"vms": restoration.WHOLE}, "m-prod-1 was made by an earlier version"),
        ({"desired": replace(desire(), masters=desire().masters[:2])}, "cluster prod has 1 more machine(s) than asked for"),
        (
            {"desired": replace(desire(), workers=tuple(replace(it, role=Role.of_pool("a")) for it in desire().workers))},
            "w-prod-1: was made as worker",
        ),
    ],
)
def test_it_is_not_begun_where_a_master_could_be_left_behind(wish: dict[str, Any], said: str) -> None:
    assert refused(**wish).startswith(said)


@dataclass
class Model:
    """A cluster, as far as keys go: which each API server has read as it began, and with which each Secret lies there."""

    folder: Encryption = MADE
    servers: dict[str, tuple[str, ...]] = field(default_factory=lambda: dict.fromkeys(MASTERS, (MADE.key.name,)))
    secrets: dict[str, str] = field(default_factory=lambda: {"old": MADE.key.name})

    def do(self, action: Action) -> None:
        if isinstance(action, TurnKeys):
            self.folder = self.folder.at(action.stage)
        elif isinstance(action, RewriteSecrets):
            self.secrets = dict.fromkeys(self.secrets, self.servers["m-prod-1"][0])
        elif isinstance(action, AwaitTask):
            self.servers[action.subject] = keys_of(action)
        for name, (first, *_) in self.servers.items():
            self.secrets[f"written by {name} before {action.key}"] = first
        for key in self.secrets.values():
            assert [name for name, keys in self.servers.items() if key not in keys] == [], "a Secret that cannot be read"
        assert {key for keys in self.servers.values() for key in keys} <= {self.folder.key.name, self.folder.next.name}
        assert set(self.secrets.values()) <= {key.name for key in self.folder.keys}, "a restored cluster could not read it"

    def join(self, name: str) -> None:
        self.servers[name] = tuple(key.name for key in self.folder.keys)


def keys_of(action: OfTask) -> tuple[str, ...]:
    (file,) = [file for file in action.task.files if file.path == KEYS]
    assert (file.mode, file.secret) == (0o600, True)
    keys = yaml.safe_load(file.content)["resources"][0]["providers"][0]["secretbox"]["keys"]
    return tuple(key["name"] for key in keys)


@pytest.mark.parametrize("broken_off", range(len(ALL_STAGES) + 1))
def test_no_secret_is_unreadable_at_any_time_wherever_it_is_broken_off(broken_off: int) -> None:
    """Nor to a master that joins by what the folder says then, nor to a cluster that is restored from a backup of then."""
    model = Model()
    for action in [it for it in planned(model.folder).actions if it.key in ALL_STAGES][:broken_off]:
        model.do(action)
    model.join("m-prod-3")  # it was made anew between two runs
    for action in planned(model.folder).actions:
        model.do(action)
    assert set(model.servers.values()) == {(model.folder.key.name,)}
    assert set(model.secrets.values()) == {model.folder.key.name}
    assert (model.folder.stage, model.folder.key.name != MADE.key.name) == (Stage.SETTLED, True)
