"""Debian's real etcd, as kubeadm runs it: one member per address, TLS everywhere, certificates of the cluster's etcd CA.

with EtcdServers(pki, {"m-prod-1": "127.0.0.11", "m-prod-2": "127.0.0.12"}) as etcd:
    etcd.kill("m-prod-2")
"""

from __future__ import annotations

import http.client
import os
import shutil
import ssl
import subprocess
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from kube_provision_core.folder.pki import Pki
from kube_provision_core.folder.x509 import sign_server

CLIENT_PORT, PEER_PORT = 2379, 2380
PATIENCE = 120.0


class EtcdServers:
    """A cluster with one member for each name, on that name's address. Runs while the context is open."""

    def __init__(self, pki: Pki, members: Mapping[str, str]) -> None:
        self.members = dict(members)
        self._pki = pki
        self._stack = ExitStack()
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._folder = Path()

    def __enter__(self) -> Self:
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="etcd-")))
        self._stack.callback(self._kill_all)
        try:
            self._write_certificates()
            for name in self.members:
                self.start(name)
            self.wait_until_healthy(*self.members)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def start(self, name: str, state: str = "new") -> None:
        """Start a member, or start it again on its old data. `state` of the cluster that it comes to: new, or existing."""
        arguments = [*self._arguments(name), f"--initial-cluster-state={state}"]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("ETCD_")}
        with self._log(name).open("ab") as log:
            self._processes[name] = subprocess.Popen(arguments, env=environment, stdout=log, stderr=log)

    def join(self, name: str, address: str) -> None:
        """One member more, without data, as a master that joins becomes one."""
        self._check_gone(name)
        self._announce(name, address)
        self.members[name] = address
        shutil.rmtree(self._folder / name, ignore_errors=True)
        self._write_certificate(name, address)
        self.start(name, state="existing")
        self.wait_until_healthy(name)

    def _check_gone(self, name: str) -> None:
        """What was removed is a member no more to those who name the members of today."""
        listed = subprocess.run(self.etcdctl("member", "list"), capture_output=True, text=True, timeout=PATIENCE, check=True)
        names = {line.split(", ")[2] for line in listed.stdout.splitlines()}
        if name in names:
            raise RuntimeError(f"etcd has a member {name} already")
        self.members = {other: address for other, address in self.members.items() if other in names}

    def kill(self, name: str) -> None:
        """As if its machine were gone."""
        process = self._processes.pop(name)
        process.kill()
        process.wait(60)

    def wait_until_healthy(self, *names: str) -> None:
        deadline = time.monotonic() + PATIENCE
        waiting = list(names)
        while waiting := [name for name in waiting if not self._healthy(name)]:
            for name in waiting:
                self._check_running(name)
            if time.monotonic() > deadline:
                raise TimeoutError(f"etcd: {waiting} not healthy in {PATIENCE:.0f} s: {self._tail(waiting[0])}")
            time.sleep(0.05)

    def announce_learner(self, address: str) -> None:
        """What a joining master does first; here it never starts."""
        self._announce("late", address, "--learner")

    def _announce(self, name: str, address: str, *more: str) -> None:
        """Waits for the cluster to allow it, as kubeadm does."""
        command = self.etcdctl("member", "add", name, *more, f"--peer-urls=https://{address}:{PEER_PORT}")
        deadline = time.monotonic() + PATIENCE
        while (answer := subprocess.run(command, capture_output=True, timeout=PATIENCE, text=True)).returncode != 0:
            if time.monotonic() > deadline:
                raise TimeoutError(f"etcd takes no member {name} in {PATIENCE:.0f} s: {answer.stderr}")
            time.sleep(0.2)

    def etcdctl(self, *arguments: str) -> list[str]:
        """A command of etcd's own client, for the first member that runs."""
        name = next(iter(self._processes))
        options = {
            "endpoints": f"https://{self.members[name]}:{CLIENT_PORT}",
            "cacert": self._folder / "ca.crt",
            "cert": self._folder / f"{name}.crt",
            "key": self._folder / f"{name}.key",
        }
        return ["env", "ETCDCTL_API=3", "etcdctl", *(f"--{option}={value}" for option, value in options.items()), *arguments]

    def _arguments(self, name: str) -> list[str]:
        address = self.members[name]
        client, peer = f"https://{address}:{CLIENT_PORT}", f"https://{address}:{PEER_PORT}"
        peers = ",".join(f"{name}=https://{address}:{PEER_PORT}" for name, address in self.members.items())
        options = {
            "name": name,
            "data-dir": self._folder / name,
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": peers,
            "initial-cluster-token": self._folder.name,
            "heartbeat-interval": 100,
            "election-timeout": 1000,
        }
        for prefix in ("", "peer-"):
            options |= {
                f"{prefix}cert-file": self._folder / f"{name}.crt",
                f"{prefix}key-file": self._folder / f"{name}.key",
                f"{prefix}trusted-ca-file": self._folder / "ca.crt",
                f"{prefix}client-cert-auth": "true",
            }
        return ["etcd", *(f"--{option}={value}" for option, value in options.items())]

    def _write_certificates(self) -> None:
        """For the hosts that kubeadm names; members check each other's source address, which is 127.0.0.1 here."""
        (self._folder / "ca.crt").write_bytes(self._pki.etcd_ca)
        for name, address in self.members.items():
            self._write_certificate(name, address)

    def _write_certificate(self, name: str, address: str) -> None:
        hosts = [name, "localhost", address, "127.0.0.1"]
        pair = sign_server(self._pki.authority("etcd/ca"), name, hosts, timedelta(days=365))
        (self._folder / f"{name}.crt").write_bytes(pair.certificate)
        (self._folder / f"{name}.key").write_bytes(pair.key)

    def _healthy(self, name: str) -> bool:
        context = ssl.create_default_context(cadata=self._pki.etcd_ca.decode())
        context.load_cert_chain(self._folder / f"{name}.crt", self._folder / f"{name}.key")
        connection = http.client.HTTPSConnection(self.members[name], CLIENT_PORT, timeout=2, context=context)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _check_running(self, name: str) -> None:
        process = self._processes.get(name)
        if process is None or process.poll() is not None:
            raise RuntimeError(f"etcd {name} ended: {self._tail(name)}")

    def _kill_all(self) -> None:
        for name in list(self._processes):
            self.kill(name)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _tail(self, name: str) -> str:
        return self._log(name).read_text(errors="replace")[-1000:]
