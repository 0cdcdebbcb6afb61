"""Causes recognised from what the programs really print, and not recognised from what only resembles it.

The messages are quoted from the programs' sources and from reports of people who have met them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from kube_provision_node.decision import OtherClusterError, refuse_other_cluster
from kube_provision_node.diagnosis import RECOGNISERS, diagnose
from kube_provision_node.evidence import Diagnosis, Evidence
from kube_provision_node.settings import Node

PIN = "sha256:8b47ff2fe5f85aed300e2ae9bffb3d2e26652eb04e8d9d660de01e5342ad7728"
OTHER_PIN = "sha256:11bdf3cc08ea132b33e1921b2d74c4bfc516802b4800c89e595ae04b3d1cf3d7"
IDENTITY = "error execution phase preflight: couldn't validate the identity of the API Server:"
ADVICE = "To see the stack trace of this error execute with --v=5 or higher"


@dataclass(frozen=True)
class Machine:
    """A machine that is all right, but for what a test says."""

    default_route: bool | None = True
    neighbours: tuple[str, ...] = ("10.0.0.5",)
    """Whom it has a route to without the default one; discovery is one of them."""
    swap: tuple[str, ...] = ()
    ahead: float | None = None
    answering: str | None = None
    accepts: bool | None = None
    """Whether the masters still accept its token."""
    resolver_file: bool = True

    def has_default_route(self) -> bool | None:
        return self.default_route

    def has_route_to(self, address: str) -> bool | None:
        return self.default_route or address in self.neighbours

    def swaps(self) -> tuple[str, ...]:
        return self.swap

    def clock_ahead(self, urls: Iterable[str]) -> float | None:
        return self.ahead if list(urls) else None

    def authority(self, port: int) -> str | None:
        return self.answering

    def accepts_token(self, port: int, pin: str) -> bool | None:
        return self.accepts

    def has_resolver_file(self) -> bool:
        return self.resolver_file


FINE = Machine()


def found(stage: str, *lines: str, machine: Machine = FINE) -> Diagnosis | None:
    return diagnose(Evidence(stage, lines, pin=PIN, discovery_address="10.0.0.5"), machine)


def name(stage: str, *lines: str, machine: Machine = FINE) -> str | None:
    diagnosis = found(stage, *lines, machine=machine)
    return diagnosis.name if diagnosis else None


def cause(stage: str, *lines: str, machine: Machine = FINE) -> str:
    diagnosis = found(stage, *lines, machine=machine)
    assert diagnosis
    return diagnosis.cause


class TestPackageRepository:
    REFUSED = (
        "E: Failed to fetch http://mirror.example.org/core/InRelease  Could not connect to mirror.example.org:80 "
        "(192.0.2.7). - connect (111: Connection refused)"
    )
    DNF_REFUSED = (
        "  - Curl error (7): Couldn't connect to server for http://192.0.2.7/repodata/repomd.xml [Failed to connect to "
        "192.0.2.7 port 80 after 0 ms: Couldn't connect to server]"
    )
    DNF_MIRROR = (
        "[MIRROR] kubeadm-1.36.4-1.noarch.rpm: Status code: 404 for http://mirror.lan/kubeadm-1.36.4-1.noarch.rpm "
        "(IP: 192.0.2.7)"
    )
    DNF_GAVE_UP = (
        "Error: Error downloading packages:",
        "  kubeadm-1.36.4-1.noarch: Cannot download, all mirrors were already tried without success",
    )

    @pytest.mark.parametrize(
        ("line", "server"),
        [
            (REFUSED, "http://mirror.example.org/core/InRelease"),
            (
                "W: Failed to fetch https://pkgs.k8s.io/core:/stable:/v1.36/deb/InRelease  Temporary failure resolving "
                "'pkgs.k8s.io'",
                "https://pkgs.k8s.io/core:/stable:/v1.36/deb/InRelease",
            ),
            (
                "Err:1 http://deb.debian.org/debian bookworm InRelease Unable to connect to deb.debian.org:http:",
                "http://deb.debian.org/debian",
            ),
            (
                "E: Failed to fetch https://mirror.lan/debian/InRelease  Certificate verification failed: The certificate "
                "is NOT trusted. The certificate issuer is unknown.  Could not handshake: Error in the certificate "
                "verification. [IP: 192.0.2.7 443]",
                "https://mirror.lan/debian/InRelease",
            ),
            (
                "  - Curl error (6): Couldn't resolve host name for https://pkgs.k8s.io/core:/stable:/v1.36/rpm/repodata/"
                "repomd.xml [Could not resolve host: pkgs.k8s.io]",
                "https://pkgs.k8s.io/core:/stable:/v1.36/rpm/repodata/repomd.xml",
            ),
            (DNF_REFUSED, "http://192.0.2.7/repodata/repomd.xml"),
            (
                "  - Curl error (28): Timeout was reached for http://192.0.2.7/repodata/repomd.xml [Operation too slow. "
                "Less than 1000 bytes/sec transferred the last 30 seconds]",
                "http://192.0.2.7/repodata/repomd.xml",
            ),
            (
                "  - Curl error (60): SSL peer certificate or SSH remote key was not OK for "
                "https://mirror.lan/repodata/repomd.xml [SSL certificate problem: self-signed certificate in certificate "
                "chain]",
                "https://mirror.lan/repodata/repomd.xml",
            ),
            (
                "Curl error (7): Couldn't connect to server for http://mirror.lan/key.asc [Failed to connect to mirror.lan "
                "port 80 after 0 ms: Couldn't connect to server]",
                "http://mirror.lan/key.asc",
            ),
            ("curl: (6) Could not resolve host: pkgs.k8s.io", "pkgs.k8s.io"),
            ("curl: (7) Failed to connect to mirror.lan port 443 after 3 ms: Couldn't connect to server", "mirror.lan"),
            ("curl: (28) Connection timed out after 60001 milliseconds", "that is configured"),
        ],
        ids=[
            "apt-refused",
            "apt-name",
            "apt-err",
            "apt-trust",
            "dnf-name",
            "dnf-refused",
            "dnf-slow",
            "dnf-trust",
            "dnf-key",
            "curl-name",
            "curl-refused",
            "curl-slow",
        ],
    )
    def test_that_cannot_be_reached_is_named(self, line: str, server: str) -> None:
        assert name("install", "Reading package lists...", line) == "repository-unreachable"
        assert f"the package repository {server} cannot be reached" in cause("install", line)

    @pytest.mark.parametrize(
        "line",
        [
            "E: Failed to fetch http://mirror.lan/k8s/kubeadm_1.36.9.deb  404  Not Found [IP: 192.0.2.7 80]",
            "E: The repository 'http://mirror.lan/k8s ./ Release' does not have a Release file.",
            "E: The repository 'http://mirror.lan/k8s ./ Release' no longer has a Release file.",
            "E: Failed to fetch http://mirror.lan/k8s/Packages.gz  Hash Sum mismatch",
            "  - Status code: 404 for http://mirror.lan/repodata/repomd.xml (IP: 192.0.2.7)",
        ],
    )
    def test_that_answers_but_not_usefully_is_another_cause(self, line: str) -> None:
        assert name("install", line) == "repository-unusable"
        assert "http://mirror.lan/" in cause("install", line)

    @pytest.mark.parametrize(
        "line",
        [
            "E: The repository 'http://mirror.lan/k8s ./ InRelease' is not signed.",
            "http://mirror.lan/key.asc is no signing key: does a proxy or a portal answer in its place?",
            "Problem repository: [kube-provision-kubernetes]",
            "Package kubeadm-1.36.4-1.noarch.rpm is not signed",
            "Public key for kubeadm-1.36.4-1.noarch.rpm is not installed. Failing package is: kubeadm-1.36.4-1.noarch",
        ],
    )
    def test_that_no_key_vouches_for_is_another_cause(self, line: str) -> None:
        assert name("install", line) == "repository-untrusted"
        assert line.removeprefix("E: ") in cause("install", line)

    def test_what_one_mirror_lacks_another_may_have_had(self) -> None:
        assert name("install", self.DNF_MIRROR, *self.DNF_GAVE_UP) == "repository-unusable"
        assert found("install", self.DNF_MIRROR, "Running scriptlet: x", "error: something else") is None

    def test_a_package_that_does_not_exist_says_so_itself(self) -> None:
        assert found("install", "E: Version '1.36.9-*' for 'kubeadm' was not found") is None
        assert found("install", "Error: Unable to find a match: kubeadm-1.36.9-*") is None

    def test_a_refused_connection_of_another_stage_is_no_repository(self) -> None:
        assert found("finish", "curl: (7) Failed to connect to hooks.lan port 443: Connection refused") is None


class TestClock:
    NOT_YET = (
        "E: Release file for http://mirror.lan/debian/dists/trixie-updates/InRelease is not valid yet (invalid for another "
        "5h 41min 53s). Updates for this repository will not be applied."
    )
    EARLY = (
        'Get "https://localhost:8443/api/v1/namespaces/kube-public/configmaps/cluster-info?timeout=10s": tls: failed to '
        "verify certificate: x509: certificate has expired or is not yet valid: current time 2026-11-20T10:00:00Z is before "
        "2026-11-22T15:00:00Z"
    )
    LATE = EARLY.replace("before 2026-11-22", "after 2026-11-19")

    @pytest.mark.parametrize(
        ("ahead", "words"),
        [(-3 * 3600.0 - 240, "3 h 4 min slow"), (400 * 86400.0, "400 days fast"), (-90.0, "2 min slow")],
    )
    def test_that_is_off_is_measured_at_the_server(self, ahead: float, words: str) -> None:
        line = self.NOT_YET if ahead < 0 else self.LATE
        assert cause("install", line, machine=Machine(ahead=ahead)) == f"this machine's clock is {words}"

    @pytest.mark.parametrize(
        "line",
        [
            NOT_YET,
            EARLY,
            "curl: (60) SSL certificate problem: certificate is not yet valid",
            "Certificate verification failed: The certificate is NOT trusted. The certificate chain uses not yet valid "
            "certificate.  Could not handshake: Error in the certificate verification. [IP: 192.0.2.7 443]",
        ],
    )
    def test_is_blamed_without_a_measurement_for_what_comes_from_the_future(self, line: str) -> None:
        assert name("install", line) == "wrong-clock"

    def test_that_nobody_sets(self) -> None:
        said = "the clock is not synchronised: does this machine reach the time servers ntp.example.org"
        assert name("prepare", said) == "wrong-clock"

    @pytest.mark.parametrize("line", [NOT_YET, EARLY, LATE])
    def test_that_is_right_is_not_blamed(self, line: str) -> None:
        assert name("join", line, machine=Machine(ahead=2.0)) != "wrong-clock"

    def test_is_not_blamed_unseen_for_a_certificate_that_has_expired(self) -> None:
        assert found("join", self.LATE) is None


class TestSwap:
    KUBELET = (
        "[kubelet-check] Waiting for a healthy kubelet at http://127.0.0.1:10248/healthz. This can take up to 6m0s",
        "[kubelet-check] The kubelet is not healthy after 6m0.002309002s",
        "Unfortunately, an error has occurred:",
        "\tThe HTTP call equal to 'curl -sSL http://127.0.0.1:10248/healthz' returned error: context deadline exceeded",
    )

    INITIALISING = (
        "[kubelet-start] Starting the kubelet",
        "error: error execution phase wait-control-plane: cannot obtain client without bootstrap: could not bootstrap the "
        "admin user in file admin.conf: unable to create ClusterRoleBinding: client rate limiter Wait returned an error: "
        "rate: Wait(n=1) would exceed context deadline",
    )

    @pytest.mark.parametrize(
        "lines",
        [
            ('"command failed" err="failed to run Kubelet: running with swap on is not supported, please disable swap"',),
            ("swapoff: /dev/sda2: swapoff failed: Cannot allocate memory",),
            KUBELET,
            INITIALISING,
        ],
        ids=["kubelet", "swapoff", "unhealthy", "initialising"],
    )
    def test_that_is_on_is_named_with_its_device(self, lines: tuple[str, ...]) -> None:
        machine = Machine(swap=("/dev/sda2",))
        assert name("join", *lines, machine=machine) == "swap"
        assert "swap is on (/dev/sda2)" in cause("join", *lines, machine=machine)

    def test_a_kubelet_that_is_not_healthy_for_another_reason(self) -> None:
        assert found("join", *self.KUBELET) is None

    def test_another_way_out_is_to_have_it(self) -> None:
        diagnosis = found("join", *self.KUBELET, machine=Machine(swap=("/dev/sda2",)))
        assert diagnosis
        assert diagnosis.advice.endswith("or set swap: true")

    def test_that_is_on_while_something_else_fails(self) -> None:
        warning = "\t[WARNING Swap]: swap is supported for cgroup v2 only. The kubelet must be properly configured"
        machine = Machine(swap=("/dev/zram0",))
        assert found("join", warning, "error execution phase upload-config", machine=machine) is None
        assert name("install", TestPackageRepository.REFUSED, machine=machine) == "repository-unreachable"


class TestAuthority:
    PINNED = (
        f'{IDENTITY} cluster CA found in cluster-info ConfigMap is invalid: none of the public keys "{OTHER_PIN}" are pinned'
    )
    NO_SIGNATURE = f'{IDENTITY} could not find a JWS signature in the cluster-info ConfigMap for token ID "5xf60f"'

    def test_that_is_not_the_pinned_one(self) -> None:
        diagnosis = found("join", self.PINNED, ADVICE)
        assert diagnosis
        assert diagnosis.name == "wrong-authority"
        assert OTHER_PIN[:19] in diagnosis.cause
        assert PIN[:19] in diagnosis.cause

    def test_of_another_cluster_that_does_not_know_the_token_either(self) -> None:
        assert name("join", self.NO_SIGNATURE, machine=Machine(answering=OTHER_PIN)) == "wrong-authority"

    def test_of_a_cluster_that_discovery_remembers_in_this_ones_name(self) -> None:
        diagnosis = found("join", self.remembered())
        assert diagnosis
        assert diagnosis.name == "name-taken"
        assert diagnosis.cause.endswith("prod has the id theirs there and ours here")

    def test_of_another_cluster_is_no_reason_to_replace_this_machine(self) -> None:
        for line in (self.PINNED, self.NO_SIGNATURE, self.remembered()):
            diagnosis = found("join", line, machine=Machine(answering=OTHER_PIN))
            assert diagnosis
            assert not diagnosis.replace
            assert diagnosis.advice.startswith("two clusters of one name cannot share")
            assert "choose another name" in diagnosis.advice

    @staticmethod
    def remembered() -> str:
        try:
            refuse_other_cluster({"cluster_id": "theirs"}, Node("w-prod-1", "worker", "prod", "ours"))
        except OtherClusterError as error:
            return str(error)
        raise AssertionError("not refused")

    def test_that_a_registry_has_and_we_do_not_know(self) -> None:
        line = "failed to pull image mirror.lan/pause:3.10: x509: certificate signed by unknown authority"
        assert name("join", line) == "image-unavailable"


class TestToken:
    @pytest.mark.parametrize(
        "line",
        [
            TestAuthority.NO_SIGNATURE,
            f'{IDENTITY} token id "5xf60f" is invalid for this cluster or it has expired. Use "kubeadm token create" on the '
            "control-plane node to create a new valid token",
        ],
    )
    @pytest.mark.parametrize("answering", [None, PIN])
    def test_that_has_expired(self, line: str, answering: str | None) -> None:
        machine = Machine(answering=answering, accepts=False)
        diagnosis = found("join", "[preflight] Running pre-flight checks", line, ADVICE, machine=machine)
        assert diagnosis
        assert (diagnosis.name, diagnosis.replace) == ("expired-token", True)

    def test_that_expires_once_the_masters_authority_is_trusted(self) -> None:
        line = "error: error execution phase preflight: unable to fetch the kubeadm-config ConfigMap: Unauthorized"
        assert name("join", line, ADVICE, machine=Machine(accepts=False)) == "expired-token"
        assert found("join", line, ADVICE, machine=Machine(accepts=True)) is None

    @pytest.mark.parametrize(("accepts", "words"), [(True, "is good"), (None, "may be good")])
    def test_that_nobody_has_signed_for_is_not_given_up(self, accepts: bool | None, words: str) -> None:
        diagnosis = found("join", TestAuthority.NO_SIGNATURE, ADVICE, machine=Machine(accepts=accepts))
        assert diagnosis
        assert (diagnosis.name, diagnosis.replace) == ("unsigned-token", False)
        assert words in diagnosis.cause

    @pytest.mark.parametrize(
        "line",
        [
            "error execution phase control-plane-prepare/download-certs: error downloading certs: error downloading the "
            'secret: Secret "kubeadm-certs" was not found in the "kube-system" Namespace. This Secret might have expired. '
            "Please, run `kubeadm init phase upload-certs --upload-certs` on a control plane to generate a new one",
            "error execution phase control-plane-prepare/download-certs: error downloading certs: error decoding secret "
            "data with provided key: cipher: message authentication failed",
        ],
    )
    def test_certificates_that_are_no_longer_there_for_this_machine(self, line: str) -> None:
        diagnosis = found("join", line, ADVICE)
        assert diagnosis
        assert (diagnosis.name, diagnosis.replace) == ("expired-certificates", True)

    @pytest.mark.parametrize(
        "line", [TestAuthority.NO_SIGNATURE, "error decoding secret data with provided key", "Unauthorized"]
    )
    def test_that_a_users_command_complains_about(self, line: str) -> None:
        assert found("finish", line, machine=Machine(accepts=False)) is None

    def test_data_that_another_program_cannot_decrypt(self) -> None:
        assert found("join", "consul: failed to decrypt packet: cipher: message authentication failed") is None

    def test_the_api_server_that_is_not_there_yet_is_no_expired_token(self) -> None:
        line = f'{IDENTITY} Get "https://localhost:8443/api/v1/namespaces/kube-public/configmaps/cluster-info": EOF'
        assert found("join", line, ADVICE) is None


class TestDiscovery:
    SAID = (
        "discovery unreachable: Consul at 10.0.0.5:8301 was not joined within 240 s: no Consul server leads "
        "(10.0.0.5:8301: Connection refused)"
    )

    @pytest.mark.parametrize(
        ("stage", "line"),
        [
            ("discover", SAID),
            ("join", "waiting: discovery unreachable: the Consul agent at 127.0.0.1:8500 answers 500: No cluster leader"),
            ("join", "waited 2400 s in vain: discovery unreachable: the Consul agent at 127.0.0.1:8500 does not answer"),
        ],
    )
    def test_that_cannot_be_reached(self, stage: str, line: str) -> None:
        assert name(stage, "some", "lines", "before", line) == "discovery-unreachable"
        assert "10.0.0.5" in cause(stage, line)

    def test_that_was_away_for_a_while_is_not_blamed_for_what_came_later(self) -> None:
        assert found("join", f"waiting: {self.SAID}", "[join] Running", "one", "two", "error: something else") is None

    def test_a_lock_that_somebody_else_holds(self) -> None:
        assert found("join", "waiting: the lock of the cluster was not free within 900 s: m-prod-1") is None


class TestImage:
    PREFLIGHT = (
        "\t[ERROR ImagePull]: failed to pull image registry.k8s.io/kube-apiserver:v1.29.2: output: E0312 17:13:01.989013 "
        '41570 remote_image.go:180] "PullImage from image service failed" err="rpc error: code = Unknown desc = failed to '
        'pull and unpack image \\"registry.k8s.io/kube-apiserver:v1.29.2\\": failed to resolve reference '
        '\\"registry.k8s.io/kube-apiserver:v1.29.2\\": failed to do request: Head '
        '\\"https://registry.k8s.io/v2/kube-apiserver/manifests/v1.29.2\\": dial tcp 34.107.244.51:443: i/o timeout" '
        'image="registry.k8s.io/kube-apiserver:v1.29.2"'
    )
    CTR = 'ctr: failed to resolve reference "docker.io/library/nginx:1": docker.io/library/nginx:1: not found'

    @pytest.mark.parametrize(
        ("line", "image", "reason"),
        [
            (PREFLIGHT, "registry.k8s.io/kube-apiserver:v1.29.2", "dial tcp 34.107.244.51:443: i/o timeout"),
            (CTR, "docker.io/library/nginx:1", "not found"),
            (
                "\t[ERROR ImagePull]: failed to pull image registry.k8s.io/etcd:3.6.8-0: failed to pull image "
                "registry.k8s.io/etcd:3.6.8-0: rpc error: code = DeadlineExceeded desc = failed to pull and unpack image "
                '"registry.k8s.io/etcd:3.6.8-0": failed to resolve reference "registry.k8s.io/etcd:3.6.8-0": failed to do '
                'request: Head "https://us-west2-docker.pkg.dev/v2/k8s-artifacts-prod/images/etcd/manifests/3.6.8-0": dial '
                "tcp 64.233.187.82:443: i/o timeout",
                "registry.k8s.io/etcd:3.6.8-0",
                "dial tcp 64.233.187.82:443: i/o timeout",
            ),
            (
                'failed to pull image "registry.k8s.io/pause:3.10.2": failed to pull image registry.k8s.io/pause:3.10.2: '
                'rpc error: code = NotFound desc = failed to pull and unpack image "registry.k8s.io/pause:3.10.2": failed '
                'to resolve reference "registry.k8s.io/pause:3.10.2": registry.k8s.io/pause:3.10.2: not found',
                "registry.k8s.io/pause:3.10.2",
                "not found",
            ),
            (
                "[ERROR ImagePull]: failed to pull image a.lan/etcd:3.6.8-0: failed to pull image a.lan/etcd:3.6.8-0"
                ": rpc error: code = Unknown desc = unexpected status from HEAD request: 401 Unauthorized",
                "a.lan/etcd:3.6.8-0",
                "rpc error: code = Unknown desc = unexpected status from HEAD request: 401 Unauthorized",
            ),
        ],
        ids=["kubeadm-1.30", "ctr", "kubeadm-1.31", "kubeadm-config", "kubeadm-refused"],
    )
    def test_that_cannot_be_pulled_is_named_with_the_reason(self, line: str, image: str, reason: str) -> None:
        assert name("join", line) == "image-unavailable"
        assert cause("join", line) == f"the image {image} cannot be pulled: {reason}"

    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (
                'ctr: failed to resolve image: failed to do request: Head "https://registry-1.docker.io/v2/library/nginx/'
                'manifests/1": dial tcp: lookup registry-1.docker.io: no such host',
                "dial tcp: lookup registry-1.docker.io: no such host",
            ),
            (
                "ctr: failed to copy: httpReadSeeker: failed open: unexpected status code https://mirror.lan/v2/"
                "library/nginx/blobs/sha256:566e42bcee1c?ns=docker.io: 403 Forbidden",
                "failed to copy: httpReadSeeker: failed open: unexpected status code https://mirror.lan/v2/library/"
                "nginx/blobs/sha256:566e42bcee1c?ns=docker.io: 403 Forbidden",
            ),
        ],
        ids=["resolve", "copy"],
    )
    def test_that_containerd_2_does_not_name_is_said_to_be_missing_all_the_same(self, line: str, reason: str) -> None:
        assert name("finish", line) == "image-unavailable"
        assert cause("finish", line) == f"an image cannot be pulled: {reason}"

    def test_a_warning_about_an_image_is_none(self) -> None:
        said = 'detected that the sandbox image "registry.k8s.io/pause:3.8" of the container runtime is inconsistent'
        assert found("join", said) is None


class TestDefaultRoute:
    LOST = replace(FINE, default_route=False)

    @pytest.mark.parametrize(
        ("stage", "line"),
        [
            (
                "install",
                "W: Failed to fetch http://deb.debian.org/InRelease  Temporary failure resolving 'deb.debian.org'",
            ),
            (
                "install",
                "W: Failed to fetch http://x.lan/InRelease  Cannot initiate the connection to x.lan:80 (192.0.2.7). - "
                "connect (101: Network is unreachable)",
            ),
            ("join", TestImage.PREFLIGHT.replace("i/o timeout", "connect: network is unreachable")),
            ("discover", "discovery unreachable: [Errno 101] Network is unreachable"),
        ],
    )
    def test_that_is_missing_explains_what_cannot_be_reached(self, stage: str, line: str) -> None:
        assert name(stage, line, machine=self.LOST) == "no-default-route"
        assert name(stage, line) != "no-default-route"

    def test_that_is_missing_explains_a_discovery_out_of_reach(self) -> None:
        lost = replace(self.LOST, neighbours=())
        assert "no way to discovery at 10.0.0.5" in cause("discover", "Job for agent.service failed.", machine=lost)

    def test_that_a_site_does_without_is_no_cause(self) -> None:
        """A mirror on the machine's own network, that refuses, or is switched off: nothing answers then for its address."""
        alone = replace(self.LOST, neighbours=("10.0.0.5", "192.0.2.7"))
        off = TestPackageRepository.REFUSED.replace("(111: Connection refused)", "(113: No route to host)")
        assert name("install", TestPackageRepository.REFUSED, machine=alone) == "repository-unreachable"
        assert name("install", off, machine=alone) == "repository-unreachable"
        assert name("discover", TestDiscovery.SAID, machine=alone) == "discovery-unreachable"

    def test_that_is_missing_is_seen_where_a_program_does_not_say_why_it_cannot_connect(self) -> None:
        assert name("install", TestPackageRepository.DNF_REFUSED, machine=self.LOST) == "no-default-route"

    def test_that_nobody_can_see_is_not_said_to_be_missing(self) -> None:
        assert name("install", "connect (101: Network is unreachable)", machine=Machine(default_route=None)) is None


def test_nothing_is_recognised_in_what_goes_well() -> None:
    said = (
        "Get:1 http://deb.debian.org/debian bookworm InRelease [151 kB]",
        "[init] Using Kubernetes version: v1.36.4",
        "[kubelet-check] The kubelet is healthy after 1.0s",
        "[bootstrap-token] Configured the kubernetes.io/bootstrap-tokens",
    )
    assert [found(stage, *said) for stage in ("prepare", "install", "discover", "join", "finish")] == [None] * 5


def test_every_recogniser_says_what_it_is_sure_of_in_short_lines() -> None:
    """Each of them is met above; here their words are measured."""
    met = [
        found("install", TestPackageRepository.REFUSED),
        found("install", "E: Failed to fetch http://mirror.lan/x  404  Not Found"),
        found("install", "E: The repository 'http://mirror.lan/k8s ./ InRelease' is not signed."),
        found("install", TestClock.NOT_YET),
        found("join", "[ERROR Swap]: running with swap on is not supported", machine=Machine(swap=("/swapfile",))),
        found("join", TestAuthority.PINNED),
        found("join", TestAuthority.NO_SIGNATURE),
        found("join", TestAuthority.remembered()),
        found("join", TestManifest.said(TestManifest.FILE, "no objects passed to apply")),
        found("join", TestManifest.said(TestManifest.URL, "dial tcp: lookup raw.example.com: no such host")),
        found("join", "Failed to create pod sandbox", machine=Machine(resolver_file=False)),
        found("join", 'Secret "kubeadm-certs" was not found'),
        found("join", *TestSlowMachine.CRI),
        found("join", TestSlowMachine.ADMIN),
        found("discover", TestDiscovery.SAID),
        found("join", TestImage.PREFLIGHT),
        found("install", "connect (101: Network is unreachable)", machine=TestDefaultRoute.LOST),
    ]
    assert len({diagnosis.name for diagnosis in met if diagnosis}) == len(RECOGNISERS)
    assert all(len(diagnosis.cause) < 300 and len(diagnosis.advice) < 200 for diagnosis in met if diagnosis)


def test_what_a_running_step_has_got_over_is_not_its_present() -> None:
    evidence = Evidence("install", (TestPackageRepository.REFUSED, "Get:1 …", "Get:2 …", "Unpacking …"))
    assert diagnose(evidence.present, FINE) is None


class TestManifest:
    FILE = "/etc/kube-provision/manifests/01-cni.yaml"
    URL = "https://raw.example.com/cni.yaml"

    @staticmethod
    def said(manifest: str, reason: str) -> str:
        return f"error: manifest {manifest} is not applied: kubectl apply: exit code 1: {reason}"

    @pytest.mark.parametrize(
        "reason",
        [
            'error validating "01-cni.yaml": error validating data: [apiVersion not set, kind not set]; if you choose to '
            "ignore these errors, turn validation off with --validate=false",
            'error validating "01-cni.yaml": error validating data: invalid object to validate; if you choose to ignore '
            "these errors, turn validation off with --validate=false",
            "no objects passed to apply",
            "error parsing 01-cni.yaml: error converting YAML to JSON: yaml: line 1: did not find expected node content",
            'resource mapping not found for name: "x" namespace: "" from "01-cni.yaml": no matches for kind "Installation" '
            'in version "operator.example.org/v1"; ensure CRDs are installed first',
            'Error from server (NotFound): namespaces "cni" not found',
            'The DaemonSet "cni" is invalid: spec.selector: Required value',
        ],
    )
    def test_that_the_cluster_refuses_is_no_reason_for_a_new_machine(self, reason: str) -> None:
        diagnosis = found("join", self.said(self.FILE, reason))
        assert diagnosis
        assert (diagnosis.name, diagnosis.replace) == ("manifest-refused", False)
        assert self.FILE in diagnosis.cause

    @pytest.mark.parametrize(
        "reason",
        [
            "Unable to connect to the server: dial tcp: lookup raw.example.com on 10.0.0.2:53: no such host",
            "The connection to the server raw.example.com was refused - did you specify the right host or port?",
            f'unable to read URL "{URL}", server reported 404 Not Found, status code=404',
        ],
    )
    def test_that_cannot_be_fetched(self, reason: str) -> None:
        assert name("join", self.said(self.URL, reason)) == "manifest-unavailable"

    @pytest.mark.parametrize("manifest", [FILE, URL])
    @pytest.mark.parametrize(
        "reason",
        [
            'error validating "x": error validating data: failed to download openapi: Get "https://localhost:8443/openapi/v2?'
            'timeout=32s": dial tcp 127.0.0.1:8443: connect: connection refused; if you choose to ignore these errors, turn '
            "validation off with --validate=false",
            "The connection to the server localhost:8443 was refused - did you specify the right host or port?",
            "Error from server: etcdserver: request timed out",
            'error validating "x": error validating data: the server is currently unable to handle the request; if you '
            "choose to ignore these errors, turn validation off with --validate=false",
        ],
    )
    def test_is_not_blamed_for_a_server_that_does_not_answer(self, manifest: str, reason: str) -> None:
        assert found("join", self.said(manifest, reason)) is None


class TestResolverFile:
    @pytest.mark.parametrize(
        "line",
        [
            "error execution phase wait-control-plane: cannot obtain client without bootstrap: unable to create "
            'ClusterRoleBinding: Post "https://10.0.0.11:6443/apis": dial tcp 10.0.0.11:6443: connect: connection refused',
            'Failed to create pod sandbox: open /etc/resolv.conf: no such file or directory"',
        ],
    )
    def test_that_is_missing_is_named_where_no_pod_starts(self, line: str) -> None:
        assert name("join", line, machine=Machine(resolver_file=False)) == "no-resolver-file"
        assert found("join", line) is None

    def test_that_is_missing_while_something_else_fails(self) -> None:
        lacks = Machine(resolver_file=False)
        assert name("join", TestSwap.KUBELET[1], machine=replace(lacks, swap=("/dev/sda2",))) == "swap"
        assert found("install", "E: Unable to locate package nginx", machine=lacks) is None


class TestSlowMachine:
    CRI = (
        "[preflight] Some fatal errors occurred:",
        "\t[ERROR CRI]: could not connect to the container runtime: failed to create new CRI runtime service: validate "
        'service connection: validate CRI v1 runtime API for endpoint "unix:///run/containerd/containerd.sock": rpc error: '
        "code = DeadlineExceeded desc = context deadline exceeded",
    )
    ADMIN = (
        "error: error execution phase wait-control-plane: cannot obtain client without bootstrap: could not bootstrap the "
        "admin user in file admin.conf: unable to create ClusterRoleBinding: Post "
        '"https://10.0.0.11:6443/apis/rbac.authorization.k8s.io/v1/clusterrolebindings?timeout=10s": context deadline '
        "exceeded"
    )

    @pytest.mark.parametrize("check", ["CRI", "ImagePull"])
    def test_whose_runtime_answers_too_late(self, check: str) -> None:
        diagnosis = found("join", self.CRI[0], self.CRI[1].replace("ERROR CRI", f"ERROR {check}"))
        assert diagnosis
        assert (diagnosis.name, diagnosis.replace) == ("runtime-late", False)
        assert diagnosis.advice.startswith("it tries again by itself")

    @pytest.mark.parametrize(
        ("line", "who"),
        [
            (ADMIN, "the API server"),
            (
                ADMIN.partition("Post")[0]
                + "client rate limiter Wait returned an error: rate: Wait(n=1) would exceed context "
                "deadline",
                "the API server",
            ),
            ("[control-plane-check] kube-controller-manager is not healthy after 8m0.000412s", "kube-controller-manager"),
        ],
    )
    def test_whose_control_plane_answers_too_late(self, line: str, who: str) -> None:
        diagnosis = found("join", line)
        assert diagnosis
        assert (diagnosis.name, diagnosis.replace) == ("control-plane-late", False)
        assert diagnosis.cause.startswith(f"{who} did not answer in time")

    def test_is_not_blamed_for_a_runtime_that_does_not_run(self) -> None:
        refused = self.CRI[1].replace(
            "DeadlineExceeded desc = context deadline exceeded", "Unavailable desc = connection refused"
        )
        assert found("join", self.CRI[0], refused) is None

    def test_is_not_blamed_where_something_else_keeps_pods_from_starting(self) -> None:
        assert name("join", self.ADMIN, machine=Machine(resolver_file=False)) == "no-resolver-file"
