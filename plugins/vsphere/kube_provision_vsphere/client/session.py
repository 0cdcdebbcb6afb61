"""One login for a whole run, shared by its threads."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import RemoteDisconnected
from threading import Lock
from time import monotonic, sleep
from typing import Any, TypeVar

from kube_provision_core import TargetError

from .faults import NETWORK_TROUBLE, NoAnswerError, VcenterError, explain, readable
from .vmomi import SoapStubAdapter, pbm, vim, vmodl

T = TypeVar("T")

VERSION = "vim.version.version12"
"""vSphere API 6.7, which 6.7 and everything newer answers; nothing newer is needed."""

STORAGE_VERSION = "pbm.version.version12"
"""That of 6.7, too, of the service of storage policies."""

CALL_TIMEOUT = 60.0
"""Seconds that the server may take to answer one call. No call waits for anything on purpose."""

LOGOUT_TIMEOUT = 3.0

LOGIN_PAUSE = 5.0
"""Seconds before a login that got no answer is tried again: threads that wait for it must not try one after the other."""

SILENCE = 10.0
"""Seconds since an answer got lost, and no other came, after which vCenter is given up: its front door says 503 while it is
busy or restarts."""

SILENCE_PAUSE = 0.5
"""Seconds before a call that got no answer is made again."""

IDLE_SECONDS = 60
"""Kept connections are closed after this time: servers and firewalls drop them silently some time later."""

STALE = (RemoteDisconnected, ConnectionResetError, BrokenPipeError, ssl.SSLEOFError)
"""How a kept connection that the other side has closed shows at the next call."""


class Session:
    """Calls vCenter, logged in. Thread-safe. Logs in at the first call, and anew when the session has expired.

    Every call must be one that can be repeated: a call whose connection broke is made a second time.
    """

    def __init__(
        self, address: tuple[str, int], username: str, password: str, trust: Callable[[], ssl.SSLContext], threads: int
    ) -> None:
        """`trust` is called by whatever connects; `threads` is how many connections are kept."""
        self.address, self._username, self._password = address, username, password
        self.trust, self.threads = trust, threads
        self._lock = Lock()
        self._stub: Any = None
        self._content: Any = None
        self._silent_since: float | None = None
        """When the first answer got lost since which vCenter has not answered any call; None: it answers."""
        self.key = ""
        """vCenter's name for this session."""
        self._logins = 0
        """How often a login has succeeded: says whether somebody else has logged in meanwhile."""
        self._ended: TargetError | None = None
        """Why no call is made any more: the login was refused, or the run is over."""
        self._failed: tuple[TargetError, float] | None = None
        """How the last attempt to log in failed without an answer, and when."""
        self.path: Callable[[str], str] = lambda item_id: item_id
        """Inventory path of an object's id, for messages."""

    def __repr__(self) -> str:
        return "Session({}:{})".format(*self.address)

    @property
    def content(self) -> Any:
        """vCenter's managers. Only for functions that `call` calls."""
        return self._content

    @contextmanager
    def storage(self) -> Iterator[Any]:
        """The managers of vCenter's service of storage policies, which takes this session. Only for functions that `call`
        calls."""
        stub = self._connect("/pbm/sdk", STORAGE_VERSION, {"vcSessionCookie": self._stub.GetSessionId()})
        try:
            yield pbm.ServiceInstance("ServiceInstance", stub).RetrieveContent()
        finally:
            stub.DropConnections()

    def managed(self, kind: str, item_id: str) -> Any:
        """The managed object of that type and id. Only for functions that `call` calls."""
        return getattr(vim, kind)(item_id, self._stub)

    def machine(self, item_id: str) -> Any:
        """The virtual machine of that id, as `managed`."""
        return self.managed("VirtualMachine", item_id)

    def call(self, doing: str, function: Callable[[], T]) -> T:
        """What the function returns. Raises `TargetError` that begins with `doing`; `VcenterError` for vCenter's faults.

        A call without an answer is made again for some seconds: one that got lost fails nobody. The first login is not: who
        has just begun a run would rather know.
        """
        its_own: float | None = None
        while True:
            try:
                result = self._call_once(doing, function)
            except NoAnswerError:
                lost = monotonic()  # a call that takes an hour was no silence until then
                its_own = its_own or lost  # others may be answered all the time
                since = self._silent_since = self._silent_since or lost
                if not self._logins or lost - min(since, its_own) > SILENCE:
                    raise
            else:
                self._silent_since = None
                return result
            sleep(SILENCE_PAUSE)

    def _call_once(self, doing: str, function: Callable[[], T]) -> T:
        logins = self._logins or self._log_in(0)
        try:
            try:
                return self._persist(function)
            except vim.fault.NotAuthenticated:
                self._log_in(logins)
                return self._persist(function)
        except vmodl.MethodFault as fault:
            raise explain(doing, fault, self.path) from fault
        except NETWORK_TROUBLE as error:
            raise self._lost(doing, error) from error

    def close(self) -> None:
        """Log out, in bounded time, also from a server that is gone. No call is made afterwards."""
        with self._lock:
            self._ended = self._ended or TargetError("the run is over: vCenter is not called any more")
            if self._stub is None:
                return
            self._stub.DropConnections()
            if self._logins:
                self._log_out()
                self._stub.DropConnections()

    def _log_out(self) -> None:
        self._stub.schemeArgs["timeout"] = LOGOUT_TIMEOUT
        try:
            self._content.sessionManager.Logout()
        except (vmodl.MethodFault, *NETWORK_TROUBLE):
            pass  # the server ends an idle session itself

    def check(self) -> None:
        """Raises `TargetError` where no call is made any more: for what is done without one."""
        if self._ended:
            raise self._ended

    def _persist(self, function: Callable[[], T]) -> T:
        self.check()
        try:
            return function()
        except STALE:
            self._stub.DropConnections()
            return function()

    def _log_in(self, logins: int) -> int:
        """Log in, unless another thread has done so since there were `logins`. How many there are now."""
        with self._lock:
            if self._ended:
                raise self._ended
            if self._logins == logins:
                self._attempt_login()
                self._logins += 1
            return self._logins

    def _attempt_login(self) -> None:
        """Once for all threads: what vCenter refuses stays refused, what got no answer is tried again a little later."""
        if self._failed and monotonic() - self._failed[1] < LOGIN_PAUSE:
            raise self._failed[0]
        try:
            self._log_in_now()
        except VcenterError as error:
            self._ended = error
            raise
        except TargetError as error:
            self._failed = error, monotonic()
            raise

    def _log_in_now(self) -> None:
        doing = "log in to {}:{}".format(*self.address)
        try:
            self._stub = self._stub or self._connect()
            self._stub.SetSessionId(None)
            self._content = self._content or vim.ServiceInstance("ServiceInstance", self._stub).RetrieveContent()
            about = self._content.about
            if about.apiType != "VirtualCenter":
                raise TargetError(f"{doing}: this is {about.fullName}; a vCenter server is needed, only it can clone")
            self.key = str(self._content.sessionManager.Login(self._username, self._password).key)
        except vmodl.MethodFault as fault:
            raise explain(doing, fault, self.path) from fault
        except NETWORK_TROUBLE as error:
            raise self._lost(doing, error) from error

    def _connect(self, path: str = "/sdk", version: str = VERSION, context: Mapping[str, str] | None = None) -> Any:
        host, port = self.address
        stub = SoapStubAdapter(
            host=f"[{host}]" if ":" in host else host,
            port=port,
            path=path,
            version=version,
            requestContext=context,
            sslContext=self.trust(),
            poolSize=self.threads,
            httpConnectionTimeout=CALL_TIMEOUT,
            connectionPoolTimeout=IDLE_SECONDS,
        )
        stub.InvokeMethod = readable(stub.InvokeMethod)
        return stub

    def _lost(self, doing: str, error: Exception) -> NoAnswerError:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return NoAnswerError("{}: no answer from vCenter {}:{}: {}".format(doing, *self.address, reason))
