"""Cloud images from the network: fetched once, and never believed without the right checksum."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kube_provision_core import TargetError
from kube_provision_qemu.baking.download import cache_folder, check, fetch
from kube_provision_qemu.baking.sources import Checksum, ImageUrl

CONTENT = b"an image" * 1000
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
SHA512 = f"sha512:{hashlib.sha512(CONTENT).hexdigest()}"


@dataclass
class Site:
    url: str
    served: list[str] = field(default_factory=list)

    def source(self, checksum: str = SHA256, name: str = "debian.qcow2") -> ImageUrl:
        return ImageUrl(f"{self.url}/{name}", Checksum.parse(checksum))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "www").mkdir()
    (tmp_path / "www/debian.qcow2").write_bytes(CONTENT)
    site = Site("")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
            site.served.append(self.path)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(tmp_path / "www")))
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("checksum", [SHA256, SHA512])
def test_an_image_is_fetched_once(site: Site, tmp_path: Path, checksum: str) -> None:
    for _ in range(2):
        assert fetch(site.source(checksum), tmp_path / "cache").read_bytes() == CONTENT
    assert site.served == ["/debian.qcow2"]


def test_another_checksum_is_another_image(site: Site, tmp_path: Path) -> None:
    assert fetch(site.source(), tmp_path / "cache") != fetch(site.source(SHA512), tmp_path / "cache")


def test_a_wrong_image_is_not_kept(site: Site, tmp_path: Path) -> None:
    wrong = f"sha256:{'0' * 64}"
    with pytest.raises(TargetError, match=f"its sha256 checksum is {SHA256[7:]}, and bake_from_checksum says 0000"):
        fetch(site.source(wrong), tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def test_what_a_killed_run_has_left_is_removed(site: Site, tmp_path: Path) -> None:
    kept = fetch(site.source(), tmp_path / "cache")
    kept.rename(kept.with_suffix(".0123.part"))
    fetch(site.source(), tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.part"))


def test_an_image_that_is_not_there_is_told_of(site: Site, tmp_path: Path) -> None:
    with pytest.raises(TargetError, match=r"/other\.img cannot be downloaded: the server says 404"):
        fetch(site.source(name="other.img"), tmp_path / "cache")


def test_a_server_that_is_not_there_is_told_of(tmp_path: Path) -> None:
    source = ImageUrl("http://127.0.0.1:9/image", Checksum.parse(SHA256))
    with pytest.raises(TargetError, match=r"^http://127\.0\.0\.1:9/image cannot be downloaded: .*refused"):
        fetch(source, tmp_path / "cache")


def test_a_full_disk_is_told_of(site: Site, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(TargetError, match="cannot be kept in"):
        fetch(site.source(), tmp_path / "cache")


def test_an_image_that_is_too_large_is_none(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kube_provision_qemu.baking.download.LARGEST", 100)
    with pytest.raises(TargetError, match="is it a cloud image"):
        fetch(site.source(), tmp_path / "cache")


def test_a_password_in_a_url_is_not_shown() -> None:
    assert str(ImageUrl("https://me:secret@x.example/image", Checksum.parse(SHA256))) == "https://x.example/image"


def test_a_local_file_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(CONTENT)
    check(tmp_path / "image", Checksum.parse(SHA512), "it")
    with pytest.raises(TargetError, match=r"^it: its sha512 checksum is"):
        check(tmp_path / "image", Checksum.parse(f"sha512:{'0' * 128}"), "it")


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    assert cache_folder({"HOME": "/home/a"}) == Path("/home/a/.cache/kube-provision/images")
    assert cache_folder({"HOME": "/home/a", "XDG_CACHE_HOME": "/c"}) == Path("/c/kube-provision/images")
