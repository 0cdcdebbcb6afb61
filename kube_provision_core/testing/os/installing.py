"""The steps that install, run: what is named is installed, unattended, and what fails is not hushed up."""

from __future__ import annotations

import pytest

from ... import Packages, Repository, Stage, Step
from ..connected import Connected
from ..dry_run import DryMachine, Ran
from ..fragments import bash_reads, script_flaws, texts, unfilled
from ..offers import answered
from .fixtures import CORE, OsFixtures, ask
from .repositories import ARMOURED, KEY_URL, MIRRORED

_UNATTENDED = {"-y", "--yes", "--assumeyes", "--assume-yes", "--noconfirm", "--non-interactive", "-n"}


_FREEING = ("unhold", "--allow-change-held-packages", "--ignore-hold", "--disableexcludes", "versionlock delete")


class InstallingChecks(OsFixtures):
    def test_every_step_installs_and_every_template_is_filled_in(self, driver: Connected) -> None:
        packages = ask(driver, CORE | self.known_components)
        assert packages.steps, "nothing installs them"
        assert all(step.stage in (Stage.PREPARE, Stage.INSTALL) for step in packages.steps)
        assert not unfilled(packages), f"a template was not filled in: {unfilled(packages)}"

    def test_every_script_of_packages_can_be_read(self, driver: Connected) -> None:
        steps = ask(driver, CORE | self.known_components).steps
        assert not script_flaws(steps), script_flaws(steps)

    def test_what_is_named_is_installed(self, driver: Connected, machine: DryMachine) -> None:
        packages = ask(driver, CORE | self.known_components, {"kubeadm": "1.36.4"}, extra=frozenset({"htop"}))
        ran = _installed(machine, packages)
        missing = [name for name in packages.names if not ran.calls_with(name)]
        assert not missing, f"these are named, and nobody installs them: {missing}"

    def test_a_minor_is_installed_as_it_is_named(self, driver: Connected, machine: DryMachine) -> None:
        """What is not quoted is a pattern, and may match a file that happens to lie there."""
        packages = ask(driver, frozenset({"kubeadm"}), {"kubeadm": "1.36"})
        ran = _installed(machine, packages)
        assert all(ran.calls_with(name) for name in packages.names), "names do not reach the installer as they are"

    def test_nobody_is_asked_anything(self, driver: Connected, machine: DryMachine) -> None:
        ran = _installed(machine, ask(driver))
        asking = [call for call in ran.calls if "install" in call and not _UNATTENDED & set(call)]
        assert not asking, f"nobody is there to say yes: {asking}"

    @pytest.mark.parametrize("component", sorted(CORE))
    def test_what_cannot_be_installed_fails_the_step(self, driver: Connected, machine: DryMachine, component: str) -> None:
        packages = ask(driver, frozenset({component}), {"kubeadm": "1.36.4"})
        machine.deliver(packages.files)
        codes = [machine.run(step.script, failing=packages.names[0]).code for step in packages.steps]
        assert any(codes), f"{packages.names[0]} cannot be installed, and the step says that all is well"

    def test_steps_may_run_twice(self, driver: Connected, machine: DryMachine) -> None:
        packages = ask(driver, CORE | self.known_components)
        _installed(machine, packages)
        _installed(machine, packages)

    def test_nothing_but_extra_packages_can_be_installed(self, driver: Connected, machine: DryMachine) -> None:
        """Lists may be empty."""
        ran = _installed(machine, ask(driver, frozenset(), {}, extra=frozenset({"htop"})))
        assert ran.calls_with("htop")

    @pytest.mark.parametrize("key", ["", KEY_URL, ARMOURED], ids=["no key", "URL", "armoured"])
    def test_mirrors_can_be_installed_from(self, driver: Connected, machine: DryMachine, key: str) -> None:
        mirrors = {name: Repository(f"http://mirror.example/{name}/", key) for name in MIRRORED}
        _installed(machine, ask(driver, CORE | ({"consul"} & self.known_components), repositories=mirrors))

    def test_only_the_proxy_of_ours_runs_nginx(self, driver: Connected, machine: DryMachine) -> None:
        packages = ask(driver, frozenset({"tcp-proxy"}), {})
        ran = _installed(machine, packages)
        masked = [place for unit in ("nginx", "nginx.service") for place in ran.calls_with("systemctl", "mask", unit)]
        (nginx,) = [name for name in packages.names if name.startswith("nginx") and "stream" not in name] or ["nginx"]
        assert masked, "a package that starts nginx takes our proxy's ports: mask nginx.service"
        assert min(masked) < max(ran.calls_with(nginx)), "it is masked once the package has started it"

    def test_other_machines_keep_their_nginx(self, driver: Connected, machine: DryMachine) -> None:
        ran = _installed(machine, ask(driver, frozenset({"kubeadm"})))
        assert not any("nginx" in word for call in ran.calls for word in call)

    def test_the_kubelet_starts_at_every_boot(self, driver: Connected, machine: DryMachine) -> None:
        ran = _installed(machine, ask(driver, frozenset({"kubeadm"})))
        enabled = [unit for unit in ("kubelet", "kubelet.service") if ran.calls_with("systemctl", "enable", unit)]
        assert enabled or self.enables_by_itself, "nobody enables kubelet.service"

    @pytest.mark.parametrize("component", ["kubeadm", "kubeadm-alone"])
    def test_an_update_of_the_system_leaves_kubernetes_alone(self, driver: Connected, component: str) -> None:
        text = texts(ask(driver, frozenset({component})))
        words = ("apt-mark hold", "excludepkgs=", "exclude=", "versionlock", "addlock", "IgnorePkg")
        assert any(word in text for word in words), "an update would change a node's version under its cluster"

    def test_what_lists_versions_is_one_line_that_bash_can_read(self, driver: Connected) -> None:
        listing = ask(driver, CORE | self.known_components).list_versions
        assert listing, "a template could not tell what it holds"
        assert "\n" not in listing, "a template's record is made with one command"
        assert not bash_reads(listing), bash_reads(listing)

    def test_authorities_are_trusted_before_anything_is_fetched(self, driver: Connected) -> None:
        step = _trusting(driver, "/etc/site")
        assert step.stage is Stage.PREPARE, f"step {step.name} is of stage {step.stage}: packages are fetched before"
        assert not script_flaws([step]), script_flaws([step])

    def test_authorities_are_taken_from_the_folder(self, driver: Connected, machine: DryMachine) -> None:
        """However it is called; those that a configuration has no longer are trusted no longer."""
        step = _trusting(driver, "/etc/the site's own")
        for name in ("kube-provision-1.crt", "kube-provision-2.crt"):
            machine.write(f"/etc/the site's own/{name}", f"authority {name}\n")
        assert "authority kube-provision-2.crt" in _taken_up(machine, step), "an authority of the folder is not taken up"
        (machine.folder / "etc/the site's own/kube-provision-2.crt").unlink()
        taken = _taken_up(machine, step)
        assert "authority kube-provision-1.crt" in taken
        assert "authority kube-provision-2.crt" not in taken, "an authority that is gone is still trusted"

    def test_an_upgrade_of_packages_asks_nobody_and_may_be_repeated(self, driver: Connected, machine: DryMachine) -> None:
        steps = _upgrading(driver)
        assert all(step.stage is Stage.INSTALL for step in steps), "packages are installed in the stage install"
        assert not script_flaws(steps), script_flaws(steps)
        words = {"upgrade", "update", "dist-upgrade", "full-upgrade", "distro-sync", "-Syu"}
        for _ in range(2):
            calls = [call for step in steps for call in _went_well(machine, step)]
            upgrading = [call for call in calls if words & set(call)]
            assert upgrading, "nothing upgrades the packages"
            asking = [call for call in upgrading if not _UNATTENDED & set(call)]
            assert not asking, f"nobody is there to say yes: {asking}"

    def test_an_upgrade_of_packages_does_not_reboot_by_itself(self, driver: Connected, machine: DryMachine) -> None:
        """The core does, once the machine has left what it must leave before."""
        calls = [call for step in _upgrading(driver) for call in _went_well(machine, step)]
        assert not [call for call in calls if {"reboot", "shutdown", "kexec"} & set(call)], "the step reboots"

    def test_an_upgrade_of_packages_leaves_kubernetes_alone(self, driver: Connected, machine: DryMachine) -> None:
        calls = [call for step in _upgrading(driver) for call in _went_well(machine, step)]
        freed = [call for call in calls if any(word in " ".join(call) for word in _FREEING)]
        assert not freed, f"it brings a node another version under its cluster: {freed}"

    def test_an_upgrade_that_fails_fails_the_step(self, driver: Connected, machine: DryMachine) -> None:
        codes = [machine.run(step.script, failing="upgrade").code for step in _upgrading(driver)]
        codes += [machine.run(step.script, failing="update").code for step in _upgrading(driver)]
        assert any(codes), "packages cannot be upgraded, and the step says that all is well"

    def test_what_seals_a_template_comes_last_and_can_be_read(self, driver: Connected, machine: DryMachine) -> None:
        steps = driver.seal_image() or ()
        assert all(isinstance(step, Step) for step in steps), f"seal_image returned {steps!r:.80}, no steps"
        assert all(step.stage is Stage.FINISH for step in steps), "a template is sealed at its end"
        assert not script_flaws(steps), script_flaws(steps)
        for step in steps:  # a template need not have anything that is to be removed
            ran = machine.run(step.script)
            assert ran.code == 0, f"step {step.name}: {ran.said}"


def _upgrading(driver: Connected) -> tuple[Step, ...]:
    steps = answered(driver, "upgrade_packages")()
    assert steps, "upgrade_packages returned no steps"
    assert all(isinstance(step, Step) for step in steps), f"upgrade_packages returned {steps!r:.80}, no steps"
    return tuple(steps)


def _went_well(machine: DryMachine, step: Step) -> tuple[tuple[str, ...], ...]:
    """The calls that it made."""
    ran = machine.run(step.script)
    assert ran.code == 0, f"step {step.name}: {ran.said}"
    return ran.calls


def _trusting(driver: Connected, folder: str) -> Step:
    step = answered(driver, "trust_authorities")(folder=folder)
    assert isinstance(step, Step), f"trust_authorities returned a {type(step).__name__}, not a Step"
    return step


def _taken_up(machine: DryMachine, step: Step) -> str:
    """What lies on the machine after it, beside the folder that it was given."""
    ran = machine.run(step.script)
    assert ran.code == 0, f"step {step.name}: {ran.said}"
    files = [path for path in machine.folder.rglob("*") if path.is_file() and "the site's own" not in str(path)]
    return "".join(path.read_text(errors="replace") for path in files if ".programs" not in path.parts)


def _installed(machine: DryMachine, packages: Packages) -> Ran:
    """The calls of all steps, which all go well."""
    machine.deliver(packages.files)
    calls: list[tuple[str, ...]] = []
    for step in packages.steps:
        ran = machine.run(step.script)
        assert ran.code == 0, f"step {step.name}: {ran.said}"
        calls += ran.calls
    return Ran(0, "", tuple(calls))
