"""Where packages come from: signed, over TLS, and from the mirrors where there are some."""

from __future__ import annotations

import re

import pytest

from ... import Packages, Repository
from ..connected import Connected
from ..fragments import text_of, texts
from .fixtures import CORE, OsFixtures, ask

ARMOURED = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBFexample\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n"
KEY_URL = "https://mirror.example/key.asc"
UNVERIFIED = re.compile(
    r"gpgcheck\s*=\s*(0|no|false)|--no-?gpg-?checks?|--nosignature|trusted\s*[=:]\s*yes|--allow-unauthenticated|"
    r"--allow-insecure|AllowUnauthenticated|AllowInsecure|sslverify\s*=\s*(0|false)|Verify-Peer\s*\"?false|"
    r"\bcurl\b.*\s(-k|--insecure)\b|\bwget\b.*--no-check-certificate",
    re.IGNORECASE,
)
NAMED = {"kubernetes": "kubeadm", "consul": "consul"}
"""Repositories that every driver has, with a component of each."""
MIRRORED = ("kubernetes", "container-runtime", "consul", "os")
"""Repositories that a site may mirror."""


class RepositoryChecks(OsFixtures):
    @pytest.mark.parametrize("minor", ["1.35", "1.36"])
    def test_every_minor_has_its_repository(self, driver: Connected, minor: str) -> None:
        other = {"1.35": "1.36", "1.36": "1.35"}[minor]
        for version in (minor, f"{minor}.4"):
            text = "".join(map(text_of, ask(driver, frozenset({"kubeadm"}), {"kubeadm": version}).files))
            assert minor in text, f"{version} comes from no repository of {minor}"
            assert other not in text, f"{version} comes from a repository of {other}"

    def test_packages_are_verified(self, driver: Connected) -> None:
        for mirrors in ({}, _mirrors("http://mirror.example/")):
            found = UNVERIFIED.search(texts(ask(driver, CORE | self.known_components, repositories=mirrors)))
            assert not found, f"nobody vouches for what is installed: {found and found[0]}"

    def test_upstream_is_asked_over_tls(self, driver: Connected) -> None:
        plain = re.findall(r"http://\S+", texts(ask(driver, CORE | self.known_components)))
        assert not plain, f"anybody on the way may change {plain}"

    @pytest.mark.parametrize("name", NAMED)
    def test_a_mirror_takes_the_place_of_upstream(self, driver: Connected, name: str) -> None:
        upstream = _hosts(_with(driver, name, None))
        mirrored = _with(driver, name, Repository("http://mirror.example/it/"))
        assert "http://mirror.example/it/" in texts(mirrored), f"the mirror of {name} is used nowhere"
        left = _hosts(mirrored) & upstream
        assert not left, f"upstream is still asked: {left}"

    def test_a_mirror_of_the_system_is_used(self, driver: Connected) -> None:
        mirrored = ask(driver, repositories={"os": Repository("http://mirror.example/os")})
        assert "http://mirror.example/os" in texts(mirrored), "the mirror of the system is used nowhere"

    def test_a_mirror_of_the_container_runtime_is_used(self, driver: Connected) -> None:
        mirrored = ask(driver, repositories={"container-runtime": Repository("http://mirror.example/runtime/")})
        assert "http://mirror.example/runtime/" in texts(mirrored), "the mirror of the container runtime is used nowhere"

    @pytest.mark.parametrize("name", NAMED)
    def test_a_mirrors_key_is_fetched(self, driver: Connected, name: str) -> None:
        mirrored = _with(driver, name, Repository("http://mirror.example/it/", KEY_URL))
        assert KEY_URL in texts(mirrored), f"the key of the mirror of {name} is used nowhere"

    @pytest.mark.parametrize("name", NAMED)
    def test_a_mirrors_armoured_key_is_delivered(self, driver: Connected, name: str) -> None:
        mirrored = _with(driver, name, Repository("http://mirror.example/it/", ARMOURED))
        keys = [file.path for file in mirrored.files if text_of(file) == ARMOURED]
        assert len(keys) == 1, f"the key of the mirror of {name} is delivered to {keys}"
        others = "".join(text_of(file) for file in mirrored.files if file.path not in keys)
        assert keys[0] in others, f"no repository is told of {keys[0]}"
        assert "mQENBF" not in others, "the key stands in the middle of a repository's definition"


def _with(driver: Connected, name: str, mirror: Repository | None) -> Packages:
    mirrors = {name: mirror} if mirror else {}
    return ask(driver, frozenset({NAMED[name]}), {"kubeadm": "1.36.4", "consul": "1.21.3"}, mirrors)


def _mirrors(url: str) -> dict[str, Repository]:
    return {name: Repository(f"{url}{name}") for name in MIRRORED}


def _hosts(packages: Packages) -> set[str]:
    return set(re.findall(r"https?://([\w.-]+)", texts(packages)))
