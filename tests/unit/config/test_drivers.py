"""One flat document for several owners: each key is claimed once."""

from __future__ import annotations

import pytest

from kube_provision_core import PluginError

MINIMAL = "name: prod\ntarget: moon\nos: plain\ndiscovery: beacon\ntemplate: t\n"
WITH_AUDIT = MINIMAL + "extensions: [audit-log]\n"


def driver(field: str) -> str:
    return f"""
from kube_provision_core import DriverConfig, option
class Keys(DriverConfig):
    {field}
class Driver:
    Config = Keys
    def __init__(self, config): pass
"""


def test_an_extension_brings_its_own_keys(load_text, install) -> None:
    source = driver("audit_log_level: str = option('low', help='x')")
    install("kpx-audit", {"extension": "audit-log = kpx_audit:Driver"}, source)
    config = load_text(WITH_AUDIT + "audit_log_level: high\n")
    assert [it.name for it in config.drivers] == ["moon", "plain", "beacon", "audit-log"]
    assert next(iter(config.driver("extension").config.values())).audit_log_level == "high"


def test_a_key_of_an_extension_without_its_name_is_refused(load_text, install) -> None:
    install("kpx-audit", {"extension": "audit-log = kpx_audit:Driver"}, driver("level: str = option('low', help='x')"))
    with pytest.raises(PluginError, match=r"key level of extension audit-log of kpx-audit must begin with audit_log_"):
        load_text(WITH_AUDIT)


@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("crater: str = option('x', help='x')", "crater"),
        ("ami: str = option('x', help='x')", "ami"),
        ("other: str = option('x', help='x', aliases=['template'])", "template"),
    ],
    ids=["key and key", "key and alias", "alias and key"],
)
def test_a_key_that_two_drivers_claim_names_both_distributions(load_text, install, field: str, key: str) -> None:
    install("kpx-mars", {"os": "mars = kpx_mars:Driver"}, driver(field))
    with pytest.raises(PluginError, match=f"the key {key} is claimed by .*kpc-moon and by .*kpx-mars"):
        load_text(MINIMAL.replace("os: plain", "os: mars"))


def test_a_key_that_the_core_has_too_is_refused(load_text, install) -> None:
    install("kpx-mars", {"os": "mars = kpx_mars:Driver"}, driver("cpu: int = option(1, help='x')"))
    with pytest.raises(PluginError, match="the key cpu is claimed by the core and by os mars of kpx-mars"):
        load_text(MINIMAL.replace("os: plain", "os: mars"))


def test_a_key_named_like_discoverys_section_is_refused(load_text, install) -> None:
    install("kpx-mars", {"os": "mars = kpx_mars:Driver"}, driver("beacon: str = option('x', help='x')"))
    with pytest.raises(PluginError, match="beacon is the section of discovery's machine, and a key of os mars of kpx-mars"):
        load_text(MINIMAL.replace("os: plain", "os: mars"))


def test_keys_of_drivers_that_are_not_chosen_are_unknown(complaints, install) -> None:
    install("kpx-mars", {"os": "mars = kpx_mars:Driver"}, driver("mars_key: str = option('x', help='x')"))
    assert complaints(MINIMAL + "mars_key: x\n") == ["config.yml:6: unknown key mars_key"]


def test_a_model_that_refuses_as_a_whole_names_its_driver(complaints, install) -> None:
    source = """
    from pydantic import model_validator
    from kube_provision_core import DriverConfig, option
    class Keys(DriverConfig):
        mars_a: str = option('x', help='x')
        @model_validator(mode="after")
        def check(self):
            raise ValueError("a and b exclude each other")
    class Driver:
        Config = Keys
        def __init__(self, config): pass
    """
    install("kpx-mars", {"os": "mars = kpx_mars:Driver"}, source)
    assert complaints(MINIMAL.replace("os: plain", "os: mars")) == ["os mars: a and b exclude each other"]


def test_a_default_that_its_own_model_refuses_is_told(complaints, install) -> None:
    install("kpx-mars", {"os": "mars = kpx_mars:Driver"}, driver("mars_n: int = option(0, help='x', ge=1)"))
    assert complaints(MINIMAL.replace("os: plain", "os: mars")) == ["os mars: mars_n: must be at least 1"]
