"""vCenter's faults, as errors that a user can act upon."""

from __future__ import annotations

from collections.abc import Callable
from http.client import HTTPException
from typing import Any
from xml.parsers.expat import ExpatError

from kube_provision_core import TargetError

from .vmomi import OPTIONAL, vim, vmodl

NETWORK_TROUBLE = (OSError, HTTPException, ExpatError)
"""What a broken connection, or a server that does not speak SOAP, raises inside of pyVmomi."""


class UnreadableError(HTTPException):
    """The server answered, and pyVmomi cannot make anything of it."""


class NoAnswerError(TargetError):
    """vCenter could not be heard. Another call may reach it."""


def readable(invoke: Callable[..., Any]) -> Callable[..., Any]:
    """pyVmomi's way to call the server, but what it stumbles over in an answer is an `UnreadableError`."""

    def call(thing: Any, method: Any, *arguments: Any) -> Any:
        try:
            answer = invoke(thing, method, *arguments)
        except (vmodl.MethodFault, *NETWORK_TROUBLE):
            raise
        except Exception as error:
            said = next(iter(str(error).splitlines()), "")
            raise UnreadableError(f"its answer cannot be read ({type(error).__name__}: {said})") from error
        if answer is None and method.result is not type(None) and not method.resultFlags & OPTIONAL:
            raise UnreadableError(f"its answer to {method.wsdlName} is empty")
        return answer

    return call


REFUSED = "vCenter refuses vcenter_username and vcenter_password (not tried again: accounts get locked)"

_FOR_GOOD = ("InvalidLogin", "NoPermission", "NotSupported")
"""Faults that stay until somebody has done something. A password that is tried again and again locks its account."""


class VcenterError(TargetError):
    """vCenter refused something. `kind` is the fault's name in the vSphere API, `object_id` what it is about, if told."""

    def __init__(self, text: str, kind: str, object_id: str | None = None) -> None:
        super().__init__(text)
        self.retryable = kind not in _FOR_GOOD
        self.kind = kind
        self.object_id = object_id


def explain(doing: str, fault: Exception, path: Callable[[str], str]) -> VcenterError:
    """The error for a fault. `doing` begins the line; `path` gives the inventory path for an object's id."""
    kind = type(fault).__name__.rpartition(".")[2]
    return VcenterError(f"{doing}: {_text(fault, path)}", kind, _object_id(fault))


def _text(fault: Exception, path: Callable[[str], str]) -> str:
    match fault:
        case vim.fault.NoPermission():
            where = f" on {path(fault.object._GetMoId())}" if fault.object else ""
            return f"the vCenter account lacks the privilege {fault.privilegeId}{where}"
        case vim.fault.InvalidLogin():
            return REFUSED
        case vim.fault.InsufficientResourcesFault():
            return f"vCenter has not enough resources: {_told(fault)}. Free some, or choose another pool or cluster"
        case vim.fault.NoDiskSpace():
            return f"datastore {fault.datastore} is full. Free some space, or choose another datastore"
        case vmodl.fault.ManagedObjectNotFound():
            return f"{path(fault.obj._GetMoId()) if fault.obj else 'the object'} no longer exists in vCenter"
        case vmodl.fault.NotSupported():
            return f"vCenter does not support it: {_told(fault)}"
        case _:
            return _told(fault)


def _told(fault: Exception) -> str:
    """vCenter's own words, in the account's language, with the fault's name."""
    words = [getattr(fault, "msg", None) or ""]
    words += [detail.message or "" for detail in getattr(fault, "faultMessage", None) or []]
    told = " ".join(dict.fromkeys(word.strip() for word in words if word and word.strip()))
    name = type(fault).__name__
    property_name = getattr(fault, "invalidProperty", None) or getattr(fault, "property", None)
    return " ".join(filter(None, [told, f"({name}{f' {property_name}' if property_name else ''})"]))


def _object_id(fault: Exception) -> str | None:
    thing = getattr(fault, "object", None) or getattr(fault, "obj", None)
    return str(thing._GetMoId()) if thing is not None else None
