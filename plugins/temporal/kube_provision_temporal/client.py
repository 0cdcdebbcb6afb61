"""The way to a Temporal server, as its own tools find it: TEMPORAL_ADDRESS and its like, or a profile in temporal.toml."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
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
from temporalio.converter import value_to_type
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    ChildWorkflowError,
    FailureError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.service import RPCError, RPCStatusCode

from kube_provision_core import ConfigError, KubeProvisionError

from .cluster import ClusterWorkflow
from .policy import ROLLOUT, Rollout, RolloutState
from .reports import Told
from .rollout import RolloutWorkflow
from .showing import NEEDS_A_LOOK, Look
from .values import Done, Failure, Progress, State, Work

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
        told = "TEMPORAL_ADDRESS says where it is, TEMPORAL_TLS_… how it is spoken to"  # the error is of several libraries
        raise UnreachableError(f"Temporal at {address} does not answer. {told}") from error


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
    if await _begin(client, ClusterWorkflow.run, work, work.cluster, task_queue):
        return True
    under_way = (await state_of(client.get_workflow_handle(work.cluster))).work
    if under_way == work:
        return False
    raise ConfigError(
        f"{work.cluster}: something else is under way, {' '.join([under_way.verb, *under_way.options])}: "
        "wait for its end, or cancel it"
    )


async def begin_rollout(client: Client, rollout: Rollout) -> bool:
    """The same of a roll-out, on the task queue of its first cluster."""
    name = ROLLOUT + rollout.name
    if await _begin(client, RolloutWorkflow.run, rollout, name, rollout.members[0].task_queue):
        return True
    if (await rollout_of(client.get_workflow_handle(name))).digest == rollout.digest:
        return False
    raise ConfigError(f"{name}: another roll-out of this name is under way: wait for its end, or cancel it")


async def _begin(client: Client, workflow: Any, what: Any, name: str, task_queue: str) -> bool:
    try:
        with answering(name):
            await client.start_workflow(
                workflow,
                what,
                id=name,
                task_queue=task_queue,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                rpc_timeout=PATIENCE,
            )
    except WorkflowAlreadyStartedError:
        return False
    return True


async def state_of(handle: WorkflowHandle[Any, Any]) -> State:
    """Of a run that is under way, as its worker says. Raises `UnreachableError` without one, `ConfigError` for no run."""
    with answering(handle.id):
        return await handle.query(ClusterWorkflow.state, rpc_timeout=PATIENCE)


async def rollout_of(handle: WorkflowHandle[Any, Any]) -> RolloutState:
    """The same of a roll-out."""
    with answering(handle.id):
        return await handle.query(RolloutWorkflow.state, rpc_timeout=PATIENCE)


async def tell(client: Client, name: str, word: str) -> None:
    """`pause` a run or a roll-out, `resume` or `cancel` it. Raises `ConfigError` where nothing of this name is under way."""
    handle = client.get_workflow_handle(name)
    if not await is_open(handle):
        raise ConfigError(f"{name}: nothing of this name is under way")
    with answering(name):
        await (handle.cancel(rpc_timeout=PATIENCE) if word == "cancel" else handle.signal(word, rpc_timeout=PATIENCE))


async def is_open(handle: WorkflowHandle[Any, Any]) -> bool:
    with answering(handle.id):
        found = await handle.describe(rpc_timeout=PATIENCE)
    return found.status is WorkflowExecutionStatus.RUNNING


async def look(client: Client, name: str) -> Look:
    """What a cluster's run, or a roll-out, is at, or how the last one of this name ended."""
    return await look_at(client, name, name, None, RolloutState if name.startswith(ROLLOUT) else Done)


async def look_at(client: Client, name: str, workflow_id: str, run_id: str | None, result: type[Any]) -> Look:
    """The same of one workflow, whose result is such a one; `name` is what it is called. Empty for a report at work."""
    handle = client.get_workflow_handle(workflow_id, run_id=run_id)
    with answering(name):
        found = await handle.describe(rpc_timeout=PATIENCE)
        if found.status is not WorkflowExecutionStatus.RUNNING:
            return await _ended(name, client.get_workflow_handle(workflow_id, run_id=found.run_id, result_type=result))
        if result is Done:
            return Look(name, await state_of(handle), await _progress(client, found))
        if result is RolloutState:
            state = await rollout_of(handle)
            return Look(name, rollout=state, asks=await _asking(client, state.running))
        return Look(name)


async def _asking(client: Client, clusters: Sequence[str]) -> dict[str, str]:
    """Which of them wait for approval, with their plans' digests; one that cannot be asked is left out."""

    async def digest(name: str) -> str:
        with suppress(KubeProvisionError):
            state = await state_of(client.get_workflow_handle(name))
            return state.digest if state.asks else ""
        return ""

    digests = await asyncio.gather(*map(digest, clusters))
    return {name: digest for name, digest in zip(clusters, digests, strict=True) if digest}


async def _progress(client: Client, found: WorkflowExecutionDescription) -> Progress | None:
    """What the worker has told with its last heartbeat, where one is at work."""
    for pending in found.raw_description.pending_activities:
        if pending.heartbeat_details.payloads:
            (progress,) = await client.data_converter.decode(pending.heartbeat_details.payloads, [Progress])
            return cast("Progress", progress)
    return None


async def _ended(name: str, handle: WorkflowHandle[Any, Any]) -> Look:
    try:
        result = await handle.result(rpc_timeout=PATIENCE)
    except WorkflowFailureError as error:
        return _failed(name, error.cause)
    if isinstance(result, RolloutState):
        return Look(name, ended="done", rollout=result)
    if isinstance(result, Told):
        return Look(name, ended=NEEDS_A_LOOK if result.attention else "done", told=result.lines)
    hints = [f"hint: {hint}" for hint in result.hints]
    left = [f"left to another run: {it}" for it in result.left]
    beyond = [f"not allowed: {it}" for it in result.beyond]
    told = [f"changes: {result.changes}, attempts: {result.attempts}", *left, *beyond, *result.notes, *hints]
    ended = "left to another run" if left else NEEDS_A_LOOK if beyond else "done"
    return Look(name, ended=ended, told=told)


def _failed(name: str, cause: BaseException) -> Look:
    if isinstance(cause, (ActivityError, ChildWorkflowError)) and cause.cause:
        cause = cause.cause
    if isinstance(cause, CancelledError):
        return Look(name, ended="cancelled")
    if isinstance(cause, TerminatedError):
        return Look(name, ended="terminated")
    message = cause.message if isinstance(cause, FailureError) else str(cause)
    kind = f"{cause.type}: " if isinstance(cause, ApplicationError) and cause.type else ""
    told = f"{kind}{message}".splitlines()
    if isinstance(cause, ApplicationError) and cause.type == Failure.TOO_MANY and cause.details:
        return Look(name, ended="failed", told=told[:1], rollout=value_to_type(RolloutState, cause.details[0]))
    return Look(name, ended="failed", told=told)
