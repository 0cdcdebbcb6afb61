"""The last true error of what kubeadm and kubectl really print."""

from __future__ import annotations

import pytest

from kube_provision_node.last_error import last_error

NOISE = (
    "I1128 13:08:14.000000    1187 version.go:261] remote version is much newer: v1.38.0; falling back to: stable-1.36",
    "W1128 13:08:14.119283    1187 checks.go:845] detected that the sandbox image is inconsistent with that used by kubeadm",
    'E1128 13:08:14.570161    1187 log.go:32] "RuntimeConfig from runtime service failed" err="rpc error: unknown method"',
)
STACK = "To see the stack trace of this error execute with --v=5 or higher"
CHECKS = (
    "\t[WARNING SystemVerification]: kernel release 6.1 is unsupported",
    "[preflight] Some fatal errors occurred:",
    "\t[ERROR Port-6443]: Port 6443 is in use",
    "\t[ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty",
    "[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore-preflight-errors=...`",
)
FAILED = "[ERROR Port-6443]: Port 6443 is in use; [ERROR DirAvailable--var-lib-etcd]: /var/lib/etcd is not empty"


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (
            (*CHECKS, "error: error execution phase preflight: preflight checks failed", STACK),
            f"error execution phase preflight: preflight checks failed; {FAILED}",
        ),
        (
            ("error execution phase preflight: " + CHECKS[1], *CHECKS[2:], STACK),
            f"error execution phase preflight: [preflight] Some fatal errors occurred: {FAILED}",
        ),
        (
            (
                "error: error execution phase wait-control-plane: failed while waiting for the kubelet to start: The HTTP "
                "call equal to 'curl -sSL http://127.0.0.1:10248/healthz' returned error: connection refused",
                STACK,
            ),
            "error execution phase wait-control-plane: failed while waiting for the kubelet to start: The HTTP call equal "
            "to 'curl -sSL http://127.0.0.1:10248/healthz' returned error: connection refused",
        ),
        (
            (
                "error: error execution phase etcd: first",
                STACK,
                'error: resource mapping not found: no matches for kind "X" in version "v1"',
                "ensure CRDs are installed first",
            ),
            'resource mapping not found: no matches for kind "X" in version "v1"; ensure CRDs are installed first',
        ),
        (
            ('Error from server (NotFound): error when creating "x": namespaces "y" not found',),
            'Error from server (NotFound): error when creating "x": namespaces "y" not found',
        ),
        (
            (
                "error: error execution phase etcd: no quorum",
                STACK,
                "kubeadm join: exit code 1: error execution phase etcd: no quorum",
            ),
            "kubeadm join: exit code 1: error execution phase etcd: no quorum",
        ),
        (("Reading package lists...", "E: Unable to locate package nginx"), "E: Unable to locate package nginx"),
    ],
    ids=["preflight", "preflight-of-old", "wait", "kubectl-after-kubeadm", "server", "quoted", "apt"],
)
@pytest.mark.parametrize("noise", [(), NOISE], ids=["quiet", "noisy"])
def test_is_told_whole_and_without_what_is_logged_around_it(
    lines: tuple[str, ...], error: str, noise: tuple[str, ...]
) -> None:
    assert last_error([*noise, *lines, *noise]) == error


def test_a_logged_value_of_several_lines_is_left_out_whole() -> None:
    logged = ('E1128 13:08:14.570161    1187 log.go:32] "PullImage failed" err=<', "\terror: rpc", ' > image="x"')
    assert last_error(["error: the true one", *logged]) == "the true one"


def test_what_is_logged_is_better_than_nothing() -> None:
    assert last_error(NOISE) == " ".join(NOISE[-1].split())
    assert last_error([]) == ""
