"""A configuration's world: real plugins in a folder on sys.path, documents in a temporary folder."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from kube_provision_core import ConfigError
from kube_provision_core.config import Config, load

MOON = """
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, SecretStr, field_validator
from kube_provision_core import DriverConfig, LocalFile, LocalPath, OnNodeNetwork, option

class Site(BaseModel):
    model_config = {"extra": "forbid"}
    addresses: list[OnNodeNetwork[IPv4Interface]] = []

class Lander(BaseModel):
    model_config = {"extra": "forbid"}
    legs: int
    colour: Literal["grey", "gold"] = "grey"

class MoonConfig(DriverConfig):
    template: str = option(per_role=True, aliases=["ami"], help="What machines are made of.")
    moon_password: SecretStr = option(help="The password.")
    moon_token: SecretStr | None = option(None, per_role=True, help="A token.")
    base: str | None = option(None, help="Where on the moon.")
    landers: list[Lander] = option([], per_role=True, help="Landers.")
    far_side: bool = option(False, help="Is it dark?")
    gravity: float = option(1.62, help="Gravity.")
    anything: Any = option(None, help="Anything.")
    key_file: LocalFile | None = option(None, per_role=True, help="A file.")
    moon_dir: LocalPath | None = option(None, help="A folder.")
    crater: str = option("tycho", help="A crater.")
    orbit: str = option("low", pattern="^[a-z]+$", help="Name of an orbit.")
    dish: OnNodeNetwork[IPv4Address | IPv6Address] | None = option(None, per_role=True, help="A dish.")
    plain: OnNodeNetwork[IPv4Network] | None = option(None, help="A plain.")
    sites: Site = option(Site(), per_role=True, help="Where machines stand.")
    antenna: IPv4Address | IPv6Address | None = option(None, help="Where it listens.")

    @field_validator("moon_password")
    @classmethod
    def _check_password(cls, value: SecretStr) -> SecretStr:
        if value.get_secret_value().startswith("bad"):
            raise ValueError(f"{value.get_secret_value()} is a bad password")
        return value

class Moon:
    Config = MoonConfig
    parallel = 4
    def __init__(self, config): self.config = config
"""
PLAIN = """
from kube_provision_core import DriverConfig
class Plain:
    Config = DriverConfig
    def __init__(self, config): pass
"""
BEACON = """
from pydantic import SecretStr
from kube_provision_core import DriverConfig, option

class BeaconConfig(DriverConfig):
    beacon_ip: str | None = option(None, help="An existing beacon.")
    beacon_machines: int = option(1, help="How many there are.")
    beacon_key: SecretStr | None = option(None, help="A key.")

    def generated(self):
        return {} if self.beacon_key else {"beacon_key": lambda: "made"}

class Beacon:
    Config = BeaconConfig
    def __init__(self, config): self._config = config
    @property
    def address(self): return next(iter(self._config.values())).beacon_ip

    @property
    def machines(self): return next(iter(self._config.values())).beacon_machines
"""

Install = Callable[..., None]
Load = Callable[..., Config]
Complain = Callable[..., list[str]]

SECRET = {"KUBE_PROVISION_MOON_PASSWORD": "hunter2"}
MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"


def install_into(site: Path, distribution: str, points: Mapping[str, str], source: str) -> None:
    """A distribution with one module; `points` are entry points such as `{"target": "moon = kpc_moon:Moon"}`."""
    module = distribution.replace("-", "_")
    info = site / f"{module}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("".join(f"[kube_provision.{kind}]\n{text}\n" for kind, text in points.items()))
    (site / f"{module}.py").write_text(dedent(source))


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A target `moon` (also `luna`), an operating system `plain`, a discovery `beacon`."""
    site = tmp_path_factory.mktemp("site")
    install_into(site, "kpc-moon", {"target": "luna = kpc_moon:Moon\nmoon = kpc_moon:Moon"}, MOON)
    install_into(site, "kpc-plain", {"os": "plain = kpc_plain:Plain"}, PLAIN)
    install_into(site, "kpc-beacon", {"discovery": "beacon = kpc_beacon:Beacon"}, BEACON)
    return site


@pytest.fixture(autouse=True)
def _plugins(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(site))


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install one more distribution for this test."""
    before = set(sys.modules)

    def install(distribution: str, points: Mapping[str, str], source: str) -> None:
        install_into(tmp_path / "site" / distribution, distribution, points, source)
        monkeypatch.syspath_prepend(str(tmp_path / "site" / distribution))

    yield install
    for name in [name for name in set(sys.modules) - before if name.startswith("kpx_")]:
        del sys.modules[name]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the test; documents are named relative to it."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def load_text(folder: Path) -> Load:
    """Load documents given as text; the environment holds the one required secret."""

    def load_text(
        *documents: str,
        extra: Sequence[str] = (),
        flags: Mapping[str, object] = {},
        environ: Mapping[str, str] = {},
        **more: Any,
    ) -> Config:
        names = [Path(f"config{number or ''}.yml") for number in range(len(documents))]
        for name, text in zip(names, documents, strict=True):
            (folder / name).write_text(text)
        return load(names, extra=extra, flags=flags, environ={**SECRET, **environ})

    return load_text


@pytest.fixture
def complaints(load_text: Load) -> Complain:
    """The lines of the error that a configuration meets."""

    def complaints(*documents: str, **given: Any) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load_text(*documents, **given)
        assert str(caught.value).splitlines() == list(caught.value.problems)
        return list(caught.value.problems)

    return complaints
