"""The contract suite, as the package brings it along."""

from __future__ import annotations

import pytest

from kube_provision_qemu.contract import TestQemu

__all__ = ["TestQemu"]

pytestmark = pytest.mark.integration
