"""Expected failures: which of them may pass by themselves."""

from __future__ import annotations

from kube_provision_core.contract import errors


def test_what_did_not_answer_or_is_not_so_yet_may_be_tried_again_and_nothing_else() -> None:
    kinds = [it for it in vars(errors).values() if isinstance(it, type) and issubclass(it, errors.KubeProvisionError)]
    passing = {it.__name__ for it in kinds if it.retryable}
    assert passing == {"TargetError", "DiscoveryError", "ControlPlaneError", "StateError", "BusyError", "UnreadyError"}
    assert {it.__name__ for it in kinds} - passing == {
        "KubeProvisionError",
        "ConfigError",
        "PluginError",
        "BootError",
        "FolderError",
        "BackupError",
    }
