"""When the certificates of a cluster end, as far as that can be seen without entering a machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType

from ..cluster import certificates as seen
from ..cluster.certificates import Certificate
from ..contract.machines import Power, Role, Vm
from ..engine.facts import Facts
from ..engine.session import Session
from .planning import look

OF_FILES = "a file of the machine, which no handshake shows: `certificates --files` asks for it"
STALE = "the kubelet has not renewed it: systemctl restart kubelet.service on "


@dataclass(frozen=True)
class CertificateRow:
    """One certificate."""

    machine: str
    """Empty for those of the cluster's folder."""
    certificate: str
    """kubeadm's name for it."""
    ends: str
    """The day and time, such as `2027-11-28T12:00:00Z`; empty where nobody could tell."""
    days: int | None
    """That are left, rounded down; below zero once it has ended."""
    text: str
    """Why nobody could tell, or what is wrong; empty where there is nothing to say."""


@dataclass(frozen=True)
class Certificates:
    cluster: str
    certificates: tuple[CertificateRow, ...]


def certificates(session: Session, told: Mapping[str, bytes | str] = MappingProxyType({})) -> Certificates:
    """Look once. `told`: what masters have told of their files, by their names, or why they have not.

    Raises `TargetError` when the target cannot be asked, `FolderError` when the cluster is another's."""
    facts, now = look(session), datetime.now(UTC)
    rows = tuple(_row(certificate, now) for certificate in _all(facts, told))
    return Certificates(facts.seen.cluster.name, rows)


def warnings(facts: Facts) -> Iterator[str]:
    """A line for each machine of a cluster that lives, and its folder, with what ends soon."""
    now = datetime.now(UTC)
    ending: dict[str, list[Certificate]] = {}
    for certificate in (*_shown(facts), *_kept(facts)) if facts.lives else ():
        if certificate.ends_soon(now):
            ending.setdefault(certificate.machine, []).append(certificate)
    for machine, found in ending.items():
        first = min(certificate.end for certificate in found if certificate.end)
        names = ", ".join(certificate.name for certificate in found)
        verb = "ended" if first < now else "ends"
        yield f"{machine or facts.folder.where}: {names} {verb} on {first:%Y-%m-%d}: {_help(machine)}"


def _all(facts: Facts, told: Mapping[str, bytes | str]) -> Iterator[Certificate]:
    yield from _kept(facts)
    if masters := facts.seen.of(Role.MASTER):
        files = {vm.name: _files(vm.name, told.get(vm.name, OF_FILES)) for vm in masters}
        yield from (_known(it, files) for it in _shown(facts))
        yield from (it for found in files.values() for it in found.values() if it.name not in seen.SHOWN)


def _files(machine: str, told: bytes | str) -> dict[str, Certificate]:
    """Of each that it has, or should have, whatever it has told."""
    why = told if isinstance(told, str) else "the machine has not told of it"
    found = seen.told_by(machine, told) if isinstance(told, bytes) else {}
    return {it.name: it for it in seen.in_files([machine], why)} | found


def _known(shown: Certificate, files: Mapping[str, dict[str, Certificate]]) -> Certificate:
    """What its file says, where no handshake could be made."""
    kept = files.get(shown.machine, {}).get(shown.name)
    return kept if kept and kept.end and not shown.end else shown


def _kept(facts: Facts) -> Iterator[Certificate]:
    if facts.folder.saved:
        yield from seen.kept(facts.folder.pki, facts.folder.read_kubeconfig())


def _shown(facts: Facts) -> Iterator[Certificate]:
    masters = facts.seen.of(Role.MASTER)
    asked = {vm.name: vm.address for vm in masters if vm.address and vm.power is Power.ON}
    yield from seen.shown_by(asked, facts.seen.cluster, facts.folder.pki)
    for vm in masters:
        if vm.name not in asked:
            yield from (Certificate(vm.name, name, unknown=_silence(vm)) for name in seen.SHOWN)


def _silence(vm: Vm) -> str:
    return "its address is not known" if vm.power is Power.ON else f"the machine is {vm.power.value}"


def _row(certificate: Certificate, now: datetime) -> CertificateRow:
    left = certificate.left(now)
    return CertificateRow(
        machine=certificate.machine,
        certificate=certificate.name,
        ends=f"{certificate.end:%Y-%m-%dT%H:%M:%SZ}" if certificate.end else "",
        days=left.days if left is not None else None,
        text=certificate.unknown or _advice(certificate, now),
    )


def _advice(certificate: Certificate, now: datetime) -> str:
    if certificate.is_stale(now):
        return f"{STALE}{certificate.machine}"
    return _help(certificate.machine) if certificate.ends_soon(now) else ""


def _help(machine: str) -> str:
    if not machine:
        return "any run that provisions renews the kubeconfig; authorities last as long as their cluster"
    return f"masters renew their own: journalctl --unit kube-provision-certificates on {machine} says what keeps it"
