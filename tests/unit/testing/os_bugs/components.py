"""Bugs in how components become packages."""

from __future__ import annotations

import subprocess
import time
from dataclasses import replace

from kube_provision_sound_os.components import COMPONENTS

from kube_provision_core import BootError, File, hookimpl

from ..planted import fails
from .sound import Sound, answering, asked, named


@fails("test_os_packages_knows_what_the_core_asks_for")
class AnswersWithADictionary(answering(lambda it: {"names": it.names, "files": it.files, "steps": it.steps})):
    pass


@fails("test_os_packages_knows_what_the_core_asks_for")
class DeliversARelativePath(answering(lambda it: replace(it, files=(*it.files, File("etc/x", ""))))):
    pass


@fails("test_os_packages_answers_with_names")
class AnswersWithOneText(answering(lambda it: replace(it, names=" ".join(it.names)))):
    pass


@fails("test_os_packages_answers_with_names")
class NamesPackagesTwice(answering(lambda it: replace(it, names=it.names * 2))):
    pass


@fails("test_os_packages_knows_what_targets_and_discovery_ask_for")
class KnowsNoAgents(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        if components & {"vmware-tools", "qemu-guest-agent"}:
            raise BootError("os sound does not know the component vmware-tools")
        return super().os_packages(components, versions, repositories, extra)


@fails("test_os_packages_knows_what_targets_and_discovery_ask_for")
class InstallsNothingForAnAgent(named(lambda name: None if name == "qemu-guest-agent" else name)):
    pass


@fails("test_kubeadm_comes_with_what_it_needs")
class LeavesOutKubectl(named(lambda name: None if name.startswith("kubectl") else name)):
    pass


@fails("test_kubeadm_comes_with_what_it_needs")
class LeavesOutConntrack(named(lambda name: None if name.startswith("conntrack") else name)):
    pass


@fails("test_kubeadm_comes_with_what_it_needs")
class LeavesOutOpenssl(named(lambda name: None if name == "openssl" else name)):
    pass


@fails("test_kubeadm_comes_alone_where_a_cluster_is_upgraded")
class BringsTheKubeletWithKubeadm(
    asked(lambda components, *rest: (frozenset(name.removesuffix("-alone") for name in components), *rest))
):
    pass


@fails("test_kubeadm_comes_alone_where_a_cluster_is_upgraded")
class InstallsWhateverKubeadmThereIs(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        packages = super().os_packages(components, versions, repositories, extra)
        alone = components == {"kubeadm-alone"}
        return replace(packages, names=("kubeadm",)) if alone else packages


@fails("test_kubeadm_comes_alone_where_a_cluster_is_upgraded")
class AddsNoRepositoryForKubeadmAlone(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        packages = super().os_packages(components, versions, repositories, extra)
        return replace(packages, files=()) if components == {"kubeadm-alone"} else packages


@fails("test_the_proxy_can_pass_on_tcp")
class LeavesOutTheStreamModule(named(lambda name: None if "stream" in name else name)):
    pass


@fails("test_the_proxy_can_pass_on_tcp")
class LeavesOutTheProxy(named(lambda name: None if name == "nginx" else name)):
    pass


@fails("test_os_packages_installs_what_is_asked_for_alone")
class InstallsEverything(asked(lambda components, *rest: (frozenset(COMPONENTS), *rest))):
    pass


@fails("test_components_do_not_stand_in_each_others_way")
class KnowsOneComponentAtATime(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        first = frozenset(sorted(components)[:3])
        return super().os_packages(first, versions, repositories, extra)


@fails("test_os_packages_pins_an_exact_version")
class PinsTheMinorAlone(
    asked(lambda components, versions, *rest: (components, {k: v.rpartition(".")[0] for k, v in versions.items()}, *rest))
):
    pass


@fails("test_os_packages_pins_an_exact_version")
class PinsLoosely(named(lambda name: name.replace("-1.36.4-*", "-1.36.4*"))):
    pass


@fails("test_os_packages_pins_an_exact_version")
class PinsAnywhere(named(lambda name: name.replace("-1.36.4-*", "-*1.36.4-*"))):
    pass


@fails("test_os_packages_pins_an_exact_version")
class PinsKubeadmAlone(named(lambda name: name.partition("-")[0] if name.startswith("kubelet-") else name)):
    pass


@fails("test_os_packages_pins_any_revision_of_a_version")
class PinsOneRevision(named(lambda name: name.replace("-1.36.4-*", "-1.36.4-1.1"))):
    pass


@fails("test_os_packages_takes_a_minor_version")
class TakesAMinorForAnExactVersion(named(lambda name: name.replace("-1.36.*", "-1.36-*"))):
    pass


@fails("test_os_packages_takes_a_minor_version")
class TakesAMinorLoosely(named(lambda name: name.replace("-1.36.*", "-1.36*"))):
    pass


@fails("test_os_packages_takes_a_minor_version")
class TakesTheNewestOfAll(named(lambda name: name.replace("-1.36.*", ""))):
    pass


@fails("test_os_packages_pins_other_components_too")
class PinsKubernetesAlone(
    asked(lambda components, versions, *rest: (components, {k: v for k, v in versions.items() if k == "kubeadm"}, *rest))
):
    pass


@fails("test_os_packages_names_the_extra_packages")
class ForgetsTheExtraPackages(
    asked(lambda components, versions, mirrors, extra: (components, versions, mirrors, frozenset()))
):
    pass


@fails("test_what_is_no_name_of_a_package_is_refused")
class BelievesEveryName(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        packages = super().os_packages(components, versions, repositories, frozenset())
        return replace(packages, names=(*packages.names, *sorted(extra)))


@fails("test_os_packages_refuses_an_unknown_component")
class PassesOverTheUnknown(asked(lambda components, *rest: (components & COMPONENTS.keys(), *rest))):
    pass


@fails("test_os_packages_refuses_an_unknown_component")
class StumblesOverTheUnknown(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        for name in components:
            COMPONENTS[name]
        return super().os_packages(components, versions, repositories, extra)


@fails("test_os_packages_is_a_function_of_its_arguments")
class TellsTheTimeInAFile(answering(lambda it: replace(it, files=(*it.files, File("/etc/when", str(time.monotonic_ns())))))):
    pass


@fails("test_os_packages_is_a_function_of_its_arguments")
class GathersFromCallToCall(Sound):
    def __init__(self, config):
        self.seen = set()

    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        self.seen |= extra
        return super().os_packages(components, versions, repositories, frozenset(self.seen))


@fails("test_os_packages_is_a_function_of_its_arguments")
class RemembersTheFirstVersion(Sound):
    first = None

    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        before, self.first = self.first or versions, versions
        return super().os_packages(components, before, repositories, extra)


@fails("test_os_packages_changes_nothing")
class AsksTheHost(answering(lambda it: (subprocess.run(["true"], check=True), it)[1])):
    pass


@fails("test_os_packages_changes_nothing")
class ChangesWhatItIsGiven(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        versions["consul"] = "1.21"
        return super().os_packages(components, versions, repositories, extra)


@fails("test_a_template_tells_the_versions_of_all_that_was_asked_for")
class AsksForPinnedNames(answering(lambda it: replace(it, list_versions=f"rpm --query {it.names[0]}" if it.names else ""))):
    pass
