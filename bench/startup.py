"""How long the program takes to say anything, beside Python itself and a click program that does nothing."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bench.measure import medians, table
from bench.site import PROGRAM, Site

BARE_CLICK = """
import click

@click.command()
@click.option("--name", help="A name.")
def main(name):
    '''A program that does nothing.'''

main()
"""


def measure(site: Site, rounds: int) -> str:
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE_CLICK)
        seconds = medians(
            {
                "python -c pass": [sys.executable, "-c", "pass"],
                "bare click program, --help": [sys.executable, bare, "--help"],
                "kube-provision --help": [PROGRAM, "--help"],
                "kube-provision plan, 6 machines": site.command("plan"),
            },
            rounds,
            site.environment,
        )
    python, click = seconds["python -c pass"], seconds["bare click program, --help"]
    rows = [
        (name, f"{1000 * value:.0f}", f"{value / python:.1f}", f"{value / click:.2f}") for name, value in seconds.items()
    ]
    return table(("program", "ms", "vs Python", "vs click"), rows)
