"""Everything that is measured, side by side in one run: `make bench`."""

from __future__ import annotations

import argparse
import os
import platform

from bench import backup, rendering, scale, startup
from bench.site import CALL_DELAY, CLONE_TIME, open_site

BACKUPS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[6, 50, 200, 1000], help="machines of the clusters")
    parser.add_argument("--rounds", type=int, default=15, help="how often each command is started")
    parser.add_argument("--nodes", type=int, default=400, help="nodes to render")
    parser.add_argument("--data", type=int, nargs="*", default=[1, 10, 100], help="megabytes in the etcd that is backed up")
    parser.add_argument("--ansible", action="store_true", help="also clone as the 2019 system did")
    options = parser.parse_args()
    show(f"{platform.system()} {platform.machine()}, {os.cpu_count()} processors, Python {platform.python_version()}")
    with open_site() as site:
        show(f"Starting, median of {options.rounds}", startup.measure(site, options.rounds))
        show("Boot data", rendering.measure(site, options.nodes))
        show(f"Backups, median of {BACKUPS}", backup.measure(site, options.data, BACKUPS))
    show(f"Clusters; {CALL_DELAY} s a call, {CLONE_TIME} s a clone", scale.measure(options.sizes))
    if options.ansible:
        from bench import ansible

        show("The same clones by Ansible", ansible.measure())


def show(*paragraphs: str) -> None:
    print(*paragraphs, sep="\n\n", end="\n\n", flush=True)


if __name__ == "__main__":
    main()
