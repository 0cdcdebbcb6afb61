"""pyVmomi itself. The one place that imports it: 0.25 s and 26 MB that a run without vCenter does not pay.

Untyped on purpose: its stubs describe its data but not its calls (optional arguments are missing there).
"""

from __future__ import annotations

from typing import Any

import pyVmomi
from pyVmomi import VmomiSupport

_pyvmomi: Any = pyVmomi
vim: Any = _pyvmomi.vim
vmodl: Any = _pyvmomi.vmodl
pbm: Any = _pyvmomi.pbm
"""Storage policies."""
SoapStubAdapter: Any = _pyvmomi.SoapStubAdapter
OPTIONAL: Any = VmomiSupport.F_OPTIONAL
"""The mark of methods that may answer nothing."""


def managed_type(kind: str) -> Any:
    """The class for a type's name in the vSphere API, such as `DistributedVirtualPortgroup`."""
    support: Any = VmomiSupport
    return support.GetWsdlType("urn:vim25", kind)


def managed_kind(thing: Any) -> str:
    """The name in the vSphere API of a managed object's type."""
    return str(thing._wsdlName)


def managed_id(thing: Any) -> str:
    return str(thing._GetMoId())
