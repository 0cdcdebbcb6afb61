"""Text types of the configuration, and what their patterns are called in an error."""

from __future__ import annotations

import posixpath
import re
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, SecretStr, StringConstraints, WithJsonSchema

from ..contract.boot import NODE_CONFIG_DIR, NODE_DIR
from ..contract.hosts import HOST_AND_PORT, LABEL, LOWER_LABEL, PORT, host_fault
from ..contract.subnets import subnets, written
from ..contract.urls import URL, without_credentials

_DNS_LABEL = rf"^{LOWER_LABEL}$"
_NAME_PART = r"^[a-z0-9-]*$"
_DOMAIN = rf"^{LOWER_LABEL}(\.{LOWER_LABEL})*$"
_SUBNETS = r"^[0-9]+(\.[0-9]+){3}(/[0-9]+)?(\s*,\s*[0-9a-fA-F:.]+(/[0-9]+)?)?$"
_VERSION = r"^1\.[0-9]{2}(\.[0-9]{1,2})?$"
_PATH = r"[a-z0-9]+((\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE_REPOSITORY = rf"^{HOST_AND_PORT}(/{_PATH})*$"
"""The grammar of image references, without tag and digest."""
_SERVER = rf"(({LABEL}(\.{LABEL})+|localhost|\[[0-9a-fA-F:.]+\])(:{PORT})?|{LABEL}:{PORT})"
_IMAGE = rf"^({_SERVER}/)?{_PATH}(/{_PATH})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?$"
"""The whole of it. A first part without a dot or a port is none of a host: Docker Hub's own rule."""
_SSH_KEY = r"^([^\n]* )?(ssh-(rsa|ed25519)|ecdsa-sha2-[a-z0-9]+|sk-[a-z0-9-]+@openssh\.com) [A-Za-z0-9+/]+=*( [^\n]*)?\n?$"
"""A line of `authorized_keys`."""
_ABSOLUTE = r"^/"
_URL_OR_ABSOLUTE = r"^(https?://[^\s]+|/.*)$"
_WORD = r"^[^\s]+$"
_SYSCTL = r"^[A-Za-z0-9_]+([./][A-Za-z0-9_:@-]+)+$"
_LINE = r"^[^\x00-\x08\x0a-\x1f\x7f]+$"
_TIME_ZONE = r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$"
_MODE = r"^0?[0-7]{3,4}$"
_OWNER = r"^[a-z_][a-z0-9_-]*(:[a-z_][a-z0-9_-]*)?$"
_REGISTRY = rf"^({LOWER_LABEL}(\.{LOWER_LABEL})+(:{PORT})?|{LOWER_LABEL}:{PORT}|localhost)$"
_LOGIN = r"^[^\s:]+$"
_SERVICE = r"^[a-z0-9][a-z0-9-]*$"
_USER = r"^[a-z_][a-z0-9_-]{0,31}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"

_KERNELS = ("/dev", "/proc", "/sys")
_NEEDED = (
    *("/bin", "/boot", "/lib", "/lib64", "/sbin", "/usr/bin", "/usr/lib", "/usr/sbin", "/usr/share", "/var/lib/cloud"),
    *(
        NODE_CONFIG_DIR,
        NODE_DIR,
        "/etc/kubernetes",
        "/etc/systemd/system",
        "/kube_provision_swap",
        "/root",
        "/run",
        "/var/lib/dpkg",
        "/var/lib/kube-provision",
        "/var/lib/rpm",
    ),
)
"""What is there, or is written, before disks are mounted."""
_LONGEST = 245
"""Bytes of a mount point in the name of its unit, which is a file's: systemd writes four for what is no letter or digit."""

PATTERNS = {
    _DNS_LABEL: "must be a DNS label: lower-case letters, digits and inner hyphens, at most 63",
    _NAME_PART: "may hold lower-case letters, digits and hyphens only",
    _DOMAIN: "must be a DNS domain such as cluster.local",
    _VERSION: "must be a Kubernetes version such as 1.37 or 1.37.1",
    _IMAGE_REPOSITORY: "must be a registry and a path in it, as an image's name begins: registry.example:5000/k8s, without "
    "a scheme, a tag or a slash at its end",
    _IMAGE: "must be an image as it is pulled: registry.example:5000/path/name:tag, its path in lower case",
    _SSH_KEY: "must be a public key, one line such as ssh-ed25519 AAAA… you@example",
    URL: "must be a URL (http:// or https://)",
    _ABSOLUTE: "must be an absolute path on the node",
    _URL_OR_ABSOLUTE: "must be an absolute path on the node, or a URL (http:// or https://)",
    _WORD: "must be one word",
    _SYSCTL: "must be the name of a kernel parameter such as net.ipv4.ip_forward",
    _LINE: "must be one line of text",
    _TIME_ZONE: "must be a time zone such as Europe/Berlin",
    _MODE: 'must be a file mode such as "0644"',
    _OWNER: "must be an owner such as root or root:root",
    _REGISTRY: "must be the host that images name, such as quay.io or registry.example:5000",
    _LOGIN: "must be one word without a colon",
    _SERVICE: "may hold lower-case letters, digits and hyphens only",
    _USER: "must be a user name: lower-case letters, digits, `_` and `-`, at most 32",
    _VARIABLE: "must be the name of a variable: letters, digits and `_`",
}
"""What is said in place of a pattern."""


def _mount_point(path: str) -> str:
    """systemd refuses one with `..` or `.` in it, and the kernel makes `/proc` itself."""
    folder = f"/{posixpath.normpath(path).strip('/')}"
    if folder == "/":
        raise ValueError("must not be the root of the file system")
    if not re.fullmatch(_LINE, path) or path.endswith((" ", "\t", "\\")):
        raise ValueError("must be one line, without a blank or a backslash at its end")
    if len(re.sub(rb"[^A-Za-z0-9:_./]", b"....", path.encode())) > _LONGEST:
        raise ValueError("is too long for the name of a unit of systemd's")
    if {".", ".."} & {*path.split("/")}:
        raise ValueError("must not have `.` or `..` in it")
    if kernels := next((it for it in _KERNELS if f"{folder}/".startswith(f"{it}/")), ""):
        raise ValueError(f"must not lie in {kernels}, which is the kernel's own")
    if hidden := next((it for it in _NEEDED if f"{it}/".startswith(f"{folder}/")), ""):
        raise ValueError(f"would hide {hidden}, which the machine needs: mount it elsewhere")
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


def _real_host(name: str) -> str:
    """What begins an image's name: addresses can only look like some."""
    if fault := host_fault(name.partition("/")[0]):
        raise ValueError(fault)
    return name


def _hub_is_docker_io(host: str) -> str:
    if host in ("index.docker.io", "registry-1.docker.io", "hub.docker.com"):
        raise ValueError("must be docker.io, which is what images of Docker Hub name")
    return host


def _no_url(word: str) -> str:
    if "://" in word:  # not quoted: it may hold a password
        raise ValueError("is a URL, and a name is wanted")
    return word


def _not_empty(password: SecretStr) -> SecretStr:
    if not password.get_secret_value():
        raise ValueError("must not be empty")
    return password


def _subnets(text: str) -> str:
    return written(subnets(text))


DnsLabel = Annotated[str, StringConstraints(pattern=_DNS_LABEL)]
NamePart = Annotated[str, StringConstraints(pattern=_NAME_PART)]
Domain = Annotated[str, StringConstraints(pattern=_DOMAIN)]
ClusterNetwork = Annotated[str, AfterValidator(_subnets), WithJsonSchema({"type": "string", "pattern": _SUBNETS})]
"""Or one of each family, in a dual-stack cluster."""
ImageRepository = Annotated[str, StringConstraints(pattern=_IMAGE_REPOSITORY), AfterValidator(_real_host)]
ImageReference = Annotated[str, AfterValidator(_no_url), StringConstraints(pattern=_IMAGE)]
PublicKey = Annotated[str, StringConstraints(pattern=_SSH_KEY)]
Version = Annotated[str, StringConstraints(pattern=_VERSION)]
ProxyUrl = Annotated[
    str,
    StringConstraints(pattern=URL),
    AfterValidator(without_credentials("proxy_username and proxy_password are keys of their own")),
]
AbsolutePath = Annotated[str, StringConstraints(pattern=_ABSOLUTE)]
UrlOrAbsolutePath = Annotated[str, StringConstraints(pattern=_URL_OR_ABSOLUTE), AfterValidator(without_credentials())]
Word = Annotated[str, StringConstraints(pattern=_WORD), AfterValidator(_no_url)]
Sysctl = Annotated[str, StringConstraints(pattern=_SYSCTL)]
Line = Annotated[str, StringConstraints(pattern=_LINE)]
MountPoint = Annotated[AbsolutePath, AfterValidator(_mount_point)]
TimeZone = Annotated[str, StringConstraints(pattern=_TIME_ZONE), AfterValidator(_known_zone)]
Mode = Annotated[str, StringConstraints(pattern=_MODE)]
Owner = Annotated[str, StringConstraints(pattern=_OWNER)]
RegistryHost = Annotated[
    str, StringConstraints(pattern=_REGISTRY), AfterValidator(_real_host), AfterValidator(_hub_is_docker_io)
]
Login = Annotated[str, StringConstraints(pattern=_LOGIN)]
Password = Annotated[SecretStr, AfterValidator(_not_empty)]
ServiceName = Annotated[str, StringConstraints(pattern=_SERVICE)]
UserName = Annotated[str, StringConstraints(pattern=_USER)]
Variable = Annotated[str, StringConstraints(pattern=_VARIABLE)]
