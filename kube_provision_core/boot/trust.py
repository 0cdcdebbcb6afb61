"""The site's own certificate authorities: what a machine is sent of them, and the step by which its system trusts them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..contract.boot import NODE_CONFIG_DIR, File, Stage, Step
from ..contract.errors import PluginError
from .merge import TRUST
from .relay import NamedFragment
from .templating import render

if TYPE_CHECKING:
    from ..registry import Plugins
    from . import Configuration

FOLDER = f"{NODE_CONFIG_DIR}/trusted"

_CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


def trusted(plugins: Plugins, config: Configuration) -> NamedFragment:
    """Nothing where none are configured. Its steps come before whatever fetches something (see `merge`)."""
    certificates = _CERTIFICATE.findall(config.core.trusted_ca)
    if not certificates:
        return NamedFragment(plugin=TRUST)
    step = plugins.ask.trust_authorities(folder=FOLDER)
    if step is None:
        raise PluginError(f"os driver {config.core.os} does not answer trust_authorities: it cannot do what trusted_ca asks")
    files = (File(f"{FOLDER}/kube-provision-{number}.crt", text) for number, text in enumerate(certificates, 1))
    restart = Step("container-runtime", Stage.PREPARE, render("steps/trust.sh"), timeout=120)
    return NamedFragment(plugin=TRUST, files=tuple(files), steps=(step, restart))
