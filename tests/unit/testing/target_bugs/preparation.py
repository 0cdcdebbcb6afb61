"""Bugs in `preflight` and `arrange_vms`."""

from __future__ import annotations

from dataclasses import replace

from kube_provision_core import TargetError, hookimpl

from ..planted import fails
from .sound import Sound


@fails("test_preflight_answers_with_lines")
class AnswersWithExceptions(Sound):
    @hookimpl
    def preflight(self, machines):
        return [ValueError("no such network")]


@fails("test_preflight_answers_with_lines")
class AnswersWithAText(Sound):
    @hookimpl
    def preflight(self, machines):
        return ""


@fails("test_preflight_answers_with_lines")
class AnswersYes(Sound):
    @hookimpl
    def preflight(self, machines):
        return True


@fails("test_preflight_finds_what_the_configuration_names_wrongly")
class DoesNotLook(Sound):
    @hookimpl
    def preflight(self, machines):
        return []


@fails("test_preflight_changes_nothing")
class TriesItOut(Sound):
    @hookimpl
    def preflight(self, machines):
        for node, boot in machines:
            self.provision_vm(node, boot)
        return []


@fails("test_preflight_changes_nothing")
class LeavesWhatItMeasured(Sound):
    @hookimpl
    def preflight(self, machines):
        self._machines.folder.mkdir(exist_ok=True)
        for node, boot in machines:
            (self._machines.folder / f".{node.name}.size").write_text(boot.user_data)
        return []


@fails("test_preflight_may_be_asked_of_nobody")
class NeedsSomebody(Sound):
    @hookimpl
    def preflight(self, machines):
        machines[0]
        return []


@fails("test_boot_data_is_delivered_whole_or_refused_beforehand")
class CutsOff(Sound):
    @hookimpl
    def provision_vm(self, node, boot):
        return super().provision_vm(node, replace(boot, user_data=boot.user_data[:65536]))


@fails("test_arrange_vms_may_be_repeated")
class ArrangesOnce(Sound):
    arranged = False

    @hookimpl
    def arrange_vms(self, vms):
        if self.arranged:
            raise TargetError("there is such a group already")
        self.arranged = True
        return True


@fails("test_arrange_vms_may_be_repeated")
class SaysNothingOfArranging(Sound):
    @hookimpl
    def arrange_vms(self, vms):
        return None
