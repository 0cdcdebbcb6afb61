"""URLs of the configuration: none holds what lets one in, which logs, processes and neighbours would show."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated
from urllib.parse import parse_qsl

from pydantic import AfterValidator, StringConstraints

from .hosts import host_fault

URL = r"^https?://[^\s]+$"
NO_WAY = "what is fetched there must need none"
"""Where there is no other key for them."""

_SECRETS = ("auth", "jwt", "key", "sig")
_ENDINGS_OF_SECRETS = (
    *("token", "signature", "password", "passwd", "secret", "credential", "credentials", "authorization"),
    *("apikey", "api_key", "api-key", "accesskey", "access_key", "access-key"),
)
"""What parameters are called that let in whoever knows them: of signed links, of forges, of gateways."""


def without_credentials(instead: str = NO_WAY) -> Callable[[str], str]:
    """A validator that refuses a URL that leads nowhere, or holds a user name, a password, or a token in its query.

    `instead` says where those belong.
    """

    def check(text: str) -> str:
        if "://" in text:
            server = re.split("[/?#]", text.partition("://")[2], maxsplit=1)[0]
            fault = host_fault(server.rpartition("@")[2])
            if "@" in (text if fault else server):  # a password with a slash in it ends what looks like the host
                raise ValueError(f"holds a user name or a password, which a URL shows to everybody: take it out; {instead}")
            if fault:
                raise ValueError(fault)
            for name in filter(_names_a_secret, _parameters(text)):
                raise ValueError(f"has `{name}` in its query, which a URL shows to everybody: take it out; {instead}")
        return text

    return check


def _parameters(url: str) -> list[str]:
    query = url.partition("#")[0].partition("?")[2]
    return [name for name, _ in parse_qsl(query, keep_blank_values=True)]


def _names_a_secret(parameter: str) -> bool:
    return parameter.lower() in _SECRETS or parameter.lower().endswith(_ENDINGS_OF_SECRETS)


Url = Annotated[str, StringConstraints(pattern=URL), AfterValidator(without_credentials())]
"""A URL, http or https, without a user name, a password and a token."""
