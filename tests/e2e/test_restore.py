"""A cluster of which nothing is left comes back from one file: with all that was written before, for all who knew it."""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key
from machines.lab import PROGRAM, RUN_LIMIT, Lab, Measured, Run, until
from machines.nspawn import Host
from servers import etcdutl

from kube_provision_core.cluster.api import ControlPlane
from kube_provision_core.contract.errors import ControlPlaneError
from kube_provision_core.folder.pki import Pki

MAPS = "/api/v1/namespaces/kube-system/configmaps"
BULK = "/bulk/"
"""Keys that make the cluster as large as one that is used, and that Kubernetes knows nothing of."""
COUNT, SIZE = 100, 1_000_000
CERTIFICATES = "/etc/kubernetes/pki"
JOINED_SINCE = "w-prod-2"
"""A worker that the backup does not know."""
LIMIT = 600.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with Lab(tmp_path_factory.mktemp("lab"), {"masters": 3, "workers": 1}) as lab:
        if not lab.kubernetes.layer:  # stand-ins run no images, and this one brings a tool
            etcdutl.image(lab.mirror.folder / "images.tar", "registry.k8s.io/etcd:3.6.8-0")
            lab.settings["image_archives"] = lab.mirror.url("images.tar")
        run = lab.run("--wait")
        assert run.code == 0, run.errors
        yield lab


class Writer(threading.Thread):
    """Writes all the while; what was acknowledged is kept."""

    def __init__(self, addresses: list[str], pki: Pki) -> None:
        super().__init__(daemon=True)
        self.acknowledged: list[str] = []
        self.over = threading.Event()
        self._addresses, self._pki = addresses, pki

    def run(self) -> None:
        with ControlPlane(self._addresses, self._pki) as api:
            for number in itertools.count():
                if self.over.is_set():
                    return
                name = f"written-{number}"
                with contextlib.suppress(ControlPlaneError):  # masters may be slow: what counts is what they acknowledge
                    if put(api, name, str(number)) in (200, 201):
                        self.acknowledged.append(name)


def put(api: ControlPlane, name: str, value: str) -> int:
    document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"value": value}}
    return api._api.call("POST", MAPS, document).status


def names(api: ControlPlane) -> set[str]:
    listed = api._api.call("GET", MAPS).document["items"]
    return {item["metadata"]["name"] for item in listed}


def etcdctl(host: Host, *words: str) -> str:
    return host.run("sh", "-c", f"{_etcdctl()} {' '.join(words)}", timeout=LIMIT)


def _etcdctl() -> str:
    key = f"{CERTIFICATES}/apiserver-etcd-client"
    return f"ETCDCTL_API=3 etcdctl --cacert={CERTIFICATES}/etcd/ca.crt --cert={key}.crt --key={key}.key"


def fill(host: Host) -> None:
    each = f"head -c {SIZE} /dev/urandom | {_etcdctl()} put {BULK}$number"
    host.run("sh", "-c", f"for number in $(seq {COUNT}); do {each}; done", timeout=LIMIT)


def revision(host: Host) -> int:
    return int(json.loads(etcdctl(host, "get", "nothing", "--write-out=json"))["header"]["revision"])


def bulk(host: Host) -> set[str]:
    return set(etcdctl(host, "get", "--prefix", "--keys-only", BULK).split())


def signed(key: bytes) -> bytes:
    """As the token of a service account is."""
    private = load_pem_private_key(key, None)
    assert isinstance(private, rsa.RSAPrivateKey)
    return private.sign(b"a token", padding.PKCS1v15(), hashes.SHA256())


def verify(key: bytes, signature: bytes) -> None:
    """As an API server does by its key for service accounts. Raises where it does not know who has signed."""
    public = load_pem_public_key(key)
    assert isinstance(public, rsa.RSAPublicKey)
    public.verify(signature, b"a token", padding.PKCS1v15(), hashes.SHA256())


def lose_everything(lab: Lab) -> None:
    """Every machine, and the operator's own: the folder, and the configuration."""
    for host in list(lab.hosts.values()):
        lab.hypervisor.remove(host.name)
    shutil.rmtree(lab.state)
    lab.config.unlink()


def restore(lab: Lab, path: Path, *more: str) -> Run:
    """From the file and nothing else but its key."""
    command = [
        *(str(PROGRAM), "restore", str(path), "--identity-file", str(path.with_suffix(".key"))),
        *("--state", str(lab.state), "--output", "json", *more),
    ]
    done = subprocess.run(
        command,
        env=lab.environment,
        cwd=path.parent,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_LIMIT,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "prod.age"


@pytest.fixture
def recipient(path: Path) -> str:
    key = pyrage.x25519.Identity.generate()
    path.with_suffix(".key").write_text(f"{key}\n")
    return str(key.to_public())


def test_a_cluster_that_is_lost_comes_back_from_one_file(lab: Lab, path: Path, recipient: str, measured: Measured) -> None:
    first = lab.masters["m-prod-1"]
    fill(first)
    writer = Writer([host.address for host in lab.masters.values()], lab.secrets.pki)
    writer.start()
    until(lambda: len(writer.acknowledged) > 20, LIMIT, "something is written")
    written = set(writer.acknowledged)
    begin = time.monotonic()
    backed_up = lab.run("backup", str(path), "--recipient", recipient)
    assert backed_up.code == 0, backed_up.errors
    measured("seconds of the backup", round(time.monotonic() - begin, 1))
    measured("MB of the backup", round(path.stat().st_size / 1e6))
    more = len(writer.acknowledged)
    until(lambda: len(writer.acknowledged) > more, LIMIT, "something is written after the backup")
    writer.over.set()
    writer.join()

    refused = restore(lab, path)
    assert refused.code == 2
    assert "cluster prod lives" in refused.errors
    kubeconfig, before, cluster_id = lab.administrator, set(lab.hosts), lab.secrets.cluster_id
    token, seen = signed(lab.secrets.pki.files["sa.key"]), revision(first)
    lose_everything(lab)

    begin = time.monotonic()
    run = restore(lab, path, "--workers", "2")
    measured("seconds of the restoration", round(time.monotonic() - begin, 1))
    assert run.code == 0, run.errors
    assert lab.secrets.cluster_id == cluster_id
    assert set(lab.hosts) == before | {JOINED_SINCE}
    until(lambda: lab.ready() == {*lab.masters, *lab.workers}, LIMIT, "every node is ready")
    with lab.control_plane() as api:
        assert written <= names(api)
        assert put(api, "after", "it goes on") in (200, 201)
        assert {member.name for member in api.etcd.members()} == set(lab.masters)
    for host in lab.masters.values():
        assert bulk(host) == {f"{BULK}{number}" for number in range(1, COUNT + 1)}
        assert revision(host) > seen + 900_000_000, "whoever has seen a later state takes the restored one for it"
        assert "has been compacted" in etcdctl(host, "watch", f"--rev={seen}", "/registry", "2>&1", "||", "true")
        verify(host.path(f"{CERTIFICATES}/sa.pub").read_bytes(), token)
        assert not host.path("/var/lib/kube-provision/restore").exists()
    assert opens(lab, kubeconfig, path.with_name("before.pem")), "the kubeconfig of before opens nothing"
    for words in ((), ("--masters", "--workers", "2", "--abandon-old", "--yes")):
        again = restore(lab, path, *words)
        assert again.code == 2
        assert "cluster prod lives" in again.errors
    masters_come_back_alone(lab, path, written, measured)


def masters_come_back_alone(lab: Lab, path: Path, written: set[str], measured: Measured) -> None:
    """Two of three lose their power: etcd has no quorum any more. Of the workers that go on the backup knows one alone."""
    workers = {name: (host.folder, host.boots) for name, host in lab.workers.items()}
    for name in ("m-prod-2", "m-prod-3"):
        lab.hosts[name].kill()
    words = ("--masters", "-m", "1", "--workers", "2")
    left = "m-prod-1, m-prod-2, m-prod-3: of cluster prod, and not known to be lost"
    until(lambda: left in restore(lab, path, *words).errors, LIMIT, "nobody sees a quorum any more")

    begin = time.monotonic()
    run = restore(lab, path, *words, "--abandon-old", "--yes")
    measured("seconds of the restoration of a master for workers that live", round(time.monotonic() - begin, 1))
    assert run.code == 0, run.errors
    assert set(lab.masters) == {"m-prod-1"}
    until(lambda: lab.ready() == {"m-prod-1", *workers}, LIMIT, "every node is ready")
    with lab.control_plane() as api:
        assert written <= names(api)
        assert "after" not in names(api), "it was written after the backup"
    assert {name: (host.folder, host.boots) for name, host in lab.workers.items()} == workers
    until(lambda: all(map(leads_to_a_master, lab.workers.values())), LIMIT, "workers find the master by themselves")


def leads_to_a_master(host: Host) -> bool:
    """The port that kubelet and pods go through."""
    return host.run("sh", "-c", "curl --silent --insecure https://localhost:8443/readyz || true") == "ok"


def opens(lab: Lab, credential: bytes, file: Path) -> bool:
    file.write_bytes(credential)
    host = next(iter(lab.masters.values()))
    command = ["curl", "--silent", "--fail", "--insecure", "--cert", str(file), f"https://{host.address}:6443{MAPS}/after"]
    return subprocess.run(command, capture_output=True, timeout=LIMIT, check=False).returncode == 0
