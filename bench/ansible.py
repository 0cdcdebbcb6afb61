"""The same machines, as the 2019 system made them: one run of Ansible's own vSphere module after the other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from servers.cache import locked

from bench.measure import Cost, run, table
from bench.scale import MASTERS, provision
from bench.site import Site, open_site

PLAYBOOK = Path(__file__).with_name("clone.yml")
PACKAGES = ("ansible==12.3.0", "pyvmomi==9.1.1.0", "requests")
MACHINES = 6


def measure() -> str:
    program = _ansible()
    with open_site() as site:
        costs = [run(_command(program, site, f"a-{i}"), site.environment) for i in range(MACHINES)]
        calls = sum(site.vcenter.counts().values())
        if len(site.vcenter.machine_names()) != MACHINES:
            raise RuntimeError(f"Ansible made only {site.vcenter.machine_names()}")
    ours = provision(MACHINES)
    seconds = sum(cost.seconds for cost in costs)
    rows = [
        _row("Ansible, one run a machine", seconds, calls, max(costs, key=lambda cost: cost.peak_mib), ours.cost.seconds),
        _row("kube-provision, one run", ours.cost.seconds, ours.calls, ours.cost, ours.cost.seconds),
    ]
    return table((f"{MASTERS} masters, {MACHINES - MASTERS} workers", "s", "ratio", "calls a machine", "peak MiB"), rows)


def _row(name: str, seconds: float, calls: int, largest: Cost, base: float) -> tuple[str, ...]:
    return (name, f"{seconds:.1f}", f"{seconds / base:.1f}", f"{calls / MACHINES:.0f}", f"{largest.peak_mib:.0f}")


def _command(program: Path, site: Site, name: str) -> list[str | Path]:
    variables = {
        "vcenter_host": site.vcenter.host,
        "vcenter_port": site.vcenter.port,
        "vcenter_username": site.vcenter.username,
        "machine": name,
    }
    extra = [part for key, value in variables.items() for part in ("-e", f"{key}={value}")]
    return [program, "-i", "localhost,", PLAYBOOK, *extra]


def _ansible() -> Path:
    """An environment of its own, made once; half a gigabyte."""
    with locked("ansible") as cache:
        folder = cache / "ansible"
        program = folder / "bin/ansible-playbook"
        if not program.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", folder], check=True)
            pip = ("-m", "pip", "--python", str(folder / "bin/python"), "install", "-q")
            subprocess.run([sys.executable, *pip, *PACKAGES], check=True)
    return program
