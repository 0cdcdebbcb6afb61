"""Bugs in what a run is told of a cluster, in its lock, and in forgetting."""

from __future__ import annotations

import contextlib
import logging
import shutil
import time
from dataclasses import replace

from kube_provision_core import Discovery, DiscoveryError, hookimpl

from ..planted import fails
from .sound import Sound


def telling(**fields):
    class Driver(Sound):
        @hookimpl
        def discover_masters(self, cluster):
            return replace(super().discover_masters(cluster), **fields)

    return Driver


@fails("test_a_silent_service_is_not_taken_for_an_empty_one")
class TakesSilenceForEmptiness(Sound):
    @hookimpl
    def discover_masters(self, cluster):
        try:
            return super().discover_masters(cluster)
        except DiscoveryError:
            return Discovery(initialised=False)


@fails("test_an_unknown_cluster_is_absent")
class TakesEveryClusterForInitialised(Sound):
    @hookimpl
    def discover_masters(self, cluster):
        return replace(super().discover_masters(cluster), initialised=True)


@fails("test_a_record_is_told")
class LosesWhoInitialises(Sound):
    @hookimpl
    def discover_masters(self, cluster):
        return replace(super().discover_masters(cluster), initialising=None)


@fails("test_an_unreadable_record_is_not_taken_for_absent")
class TakesTheUnreadableForAbsent(Sound):
    @hookimpl
    def discover_masters(self, cluster):
        try:
            return super().discover_masters(cluster)
        except DiscoveryError as error:
            if "mounted" in str(error):
                raise
            return Discovery(initialised=False)


@fails("test_a_record_is_told")
class LosesTheClustersId(telling(cluster_id=None)):
    pass


@fails("test_a_record_is_told")
class NeverSeesAnInitialisedCluster(telling(initialised=False)):
    pass


@fails("test_an_unknown_cluster_is_absent")
class AnswersNothing(Sound):
    @hookimpl
    def discover_masters(self, cluster):
        found = super().discover_masters(cluster)
        return found if found.initialised or found.initialising else None


@fails("test_a_silent_service_is_not_taken_for_an_empty_one")
class RaisesWhatTheServiceRaises(Sound):
    @hookimpl
    def discover_masters(self, cluster):
        try:
            return super().discover_masters(cluster)
        except DiscoveryError as error:
            raise OSError(str(error)) from error


@fails("test_the_lock_is_held_by_one")
class DoesNotLock(Sound):
    @hookimpl
    def lock_cluster(self, cluster):
        return contextlib.nullcontext()


@fails("test_a_failure_under_the_lock_goes_through_and_frees_it")
class WrapsFailuresUnderTheLock(Sound):
    @hookimpl
    @contextlib.contextmanager
    def lock_cluster(self, cluster):
        try:
            with super().lock_cluster(cluster):
                yield
        except OSError as problem:
            raise DiscoveryError(str(problem)) from problem


@fails("test_the_lock_is_held_by_one")
class LocksUnderAnotherName(Sound):
    @hookimpl
    def lock_cluster(self, cluster):
        return self._share(cluster).held("run-of-" + str(time.monotonic_ns()), 0.0, "somebody")


@fails("test_forgetting_what_is_unknown_is_no_failure")
class CannotForgetTwice(Sound):
    @hookimpl
    def forget_cluster(self, cluster):
        if not self._share(cluster).folder.exists():
            raise DiscoveryError("there is no such cluster")
        return super().forget_cluster(cluster)


@fails("test_only_the_record_of_the_machine_that_is_gone_is_forgotten")
class ForgetsWhoeverInitialises(Sound):
    @hookimpl
    def forget_initialising(self, cluster, node_name):
        (self._share(cluster).folder / "record.json").unlink(missing_ok=True)
        return True


@fails("test_an_initialised_cluster_is_forgotten_as_a_whole_only")
class ForgetsNoCluster(Sound):
    @hookimpl
    def forget_cluster(self, cluster):
        return True


@fails("test_the_head_of_the_history_is_kept_until_the_next_one")
class KeepsTheFirstHead(Sound):
    @hookimpl
    def keep_history_head(self, cluster, head):
        return super().history_head(cluster) != "" or super().keep_history_head(cluster, head)


@fails("test_the_head_of_the_history_is_forgotten_with_its_cluster_alone")
class KeepsTheHeadForEver(Sound):
    @hookimpl
    def forget_cluster(self, cluster):
        (self._share(cluster).folder / "record.json").unlink(missing_ok=True)
        return True


@fails("test_silence_is_not_taken_for_a_history_that_nobody_has_written")
class TakesSilenceForNoHistory(Sound):
    @hookimpl
    def history_head(self, cluster):
        try:
            return super().history_head(cluster)
        except DiscoveryError:
            return ""


@fails("test_a_notice_is_a_line_also_where_nobody_answers")
class NoticesNothingWhereNobodyAnswers(Sound):
    @hookimpl
    def discovery_notice(self, cluster):
        return str(super().discover_masters(cluster))


@fails("test_forgetting_a_cluster_leaves_others")
class ForgetsAllThatBeginSo(Sound):
    @hookimpl
    def forget_cluster(self, cluster):
        for folder in self._config.sound_discovery_folder.glob(f"{cluster.name}*"):
            shutil.rmtree(folder)
        return True


@fails("test_forgetting_what_is_unknown_is_no_failure")
class SaysNothingOfForgetting(Sound):
    @hookimpl
    def forget_cluster(self, cluster):
        super().forget_cluster(cluster)


@fails("test_only_the_record_of_the_machine_that_is_gone_is_forgotten")
class ForgetsByBeginning(Sound):
    @hookimpl
    def forget_initialising(self, cluster, node_name):
        for number in range(10):
            super().forget_initialising(cluster, f"{node_name[:-1]}{number}")
        return True


@fails("test_secrets_are_never_told")
class LogsItsToken(Sound):
    @hookimpl
    def discover_masters(self, cluster):
        logging.getLogger("driver").debug("asking with the token a-token")
        return super().discover_masters(cluster)


@fails("test_secrets_are_never_told")
class ShowsItsToken(Sound):
    def __repr__(self):
        return "SoundDiscovery(token='a-token')"
