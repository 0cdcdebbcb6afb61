"""The way to a Temporal server, as its own tools find it: TEMPORAL_ADDRESS and its like, or a profile in temporal.toml."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast

from temporalio.api.errordetails.v1 import NamespaceNotFoundFailure
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    FailureError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode

from kube_provision_core import ConfigError, KubeProvisionError

from .cluster import ClusterWorkflow
from .showing import Look
from .values import Done, Progress, State, Work

PATIENCE = timedelta(seconds=15)
"""For one answer of the server, or of a worker."""


class UnreachableError(KubeProvisionError):
    """The server, or a worker, does not answer."""

    retryable = True


async def connect() -> Client:
    """Raises `UnreachableError`, and `ConfigError` for a profile, an address or a certificate that is none."""
    try:
        config = ClientConfig.load_client_connect_config()
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigError(f"Temporal's configuration: {error}") from error
    address = config.setdefault("target_host", "localhost:7233")
    try:
        return await Client.connect(**config)
    except (ValueError, OSError) as error:
        raise ConfigError(
            f"Temporal at {address}: {error}. TEMPORAL_ADDRESS is HOST:PORT, TEMPORAL_TLS_… are files"
        ) from error
    except RuntimeError as error:
        raise UnreachableError(f"Temporal at {address} does not answer: {error}. TEMPORAL_ADDRESS says where") from error


@contextmanager
def answering(name: str) -> Iterator[None]:
    """Whatever keeps the server, or a worker, from an answer is told in a line, by `ConfigError` or `UnreachableError`."""
    try:
        yield
    except WorkflowUpdateFailedError as error:
        raise ConfigError(f"{name}: {getattr(error.cause, 'message', error.cause)}") from error
    except WorkflowQueryFailedError as error:
        raise UnreachableError(f"{name}: its worker cannot say what it is at: {error.message}") from error
    except RPCTimeoutOrCancelledError as error:
        raise UnreachableError(f"{name}: no answer in time. Is there a worker on its task queue?") from error
    except RPCError as error:
        raise _told(error, name) from error


def _told(error: RPCError, name: str) -> KubeProvisionError:
    if any(it.Is(NamespaceNotFoundFailure.DESCRIPTOR) for it in error.grpc_status.details):
        return ConfigError(f"{name}: {error.message} TEMPORAL_NAMESPACE says which")
    if error.status is RPCStatusCode.NOT_FOUND:
        return ConfigError(f"{name}: nothing of this name is under way")
    if error.status in (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.PERMISSION_DENIED, RPCStatusCode.UNAUTHENTICATED):
        return ConfigError(f"{name}: Temporal refuses it: {error.message}")
    return UnreachableError(f"{name}: no answer: {error.message}. Is there a worker on its task queue?")


async def check_namespace(client: Client) -> None:
    """Raises as `answering` does where there is none of this name, or it lets nobody in."""
    with answering("worker"):
        request = DescribeNamespaceRequest(namespace=client.namespace)
        await client.workflow_service.describe_namespace(request, timeout=PATIENCE)


async def start(client: Client, work: Work, task_queue: str) -> bool:
    """Begin it. False: the same is under way already. Raises `ConfigError` where something else is."""
    try:
        with answering(work.cluster):
            await client.start_workflow(
                ClusterWorkflow.run,
                work,
                id=work.cluster,
                task_queue=task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                rpc_timeout=PATIENCE,
            )
    except WorkflowAlreadyStartedError as error:
        under_way = (await state_of(client.get_workflow_handle(work.cluster))).work
        if under_way == work:
            return False
        raise ConfigError(
            f"{work.cluster}: something else is under way, {' '.join([under_way.verb, *under_way.options])}: "
            "wait for its end, or cancel it"
        ) from error
    return True


async def state_of(handle: WorkflowHandle[Any, Any]) -> State:
    """Of a run that is under way, as its worker says. Raises `UnreachableError` without one, `ConfigError` for no run."""
    with answering(handle.id):
        return await handle.query(ClusterWorkflow.state, rpc_timeout=PATIENCE)


async def is_open(handle: WorkflowHandle[Any, Any]) -> bool:
    with answering(handle.id):
        found = await handle.describe(rpc_timeout=PATIENCE)
    return found.status is WorkflowExecutionStatus.RUNNING


async def look(client: Client, name: str) -> Look:
    """What a cluster's run is at, or how the last one ended."""
    handle = client.get_workflow_handle(name)
    with answering(name):
        found = await handle.describe(rpc_timeout=PATIENCE)
        if found.status is not WorkflowExecutionStatus.RUNNING:
            return await _ended(client.get_workflow_handle(name, run_id=found.run_id, result_type=Done))
        return Look(name, await state_of(handle), await _progress(client, found))


async def _progress(client: Client, found: WorkflowExecutionDescription) -> Progress | None:
    """What the worker has told with its last heartbeat, where one is at work."""
    for pending in found.raw_description.pending_activities:
        if pending.heartbeat_details.payloads:
            (progress,) = await client.data_converter.decode(pending.heartbeat_details.payloads, [Progress])
            return cast("Progress", progress)
    return None


async def _ended(handle: WorkflowHandle[Any, Done]) -> Look:
    try:
        result = await handle.result(rpc_timeout=PATIENCE)
    except WorkflowFailureError as error:
        return _failed(handle.id, error.cause)
    hints = [f"hint: {hint}" for hint in result.hints]
    left = [f"left to another run: {name}" for name in result.left]
    told = [f"changes: {result.changes}, attempts: {result.attempts}", *left, *result.notes, *hints]
    return Look(handle.id, ended="left to another run" if left else "done", told=told)


def _failed(name: str, cause: BaseException) -> Look:
    if isinstance(cause, CancelledError):
        return Look(name, ended="cancelled")
    if isinstance(cause, TerminatedError):
        return Look(name, ended="terminated")
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    kind = f"{cause.type}: " if isinstance(cause, ApplicationError) and cause.type else ""
    return Look(name, ended="failed", told=f"{kind}{message}".splitlines())
