"""The extension `short-lives`: certificates that end while a test looks on.

It wraps `render_boot`, because how long certificates live stands in kubeadm's configuration.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import replace

import yaml

from kube_provision_core import NODE_CONFIG_DIR, BootFragment, DriverConfig, File, Role, hookimpl, option

INIT = f"{NODE_CONFIG_DIR}/kubeadm-init.yaml"


class ShortLivesConfig(DriverConfig):
    short_lives_period: str = option("10m0s", help="How long what kubeadm signs is valid, as Go writes it.")


class ShortLives:
    Config = ShortLivesConfig

    def __init__(self, config: Mapping[Role, ShortLivesConfig]) -> None:
        self._period = config[Role.MASTER].short_lives_period

    @hookimpl(wrapper=True)
    def render_boot(self) -> Generator[None, list[BootFragment], list[BootFragment]]:
        fragments = yield
        return [replace(fragment, files=tuple(map(self._shortened, fragment.files))) for fragment in fragments]

    def _shortened(self, file: File) -> File:
        if file.path != INIT:
            return file
        documents = list(yaml.safe_load_all(file.content))
        for document in documents:
            if document["kind"] == "ClusterConfiguration":
                document["certificateValidityPeriod"] = self._period
        return replace(file, content=yaml.safe_dump_all(documents, sort_keys=False))
