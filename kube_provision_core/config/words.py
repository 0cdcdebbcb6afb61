"""Text types of the configuration, and what their patterns are called in an error."""

from __future__ import annotations

import posixpath
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, StringConstraints

_DNS_LABEL = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_NAME_PART = r"^[a-z0-9-]*$"
_DOMAIN = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$"
_VERSION = r"^1\.[0-9]{2}(\.[0-9]{1,2})?$"
_URL = r"^https?://[^\s]+$"
_ABSOLUTE = r"^/"
_URL_OR_ABSOLUTE = r"^(https?://[^\s]+|/.*)$"
_WORD = r"^[^\s]+$"
_TIME_ZONE = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"
_MODE = r"^0?[0-7]{3,4}$"
_OWNER = r"^[a-z_][a-z0-9_-]*(:[a-z_][a-z0-9_-]*)?$"
_SERVICE = r"^[a-z0-9][a-z0-9-]*$"
_USER = r"^[a-z_][a-z0-9_-]{0,31}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"

PATTERNS = {
    _DNS_LABEL: "must be a DNS label: lower-case letters, digits and inner hyphens, at most 63",
    _NAME_PART: "may hold lower-case letters, digits and hyphens only",
    _DOMAIN: "must be a DNS domain such as cluster.local",
    _VERSION: "must be a Kubernetes version such as 1.36 or 1.36.4",
    _URL: "must be a URL (http:// or https://)",
    _ABSOLUTE: "must be an absolute path on the node",
    _URL_OR_ABSOLUTE: "must be an absolute path on the node, or a URL (http:// or https://)",
    _WORD: "must be one word",
    _TIME_ZONE: "must be a time zone such as Europe/Berlin",
    _MODE: 'must be a file mode such as "0644"',
    _OWNER: "must be an owner such as root or root:root",
    _SERVICE: "may hold lower-case letters, digits and hyphens only",
    _USER: "must be a user name: lower-case letters, digits, `_` and `-`, at most 32",
    _VARIABLE: "must be the name of a variable: letters, digits and `_`",
}
"""What is said in place of a pattern."""


def _not_the_root(path: str) -> str:
    if posixpath.normpath(path).strip("/") == "":
        raise ValueError("must not be the root of the file system")
    return path


def _known_zone(name: str) -> str:
    """A system without a database of time zones knows none, and takes any."""
    if _is_zone("UTC") and not _is_zone(name):
        raise ValueError("is no time zone; they are named like Europe/Berlin")
    return name


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # the last two: other files and folders of the database
        return False
    return True


DnsLabel = Annotated[str, StringConstraints(pattern=_DNS_LABEL)]
NamePart = Annotated[str, StringConstraints(pattern=_NAME_PART)]
Domain = Annotated[str, StringConstraints(pattern=_DOMAIN)]
Version = Annotated[str, StringConstraints(pattern=_VERSION)]
Url = Annotated[str, StringConstraints(pattern=_URL)]
AbsolutePath = Annotated[str, StringConstraints(pattern=_ABSOLUTE)]
UrlOrAbsolutePath = Annotated[str, StringConstraints(pattern=_URL_OR_ABSOLUTE)]
Word = Annotated[str, StringConstraints(pattern=_WORD)]
MountPoint = Annotated[AbsolutePath, AfterValidator(_not_the_root)]
TimeZone = Annotated[str, StringConstraints(pattern=_TIME_ZONE), AfterValidator(_known_zone)]
Mode = Annotated[str, StringConstraints(pattern=_MODE)]
Owner = Annotated[str, StringConstraints(pattern=_OWNER)]
ServiceName = Annotated[str, StringConstraints(pattern=_SERVICE)]
UserName = Annotated[str, StringConstraints(pattern=_USER)]
Variable = Annotated[str, StringConstraints(pattern=_VARIABLE)]
