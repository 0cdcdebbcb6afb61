"""Bugs in where packages come from."""

from __future__ import annotations

from dataclasses import replace

from kube_provision_core import Repository, hookimpl

from ..planted import fails
from .sound import Sound, asked, filed, scripted


@fails("test_every_minor_has_its_repository")
class KnowsOneRepository(filed(lambda text: text.replace("v1.35", "v1.36"))):
    pass


@fails("test_packages_are_verified")
class TrustsEverybody(filed(lambda text: text.replace("gpgcheck=1", "gpgcheck=0"))):
    pass


@fails("test_packages_are_verified")
class TrustsMirrors(filed(lambda text: text if "gpgkey" in text else text.replace("gpgcheck=1", "gpgcheck = no"))):
    pass


@fails("test_packages_are_verified")
class TrustsWhatItInstalls(scripted("dnf --assumeyes", "dnf --assumeyes --nogpgcheck")):
    pass


@fails("test_packages_are_verified")
class FetchesFromAnybody(
    scripted("dnf --assume", "curl --silent --insecure https://x.example/key >/dev/null\n  dnf --assume")
):
    pass


@fails("test_upstream_is_asked_over_tls")
class AsksInThePlain(filed(lambda text: text.replace("https://pkgs", "http://pkgs"))):
    pass


def without_mirror(name):
    return asked(
        lambda components, versions, mirrors, extra: (
            components,
            versions,
            {other: it for other, it in mirrors.items() if other != name},
            extra,
        )
    )


@fails("test_a_mirror_takes_the_place_of_upstream")
class ForgetsTheMirrorOfKubernetes(without_mirror("kubernetes")):
    pass


@fails("test_a_mirror_takes_the_place_of_upstream")
class ForgetsTheMirrorOfConsul(without_mirror("consul")):
    pass


@fails("test_a_mirror_takes_the_place_of_upstream")
class AsksUpstreamBesides(
    filed(lambda text: text.replace("baseurl=http://mirror", "baseurl=https://pkgs.k8s.io/ http://mirror"))
):
    pass


@fails("test_a_mirror_takes_the_place_of_upstream")
class KeepsUpstreamsKey(
    filed(
        lambda text: (
            text
            if "gpgkey" in text
            else text + "gpgkey=https://pkgs.k8s.io/key\ngpgkey=https://rpm.releases.hashicorp.com/gpg\n"
        )
    )
):
    pass


@fails("test_a_mirror_of_the_system_is_used")
class ForgetsTheMirrorOfTheSystem(without_mirror("os")):
    pass


@fails("test_a_mirror_of_the_container_runtime_is_used")
class ForgetsTheMirrorOfTheRuntime(without_mirror("container-runtime")):
    pass


def keyed(change):
    return asked(
        lambda components, versions, mirrors, extra: (
            components,
            versions,
            {name: Repository(it.url, change(it.key)) for name, it in mirrors.items()},
            extra,
        )
    )


@fails("test_a_mirrors_key_is_fetched")
class ForgetsKeysOfMirrors(keyed(lambda key: "" if key.startswith("https") else key)):
    pass


@fails("test_a_mirrors_armoured_key_is_delivered")
class ForgetsArmouredKeys(keyed(lambda key: key if key.startswith("https") else "")):
    pass


@fails("test_a_mirrors_armoured_key_is_delivered")
class PutsAnArmouredKeyIntoADefinition(Sound):
    @hookimpl
    def os_packages(self, components, versions, repositories, extra):
        packages = super().os_packages(components, versions, repositories, extra)
        keys = {it.path: it.content for it in packages.files if it.path.endswith(".asc")}
        files = [it for it in packages.files if it.path not in keys]
        for path, key in keys.items():
            files = [replace(it, content=it.content.replace(f"file://{path}", key)) for it in files]
        return replace(packages, files=tuple(files))


@fails("test_a_mirrors_armoured_key_is_delivered")
class DeliversAKeyThatNobodyReads(
    filed(lambda text: text.replace("gpgkey=file:///etc/pki/rpm-gpg/", "gpgkey=file:///etc/pki/"))
):
    pass
