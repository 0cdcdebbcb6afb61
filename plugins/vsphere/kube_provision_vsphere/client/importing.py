"""A machine that is imported from an OVA: vCenter makes it, and lends it out until its disks have been uploaded."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from threading import Event, Thread
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from kube_provision_core import ConfigError, TargetError, tell

from .faults import VcenterError, explain
from .machines import Machines
from .session import Session
from .specification import Order, profile
from .tasks import LIMIT
from .upload import send
from .vmomi import managed_id, vim
from .waiting import Awaited, Seen, Values, Waiting

if TYPE_CHECKING:
    from ..ova import Ova, Part

log = logging.getLogger(__name__)

LEASE = "HttpNfcLease"
LEASE_PATHS = ("state", "error", "info")

PROGRESS_PAUSE = 10.0
"""Seconds between two reports of how far it is; a lease of which nothing is heard ends, mostly after five minutes."""

LEASE_ENDS = 600.0
"""Seconds until what a killed run has left must have been let go."""
LOOK_PAUSE = TELL_PAUSE = 2.0

HELD = {"InvalidState", "MethodDisabled", "TaskInProgress"}
"""Faults that may mean that a lease is in the way."""


class Imports:
    """Thread-safe. Every method raises `TargetError`."""

    def __init__(self, session: Session, waiting: Waiting, machines: Machines) -> None:
        """`waiting` reads `LEASE_PATHS` of leases."""
        self._session, self._waiting, self._machines = session, waiting, machines

    def run(self, ova: Ova, order: Order) -> str:
        """The id of the machine, which has nothing of the order but its name, notes and place, and is off. What fails leaves
        nothing. Also raises `ConfigError` where the OVA is not what its manifest says."""
        doing = f"{order.name}: import {ova.name}"
        wanted = self._session.call(doing, lambda: _specification(self._session, ova, order))
        if wanted.error or not wanted.importSpec:
            told = "; ".join(dict.fromkeys(str(fault.msg or fault) for fault in wanted.error)) or "vCenter does not say why"
            raise TargetError(f"{doing}: {told}")
        for warning in wanted.warning:
            log.info("%s: %s", doing, warning.msg)
        lease = self._session.call(doing, lambda: managed_id(_begin(self._session, wanted.importSpec, order)))
        try:
            info = self._ready(doing, lease)
            self._send(doing, lease, info, ova, wanted.fileItem)
            self._complete(doing, lease)
        except BaseException:
            with suppress(TargetError):  # nobody reports any more, so it ends by itself
                self._session.call(doing, lambda: self._session.managed(LEASE, lease).HttpNfcLeaseAbort())
            raise
        return managed_id(info.entity)

    def remove(self, name: str, machine: str, *, running: bool) -> None:
        """Delete what a killed run has left. While an import of its is not over, vCenter lets nobody, and then deletes the
        machine itself."""
        since = monotonic()
        for look in count():
            try:
                self._machines.destroy(name, machine, running=running)
            except VcenterError as error:
                if error.kind == "ManagedObjectNotFound":
                    return
                if error.kind not in HELD or monotonic() - since > LEASE_ENDS:
                    raise
            else:
                return
            if look == 0:
                tell("waits until vCenter ends what an earlier run has begun")
            sleep(LOOK_PAUSE)

    def _ready(self, doing: str, lease: str) -> Any:
        """What vCenter says of the lease, once it has made the machine."""

        def judge(values: Values | None, waited: float) -> Seen[Any] | None:
            match (values or {}).get("state"):
                case vim.HttpNfcLease.State.ready:
                    return Seen((values or {})["info"])
                case vim.HttpNfcLease.State.initializing if waited < LIMIT:
                    return None
            if fault := (values or {}).get("error"):
                raise explain(doing, fault, self._session.path)
            raise TargetError(f"{doing}: vCenter has not made the machine after {waited / 60:.0f} minutes, or has lost it")

        return self._waiting.wait(Awaited(LEASE, lease, judge))

    def _send(self, doing: str, lease: str, info: Any, ova: Ova, items: Sequence[Any]) -> None:
        parts = {part.name: part for part in ova.files}
        places = {url.importKey: url for url in info.deviceUrl}
        missing = [item.path for item in items if item.path not in parts or item.deviceId not in places]
        if missing:
            raise TargetError(f"{doing}: vCenter wants {missing[0]}, and does not say where, or it is not in the OVA")
        sent = _Sent(sum(parts[item.path].size for item in items))
        try:
            with ova.path.open("rb") as archive, self._reported(doing, lease, sent, info.leaseTimeout):
                for item in items:
                    part, place = parts[item.path], places[item.deviceId]
                    content = sent.counted(part, part.read(archive), self._session.check)
                    thumbprint = place.sslThumbprint or ""
                    create = bool(item.create)
                    send(self._session, doing, place.url, thumbprint, content, part.size, create=create)
        except OSError as error:
            raise ConfigError(f"bake_from: {ova.path} cannot be read: {error.strerror or error}") from error

    @contextmanager
    def _reported(self, doing: str, lease: str, sent: _Sent, timeout: int) -> Iterator[None]:
        """vCenter hears meanwhile how far it is, without which the lease ends."""
        over = Event()

        def report() -> None:
            while not over.wait(min(PROGRESS_PAUSE, timeout / 4 or PROGRESS_PAUSE)):
                with suppress(TargetError):  # the upload itself fails where the lease has ended
                    self._session.call(doing, lambda: self._session.managed(LEASE, lease).HttpNfcLeaseProgress(sent.percent))

        reporter = Thread(target=report, name="report progress", daemon=True)
        reporter.start()
        try:
            yield
        finally:
            over.set()
            reporter.join()

    def _complete(self, doing: str, lease: str) -> None:
        """An answer that gets lost is asked for again, and the lease is over then."""
        try:
            self._session.call(doing, lambda: self._session.managed(LEASE, lease).HttpNfcLeaseComplete())
        except VcenterError as error:
            if error.kind != "InvalidState":
                raise
            if self._session.call(doing, lambda: self._session.managed(LEASE, lease).state) != vim.HttpNfcLease.State.done:
                raise


class _Sent:
    """How much of an upload is done."""

    def __init__(self, size: int) -> None:
        self._size, self._done, self._told = max(size, 1), 0, monotonic()

    @property
    def percent(self) -> int:
        return self._done * 100 // self._size

    def counted(self, part: Part, content: Iterator[bytes], check: Callable[[], None]) -> Iterator[bytes]:
        for chunk in content:
            check()
            yield chunk
            self._done += len(chunk)
            if monotonic() > self._told + TELL_PAUSE:
                self._told = monotonic()
                tell(f"upload {part.name}: {self.percent} %")


def _specification(session: Session, ova: Ova, order: Order) -> Any:
    """What vCenter makes of the descriptor. Only inside of `Session.call`."""
    network = order.networks[0]
    mapped = session.managed(network.kind, network.id)
    wish = vim.OvfManager.CreateImportSpecParams(
        locale="",
        deploymentOption="",
        entityName=order.name,
        hostSystem=_host(session, order),
        networkMapping=[vim.OvfManager.NetworkMapping(name=name, network=mapped) for name in ova.networks],
        diskProvisioning="thin",
    )
    pool, store = session.managed(order.pool.kind, order.pool.id), session.managed("Datastore", str(order.datastore))
    return session.content.ovfManager.CreateImportSpec(ova.descriptor, pool, store, wish)


def _begin(session: Session, wanted: Any, order: Order) -> Any:
    """The lease. Only inside of `Session.call`. The notes tell from the first moment whose it is."""
    spec = wanted.configSpec
    spec.annotation = order.note
    if order.policy:
        spec.vmProfile = profile(order)
        for change in spec.deviceChange:
            if isinstance(change.device, vim.vm.device.VirtualDisk):
                change.profile = profile(order)
    pool = session.managed(order.pool.kind, order.pool.id)
    return pool.ImportVApp(wanted, session.managed("Folder", order.folder), _host(session, order))


def _host(session: Session, order: Order) -> Any:
    return session.managed("HostSystem", order.host) if order.host else None
