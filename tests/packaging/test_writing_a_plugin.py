"""docs/writing-a-plugin.md, followed to the letter: every file is written, every command run, every answer compared.

`sh` blocks are commands, blocks with a title are files, and every line of a `text` block must stand in what the commands
before it have said.
"""

from __future__ import annotations

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from servers.wheels import ROOT, wheel

PAGE = ROOT / "docs/writing-a-plugin.md"
OURS = (ROOT, ROOT / "plugins/debian", ROOT / "plugins/ubuntu", ROOT / "plugins/consul")
MARK = "@@@ block"
LIMIT = 600
"""Seconds. `timeout` ends whatever the commands have started, too."""
BLOCK = re.compile(r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    line: int
    language: str
    title: str
    text: str

    @property
    def command(self) -> str:
        if self.title:
            return f"cat >{self.title} <<'END OF FILE'\n{self.text}END OF FILE"
        return self.text if self.language == "sh" else ""


def blocks() -> list[Block]:
    page = PAGE.read_text()
    return [
        Block(page.count("\n", 0, found.start()) + 1, found["language"], found["title"] or "", found["text"])
        for found in BLOCK.finditer(page)
    ]


class Index(BaseHTTPRequestHandler):
    """What `twine upload` speaks to: it takes every file, and notes its name."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        uploaded: list[str] = self.server.uploaded  # type: ignore[attr-defined]  # set below
        uploaded += re.findall(rb'filename="([^"]+)"'.decode(), body.decode(errors="replace"))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def index() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Index) as server:
        server.uploaded = []  # type: ignore[attr-defined]  # what a request leaves behind
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory, index: ThreadingHTTPServer) -> dict[int, str]:
    """What the commands of each block have said, by the line of the block. The whole page is one session of a shell."""
    folder = tmp_path_factory.mktemp("sitting")
    (folder / "wheels").mkdir()
    for built in map(wheel, OURS):
        (folder / "wheels" / built.name).write_bytes(built.read_bytes())
    environment = {
        "HOME": str(folder),
        "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        "LC_ALL": "C.UTF-8",
        "PATH": os.environ["PATH"],
        "PIP_FIND_LINKS": f"{folder / 'wheels'} {os.environ.get('PIP_FIND_LINKS', '')}",
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"),
        "TWINE_REPOSITORY_URL": f"http://127.0.0.1:{index.server_port}/",
        "TWINE_USERNAME": "__token__",
        "TWINE_PASSWORD": "a-token",
        "NO_PROXY": "127.0.0.1",
    }
    passed_on = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy") or key.startswith("PIP_")}
    script = "\n".join(f"printf '\\n{MARK} %s\\n' {block.line}\n{block.command}" for block in blocks())
    work = folder / "work"
    work.mkdir()
    done = subprocess.run(
        ["timeout", f"{LIMIT}", "bash", "-eo", "pipefail", "-c", f"exec 2>&1\n{script}"],
        cwd=work,
        env=passed_on | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    parts = re.split(rf"^{MARK} (\d+)\n", done.stdout, flags=re.MULTILINE)
    outputs = {int(line): text for line, text in zip(parts[1::2], parts[2::2], strict=True)}
    assert done.returncode == 0, f"{PAGE.name}:{max(outputs)} failed:\n{done.stdout[-3000:]}"
    return outputs


def test_every_command_works_and_says_what_the_page_shows(said: dict[int, str]) -> None:
    commands = ""
    for block in blocks():
        commands = said[block.line] if block.command else commands
        if block.language == "text":
            shown = [line.split() for line in commands.splitlines()]
            for line in block.text.splitlines():
                assert any(contains(words, line.split()) for words in shown), f"{PAGE.name}:{block.line}: {line}\n{commands}"


def contains(words: list[str], part: list[str]) -> bool:
    return any(words[start : start + len(part)] == part for start in range(len(words)))


def test_the_package_arrives_at_the_index(said: dict[int, str], index: ThreadingHTTPServer) -> None:
    uploaded: list[str] = index.uploaded  # type: ignore[attr-defined]  # what a request leaves behind
    assert {Path(name).suffix for name in uploaded} == {".whl", ".gz"}
    assert all(name.startswith("kube_provision_shelf-0.1.0") for name in uploaded)


def test_every_block_is_one_that_is_tested() -> None:
    untested = [block for block in blocks() if not block.command and block.language != "text"]
    assert untested == []
    assert PAGE.read_text().count("\n```") == 2 * len(blocks())
