"""A cluster of whole hosts whose certificates live for minutes outlives all of them, whoever is away meanwhile."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from itertools import pairwise

import pytest
from machines.lab import Lab, Measured, until
from machines.nspawn import Host
from machines.probe import Probe, now

REAL = bool(os.environ.get("KUBERNETES"))
PERIOD = 1800 if REAL else 240
"""Seconds that a certificate lives. It begins five minutes in the past, and a third of all that is left when it is time.
Real pods take minutes to start anew: with shorter lives masters would wait for one another all the time."""
UNIT = "kube-provision-certificates.service"
TIMER = "/etc/systemd/system/kube-provision-certificates.timer.d/often.conf"
OFTEN = "[Timer]\nOnUnitInactiveSec=\nOnActiveSec=2\nOnUnitInactiveSec=2\nRandomizedDelaySec=0\nAccuracySec=1\n"
RENEW = ("sh", "-c", "cd /usr/local/lib/kube-provision && exec python3 -m kube_provision_node.certificates --now")
MARKER = "certificates-renewed.json"
"""There from then on that all certificates are new, until all that uses them has begun anew."""
LIMIT = 420.0
"""Seconds for one renewal, on a machine that is shared with others."""


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("lab")
    (folder / "often.conf").write_text(OFTEN)
    settings = {
        "extensions": ["short-lives"],
        "short_lives_period": f"{PERIOD}s",
        "files": {TIMER: str(folder / "often.conf")},
    }
    with Lab(folder, settings) as lab:
        run = lab.provision("--wait", workers=1)
        assert run.code == 0, run.errors
        yield lab


def test_what_is_asked_for_is_done_by_one_after_another_and_seen_from_outside(lab: Lab, measured: Measured) -> None:
    """Given to them as tasks. A client at a worker goes on meanwhile."""
    before = shown(lab)
    assert len(before) == 9
    (worker,) = lab.workers.values()
    with Probe(worker) as probe:
        begin = time.monotonic()
        run = lab.run("certificates", "renew", limit=len(lab.masters) * LIMIT)
        measured("seconds for three masters", round(time.monotonic() - begin, 1))
        failed = [it for it in probe.attempts if not it.served]
    assert run.code == 0, run.errors
    measured("requests of a worker that failed", f"{len(failed)} of {len(probe.attempts)}")
    measured("seconds of the longest of them", round(max((it.end - it.begin for it in failed), default=0.0), 2))

    def are_newer() -> bool:
        after = shown(lab)
        return all(after.get(which, "") > ends for which, ends in before.items())

    until(are_newer, LIMIT, "every port shows a newer one, whatever the timers start anew meanwhile")
    assert all(not record.task for record in lab.hypervisor.records())


def test_masters_tell_when_those_end_that_no_port_shows(lab: Lab, measured: Measured) -> None:
    begin = time.monotonic()
    run = lab.run("certificates", "--files", "--output", "json", limit=LIMIT)
    measured("seconds until three masters have told of their files", round(time.monotonic() - begin, 1))
    assert run.code == 0, run.errors
    rows = [row for row in run.data["certificates"] if row["machine"]]
    assert not [row for row in rows if not row["ends"]]
    assert {row["machine"] for row in rows if row["certificate"] == "kubelet client"} == set(lab.masters)
    assert {row["machine"] for row in rows if row["certificate"] == "scheduler.conf"} == set(lab.masters)
    assert all(not record.task for record in lab.hypervisor.records())


@pytest.mark.night
def test_masters_renew_one_after_another_and_everybody_is_served(lab: Lab, measured: Measured) -> None:
    """Of themselves, and until long after the first certificates have ended."""
    begin, first = now(), min(map(end, lab.masters.values()))
    (worker,) = lab.workers.values()
    with Probe(worker) as probe:
        until(lambda: now() > first + 10, PERIOD + LIMIT, "the first certificates have ended")
        until(lambda: all(end(host) > now() for host in lab.masters.values()), LIMIT, "every master has newer ones")
        unserved = sum(it.end - it.begin for it in probe.attempts if not it.served)
        measured("requests of a worker that failed", sum(not it.served for it in probe.attempts))
        measured("seconds that they took", round(unserved, 1))
    turns = [turn for host in lab.masters.values() for turn in renewals(host) if turn[0] > begin - LIMIT]
    measured("seconds of each renewal", sorted(round(turn[1] - turn[0], 1) for turn in turns))
    assert len({turn[2] for turn in turns}) == 3
    turns.sort()
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(turns)), turns
    assert lab.ready() == {"m-prod-1", "m-prod-2", "m-prod-3", worker.name}


def test_one_that_is_killed_goes_on_where_it_was(lab: Lab) -> None:
    host = lab.masters["m-prod-2"]
    host.run("systemctl", "stop", "kube-provision-certificates.timer")
    until(lambda: not running(host, UNIT), LIMIT, "what the timer has begun is over")
    before = end(host)
    host.run("systemd-run", "--unit=renewal", *RENEW)
    until(lambda: MARKER in traces(host) or not running(host, "renewal"), LIMIT, "all new certificates are there")
    host.run("systemctl", "kill", "--signal=KILL", "renewal.service")
    assert MARKER in traces(host)
    host.run("systemctl", "start", "--no-block", UNIT)
    until(lambda: traces(host) == "", LIMIT, "it is brought to its end")
    assert end(host) > before
    host.run("systemctl", "start", "kube-provision-certificates.timer")


@pytest.mark.night
def test_without_discovery_and_a_master_the_others_live_on_and_it_comes_back(lab: Lab, measured: Measured) -> None:
    away = lab.masters["m-prod-3"]
    lab.discovery.kill()
    away.kill()
    others = [host for host in lab.masters.values() if host is not away]
    last = max(map(end, others))
    until(lambda: now() > last + 10, PERIOD + LIMIT, "all certificates of before have ended")
    until(lambda: all(end(host) > now() for host in others), LIMIT, "the others have newer ones")
    until(lambda: all(map(renewed_without_lock, others)), LIMIT, "they have begun to use them, without the lock")
    until(lambda: lab.ready() >= {host.name for host in others}, LIMIT, "the others serve")
    lab.hypervisor.start("consul-prod")
    lab.hypervisor.start(away.name)
    since = time.monotonic()
    until(lambda: away.name in lab.ready(), LIMIT, "the one that was away is ready again")
    measured("seconds until a master whose certificates had ended is ready", round(time.monotonic() - since, 1))


# --- what a host tells ------------------------------------------------------------------------------------------------


def end(host: Host) -> float:
    """When the certificate of its API server ends that is on its disk; seconds since the epoch. None counts as ended."""
    told = host.run("kubeadm", "certs", "check-expiration", "-o", "json", check=False)
    if not told.startswith("{"):
        return 0.0
    (found,) = (it for it in json.loads(told)["certificates"] if it["name"] == "apiserver")
    return datetime.fromisoformat(found["expirationDate"]).timestamp()


def shown(lab: Lab) -> dict[tuple[str, str], str]:
    """What the masters show in handshakes: when it ends."""
    told = lab.run("certificates", "--output", "json").data["certificates"]
    return {(row["machine"], row["certificate"]): row["ends"] for row in told if row["machine"] and row["ends"]}


def running(host: Host, unit: str) -> bool:
    return host.succeeds("systemctl", "is-active", "--quiet", unit) or "activating" in host.run(
        "systemctl", "is-active", unit, check=False
    )


def traces(host: Host) -> str:
    """What a renewal that is under way keeps on the disk."""
    return host.run("sh", "-c", "ls -d /var/lib/kube-provision/certificates-* 2>/dev/null || true")


def renewed_without_lock(host: Host) -> bool:
    """Said at the end: the certificates are there before what uses them has been started anew."""
    return "renewed without the cluster's lock" in host.journal(f"--unit={UNIT}", lines=2000)


def renewals(host: Host) -> Iterator[tuple[float, float, str]]:
    """From when until when, by its journal: from the first pod that began anew to the word that all is done."""
    begin = 0.0
    for line in host.journal(f"--unit={UNIT}", "--output=json", lines=5000).splitlines():
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        at, text = int(entry["__REALTIME_TIMESTAMP"]) / 1e6, str(entry["MESSAGE"])
        if re.match(r"now: starts etcd", text):
            begin = begin or at
        elif text.startswith("renewed") and begin:
            yield begin, at, host.name
            begin = 0.0
