"""What every extension promises, as checks: it adds to each machine, or wraps what others add, and disturbs nobody."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pluggy
import pytest

from .. import BootFragment, Cluster, Component, File, Node, Packages, Role, Stage, Step, hookimpl
from .connected import Connected
from .fixtures import DriverChecks
from .fragments import flaws, open_texts, script_flaws
from .guards import logged, telling
from .parts import PartChecks
from .samples import SECRET, node_of

OTHERS = BootFragment(
    components=frozenset({Component.KUBEADM}),
    packages=frozenset({"htop"}),
    files=(
        File("/etc/contract.conf", "a: 1\n"),
        File("/etc/contract.key", SECRET, mode=0o600, secret=True),
        File("/etc/contract.bin", b"\0\xff"),
    ),
    steps=(Step("contract", Stage.INSTALL, "true"),),
    cloud_config={"timezone": "UTC"},
)
"""What another plugin adds; a secret is in it."""


class Another:
    """A plugin beside the extension, for it to wrap."""

    def __init__(self, part: BootFragment) -> None:
        self._part = part

    @hookimpl
    def render_boot(self, node: Node, cluster: Cluster) -> BootFragment:
        return self._part

    @hookimpl
    def os_packages(self, components: frozenset[Component], extra: frozenset[str]) -> Packages:
        return Packages(tuple(sorted({*components, *extra})))


class ExtensionContract(DriverChecks, PartChecks):
    """Subclass it, override `make_driver` and say what the extension is called.

    An extension need not answer anything; `others` is what it wraps, where it changes what others add.
    """

    name: str = ""
    """As users write it under `extensions`: keys of its configuration begin with it."""

    @pytest.fixture
    def others(self) -> BootFragment:
        """What another plugin adds to every machine. Override it with what your wrapper changes, such as kubeadm's file."""
        return OTHERS

    @pytest.fixture
    def answers(self, connect: Callable[[], Connected], others: BootFragment, cluster: Cluster) -> Callable[[Role], Any]:
        """A function that gives all answers to `render_boot` for a machine of a role: the other plugin's and its own."""
        return lambda role: _beside(connect(), others).render_boot(node=node_of("x-contract-1", role), cluster=cluster)

    # --- what it is ------------------------------------------------------------------------------------------------

    def test_keys_begin_with_its_name(self, make_driver: Callable[[], Any]) -> None:
        """All keys of a configuration are one flat document."""
        assert self.name, "say by `name` what the extension is called"
        prefix = self.name.replace("-", "_")
        wrong = [key for key in _keys(make_driver()) if key != prefix and not key.startswith(f"{prefix}_")]
        assert not wrong, f"another plugin may have these keys, too: {wrong}"

    def test_every_key_says_what_it_is_for(self, make_driver: Callable[[], Any]) -> None:
        silent = [key for key, field in _keys(make_driver()).items() if not field.description]
        assert not silent, f"`kube-provision schema` has nothing to say of {silent}: declare them with `option`"

    def test_it_does_something(self, driver: Connected) -> None:
        callers = vars(driver.manager.hook).values()
        assert any(caller.get_hookimpls() for caller in callers if isinstance(caller, pluggy.HookCaller)), "it has no hook"

    # --- among others ----------------------------------------------------------------------------------------------

    def test_the_answers_of_others_stay_answers(self, answers: Callable[[Role], Any]) -> None:
        for role in Role:
            found = answers(role)
            assert isinstance(found, list), f"a wrapper returned a {type(found).__name__}, not the list that it was given"
            wrong = [text for answer in found for text in flaws(answer)]
            assert not wrong, f"no machine could take what a wrapper has made of it: {wrong}"

    def test_nothing_of_others_is_lost(self, answers: Callable[[Role], Any], others: BootFragment) -> None:
        for role in Role:
            found = [answer for answer in answers(role) if isinstance(answer, BootFragment)]
            for what in ("components", "packages"):
                assert getattr(others, what) <= frozenset().union(*(getattr(answer, what) for answer in found)), what
            assert {it.path for it in others.files} <= {it.path for answer in found for it in answer.files}
            assert {it.name for it in others.steps} <= {it.name for answer in found for it in answer.steps}
            assert {it.name for it in others.units} <= {it.name for answer in found for it in answer.units}
            assert others.cloud_config.keys() <= {key for answer in found for key in answer.cloud_config}

    def test_what_is_secret_stays_secret(self, answers: Callable[[Role], Any], others: BootFragment) -> None:
        """A wrapper sees everybody's secrets."""
        secret = {it.path: it for it in others.files if it.secret}
        for role in Role:
            found = [answer for answer in answers(role) if isinstance(answer, BootFragment)]
            for file in (file for answer in found for file in answer.files if file.path in secret):
                assert file.secret, f"{file.path} is shown from now on"
                assert file.mode & 0o777 == secret[file.path].mode & 0o777, f"others may read {file.path} from now on"
            told = telling((text for answer in found for text in open_texts(answer)), [SECRET])
            assert not told, f"somebody's secret lies where everybody may read it: {told}"

    def test_wrapping_is_the_same_every_time(self, answers: Callable[[Role], Any]) -> None:
        """Machines are rendered from several threads, and in any order."""
        first = {role: answers(role) for role in Role}
        assert {role: answers(role) for role in reversed(Role)} == first, "it answers something else every time"

    def test_scripts_of_all_can_be_read(self, answers: Callable[[Role], Any]) -> None:
        steps = {step for role in Role for answer in answers(role) if answer for step in answer.steps}
        assert not script_flaws(steps), script_flaws(steps)

    def test_packages_stay_packages(self, connect: Callable[[], Connected]) -> None:
        hook = _beside(connect(), OTHERS).os_packages
        answer = hook(components=frozenset({Component.KUBEADM}), versions={}, repositories={}, extra=frozenset({"htop"}))
        assert isinstance(answer, Packages), f"os_packages answers a {type(answer).__name__}, not Packages"
        assert {"kubeadm", "htop"} <= set(answer.names), f"packages are lost: {answer.names}"

    def test_secrets_are_never_told(self, answers: Callable[[Role], Any], secrets: Sequence[str], driver: Connected) -> None:
        with logged() as lines:
            for role in Role:
                answers(role)
        told = telling([*lines, repr(driver)], [SECRET, *secrets])
        assert not told, f"a secret was told: {told}"

    def test_nothing_is_printed(self, answers: Callable[[Role], Any], capfd: pytest.CaptureFixture[str]) -> None:
        capfd.readouterr()
        answers(Role.WORKER)
        assert tuple(capfd.readouterr()) == ("", "")


def _beside(driver: Connected, others: BootFragment) -> Any:
    """The hooks of the extension and of another plugin together."""
    driver.manager.register(Another(others), "another")
    return driver.manager.hook


def _keys(driver: Any) -> Mapping[str, Any]:
    keys: Mapping[str, Any] = driver.Config.model_fields
    return keys
