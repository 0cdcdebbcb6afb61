"""`python -m release build v0.2.0 dist`: what that tag publishes. `python -m release version 0.2.0`: before it is set."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from packaging.version import InvalidVersion

from release.projects import projects
from release.versions import faults, set_version, tag_faults


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    builds = commands.add_parser("build", help="build every distribution that the tag publishes")
    builds.add_argument("tag")
    builds.add_argument("folder", type=Path)
    commands.add_parser("version", help="write a version wherever one of ours stands").add_argument("version")
    arguments = parser.parse_args()
    if arguments.command == "build":
        _build(arguments.tag, arguments.folder)
    else:
        _version(arguments.version)


def _build(tag: str, folder: Path) -> None:
    if found := [*faults(), *tag_faults(tag)]:
        _refuse("\n".join(found))
    from release.build import build  # what judges bills of materials takes seconds to import

    build(projects(), folder)


def _version(version: str) -> None:
    try:
        set_version(version)
    except InvalidVersion as problem:
        _refuse(str(problem))


def _refuse(lines: str) -> None:
    print(lines, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
