"""The files that docs/automation.md shows, and what its pipelines run, as their engines would run it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PAGE = Path(__file__).parents[2] / "docs/automation.md"
GITHUB, GITLAB, ANSIBLE, IMAGE = ".github/workflows/prod.yml", ".gitlab-ci.yml", "cluster.yml", "Containerfile"
SERVICE, TIMER = "kube-provision@.service", "kube-provision@.timer"
_FILE = re.compile(r'^```\w+ title="([^"]+)"\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def files() -> dict[str, str]:
    return dict(_FILE.findall(PAGE.read_text()))


def document(name: str) -> Any:
    """One of them, of YAML. GitHub's `on` is a truth value to YAML's older readers."""
    return yaml.safe_load(files()[name])


def program(words: str) -> str:
    """What it has the service run, in the place of which `words` come."""
    (command,) = re.findall(r"^ExecStart=((?:.*\\\n)*.*)$", files()[SERVICE], re.MULTILINE)
    return str(command).replace("\\\n", " ").replace("/opt/kube-provision/bin/kube-provision", words)


class Runner:
    """One job of GitHub's: a folder with what was checked out, and what its steps tell each other by files."""

    def __init__(self, folder: Path, environment: Mapping[str, str], secrets: Mapping[str, str], temp: Path) -> None:
        self.folder, self.secrets, self.temp = folder, secrets, temp
        self.summary = self.temp / "summary"
        self.temp.mkdir(exist_ok=True)
        told = {"RUNNER_TEMP": self.temp, "GITHUB_ENV": self.temp / "env", "GITHUB_STEP_SUMMARY": self.summary}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {**os.environ, **environment, "PATH": path, **{key: str(file) for key, file in told.items()}}

    def run(self, job: Mapping[str, Any]) -> Iterator[subprocess.CompletedProcess[str]]:
        """Its steps that are commands, up to the first that fails."""
        self.environment |= self._said(job.get("env", {}))
        for step in job["steps"]:
            if "run" not in step:
                continue
            done = self._shell(step["run"], self._said(step.get("env", {})))
            yield done
            if done.returncode:
                return
            self._take_in()

    def _shell(self, text: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """As GitHub does: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax"""
        return subprocess.run(
            ["bash", "-e", "-c", text],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def _said(self, values: Mapping[str, str]) -> dict[str, str]:
        return {
            key: re.sub(r"\$\{\{ secrets\.(\w+) \}\}", lambda it: self.secrets[it[1]], text) for key, text in values.items()
        }

    def _take_in(self) -> None:
        told = self.temp / "env"
        for line in told.read_text().splitlines() if told.exists() else ():
            key, _, value = line.partition("=")
            self.environment[key] = value
