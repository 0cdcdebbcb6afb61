"""Bugs in the steps that install, trust and seal."""

from __future__ import annotations

from dataclasses import replace

from kube_provision_core import File, Stage, Step, hookimpl

from ..planted import fails
from .sound import Sound, answering, filed, scripted


@fails("test_every_step_installs_and_every_template_is_filled_in")
class InstallsAtTheEnd(answering(lambda it: replace(it, steps=tuple(replace(s, stage=Stage.FINISH) for s in it.steps)))):
    pass


@fails("test_every_step_installs_and_every_template_is_filled_in")
class LeavesATemplateUnfilled(
    answering(lambda it: replace(it, files=(*it.files, File("/etc/release", "minor={{ minor }}"))))
):
    pass


@fails("test_every_step_installs_and_every_template_is_filled_in")
class InstallsNothing(answering(lambda it: replace(it, steps=()))):
    pass


@fails("test_every_script_of_packages_can_be_read")
class CannotBeRead(scripted("done\n", "\n")):
    pass


@fails("test_every_script_of_packages_can_be_read")
class FillsInNothing(scripted("dnf --assumeyes", "release=None\n  dnf --assumeyes")):
    pass


@fails("test_what_is_named_is_installed")
class NamesAlone(scripted('install "${wanted[@]}"', 'install "${wanted[0]}"')):
    pass


@fails("test_what_is_named_is_installed")
class InstallsNoExtraPackages(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        packages = super().os_packages(components, versions, repositories, frozenset())
        return replace(packages, names=(*packages.names, *sorted(extra)))


@fails("test_what_is_named_is_installed")
class InstallsWithoutPins(scripted("-1.36.4-*", "")):
    pass


@fails("test_what_is_named_is_installed")
class MisspellsItsList(scripted("wanted=(", "wnated=(")):
    pass


@fails("test_a_minor_is_installed_as_it_is_named")
class DoesNotQuoteItsList(scripted('install "${wanted[@]}"', "install ${wanted[@]}")):
    pass


@fails("test_nobody_is_asked_anything")
class AsksWhetherItMay(scripted("dnf --assumeyes", "dnf")):
    pass


@fails("test_what_cannot_be_installed_fails_the_step")
class HushesUpFailures(scripted('"${wanted[@]}"\n', '"${wanted[@]}" || true\n')):
    pass


@fails("test_what_cannot_be_installed_fails_the_step")
class GoesOnAfterFailures(scripted("for unit in", "set +e\nfor unit in")):
    pass


@fails("test_what_cannot_be_installed_fails_the_step")
class SkipsWhatIsMissing(scripted('"${wanted[@]}"\n', '"${wanted[@]}" 2>&1 | cat || :\n')):
    pass


@fails("test_steps_may_run_twice")
class RunsOnce(scripted("for unit in", "mkdir /var/lib/kube-provision-packages /var/lib\nfor unit in")):
    pass


@fails("test_steps_may_run_twice")
class MarksThatItRan(scripted("for unit in", "test ! -e /etc/installed\ntouch /etc/installed\nfor unit in")):
    pass


@fails("test_nothing_but_extra_packages_can_be_installed")
class CountsOnAList(scripted("for unit in", 'systemctl enable "${services[0]}"\nfor unit in')):
    pass


@fails("test_mirrors_can_be_installed_from")
class CountsOnUpstream(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        packages = super().os_packages(components, versions, repositories, extra)
        more = "grep pkgs.k8s.io /etc/yum.repos.d/*\n" if repositories else ""
        return replace(packages, steps=tuple(replace(it, script=it.script + more) for it in packages.steps))


@fails("test_only_the_proxy_of_ours_runs_nginx")
class LetsNginxRun(scripted("systemctl mask", "systemctl stop")):
    pass


@fails("test_only_the_proxy_of_ours_runs_nginx")
class MasksTooLate(
    answering(
        lambda it: replace(
            it,
            steps=tuple(
                replace(s, script=s.script.replace("for unit in", "for nothing in") + 'systemctl mask "${masked[@]}"\n')
                for s in it.steps
            )
            if "nginx" in it.names
            else it.steps,
        )
    )
):
    pass


@fails("test_other_machines_keep_their_nginx")
class MasksNginxEverywhere(scripted("for unit in", "systemctl mask nginx.service\nfor unit in")):
    pass


@fails("test_the_kubelet_starts_at_every_boot")
class EnablesNothing(scripted("systemctl enable", "systemctl start")):
    pass


@fails("test_an_update_of_the_system_leaves_kubernetes_alone")
class HoldsNothing(filed(lambda text: "\n".join(line for line in text.splitlines() if "excludepkgs" not in line))):
    pass


@fails("test_what_lists_versions_is_one_line_that_bash_can_read")
class ListsInABadQuotation(answering(lambda it: replace(it, list_versions="rpm --query 'kubeadm"))):
    pass


@fails("test_what_lists_versions_is_one_line_that_bash_can_read")
class ListsInTwoLines(answering(lambda it: replace(it, list_versions="rpm\nrpm"))):
    pass


@fails("test_what_lists_versions_is_one_line_that_bash_can_read")
class ListsNothing(answering(lambda it: replace(it, list_versions=""))):
    pass


def sealing(*steps):
    class Driver(Sound):
        @hookimpl
        def seal_image(self):
            return steps

    return Driver


@fails("test_what_seals_a_template_comes_last_and_can_be_read")
class SealsTooEarly(sealing(Step("odd", Stage.INSTALL, "true"))):
    pass


@fails("test_what_seals_a_template_comes_last_and_can_be_read")
class SealsByAText(sealing("dnf clean all")):
    pass


@fails("test_what_seals_a_template_comes_last_and_can_be_read")
class SealsWhatMustBeThere(sealing(Step("odd", Stage.FINISH, "rm /var/cache/dnf/packages.db"))):
    pass


def trusting(change):
    class Driver(Sound):
        @hookimpl
        def trust_authorities(self, folder):
            return change(super().trust_authorities(folder))

    return Driver


@fails("test_authorities_are_trusted_before_anything_is_fetched")
class TrustsTooLate(trusting(lambda it: replace(it, stage=Stage.INSTALL))):
    pass


@fails("test_authorities_are_trusted_before_anything_is_fetched")
class TrustsByAText(trusting(lambda it: it.script)):
    pass


@fails("test_authorities_are_taken_from_the_folder")
class DoesNotQuoteTheFolder(trusting(lambda it: replace(it, script=it.script.replace('"$folder"', "$folder")))):
    pass


@fails("test_authorities_are_taken_from_the_folder")
class TrustsForEver(trusting(lambda it: replace(it, script=it.script.replace("rm --force", "true")))):
    pass


@fails("test_authorities_are_taken_from_the_folder")
class TrustsNobody(trusting(lambda it: replace(it, script=it.script.replace("cp ", "true ")))):
    pass


def upgrading(old, new):
    class Driver(Sound):
        @hookimpl
        def upgrade_packages(self):
            (step,) = super().upgrade_packages()
            assert old in step.script
            return (replace(step, script=step.script.replace(old, new)),)

    return Driver


@fails("test_an_upgrade_of_packages_asks_nobody_and_may_be_repeated")
class AsksWhetherToUpgrade(upgrading("dnf --assumeyes", "dnf")):
    pass


@fails("test_an_upgrade_of_packages_asks_nobody_and_may_be_repeated")
class UpgradesOnce(upgrading("dnf --assumeyes", "mkdir /var/upgraded\ndnf --assumeyes")):
    pass


@fails("test_an_upgrade_of_packages_does_not_reboot_by_itself")
class Reboots(upgrading("dnf --assumeyes", "systemctl reboot\ndnf --assumeyes")):
    pass


@fails("test_an_upgrade_of_packages_leaves_kubernetes_alone")
class UpgradesKubernetesToo(upgrading("--refresh", "--refresh --disableexcludes=all")):
    pass


@fails("test_an_upgrade_that_fails_fails_the_step")
class HushesUpThatNothingWasUpgraded(upgrading("upgrade\n", "upgrade || true\n")):
    pass
