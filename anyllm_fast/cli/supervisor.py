"""Starts, watches and stops the workers, with Granian. Handles no request.

How workers are made, measured on Linux with the gateway on the demo backend: from the start of the command until the first
answer, and memory of all processes when idle (PSS; in brackets what it is where no other Python runs).

| | 1 worker | 2 workers | 4 workers |
|---|---|---|---|
| fork, the app imported before | 0.15 s, 30 MB (40) | 36 MB (45) | 48 MB (56) |
| fork, the app imported in each worker | 0.17 s, 34 MB | 49 MB | 77 MB |
| spawn | 0.3 s, 51 MB (60) | 71 MB (78) | 111 MB (116) |

So on Linux the app is imported before the fork. Elsewhere forking is not safe (macOS) or not there, and workers are spawned.
"""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from granian.constants import HTTPModes, Interfaces, Loops, RuntimeModes
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.mp import MPServer

from anyllm_fast.cli.worker import load_app, preload
from anyllm_fast.config.settings import Settings
from anyllm_fast.errors import ConfigError

BACKLOG = 4096  # the kernel's own bound (net.core.somaxconn) in most places
MAX_CONNECTIONS = 65536
OWN_DESCRIPTORS = 128  # neither clients nor upstreams: libraries, pipes, logs, sessions
_READY_POLL = 0.01
_READY_PATIENCE = 60.0
_LOGGING = {
    "formatters": {"plain": {"format": "anyllm-fast: %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "stream": "ext://sys.stderr", "formatter": "plain"}},
    "loggers": {"_granian": {"handlers": ["console"], "level": "WARNING", "propagate": False}},
}


def supervise(address: str, settings: Settings, target: str, announce: Callable[[], None]) -> int:
    """Runs workers on `address` (from `find_address`) until SIGTERM or SIGINT; the exit code.

    `announce` is called once they answer. Raises ConfigError if the app cannot be made from the settings.
    """
    if sys.platform == "linux":
        multiprocessing.set_start_method("fork", force=True)
        preload(settings, target)
    server = Supervisor(address, settings, target, announce)
    try:
        server.serve(target_loader=partial(load_app, settings, target), wrap_loader=False)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    return 0


class Supervisor(MPServer):
    """Granian's server, which also tells when its workers answer, and does not wait when it is told twice to stop."""

    def __init__(self, address: str, settings: Settings, target: str, announce: Callable[[], None]) -> None:
        super().__init__(
            target,
            address=address,
            port=settings.port,
            interface=Interfaces.ASGI,
            workers=settings.workers,
            # one Rust thread and one Python loop per worker: more threads only add hand-overs, cores are used by more workers
            runtime_mode=RuntimeModes.mt,
            runtime_threads=1,
            loop=Loops.uvloop if sys.platform != "win32" else Loops.auto,
            # HTTP/2 without TLS has hardly any clients, and hundreds of streams on one connection would slip past the limit below
            http=HTTPModes.http1,
            # an upgrade request reaches the app as plain HTTP, which can then refuse it with a status that clients understand
            websockets=False,
            backlog=BACKLOG,
            # connections, not requests: past it nothing is accepted, so it must be far above the number of open streams
            backpressure=max_connections(),
            # also the idle time of a kept connection: hyper waits for the next request's headers
            http1_settings=HTTP1Settings(header_read_timeout=int(settings.keepalive * 1000)),
            log_level=LogLevels.warning,
            log_dictconfig=_LOGGING,
            log_access=False,
            respawn_failed_workers=True,
            workers_kill_timeout=max(int(settings.shutdown), 1) if settings.shutdown else None,
        )
        self._announce = announce
        self._probe_host = "127.0.0.1" if address == "0.0.0.0" else "::1" if address == "::" else address  # noqa: S104

    def startup(self, spawn_target: Any, target_loader: Any) -> None:
        super().startup(spawn_target, target_loader)  # type: ignore[no-untyped-call]  # untyped there
        if self._wait_until_ready():
            self._announce()
        elif self.interrupt_children:
            self.respawn_failed_workers = False  # it never ran: what stopped it would stop the next one

    def _wait_until_ready(self) -> bool:
        """A worker listens only after its app has started; its first connection is ours."""
        deadline = time.monotonic() + _READY_PATIENCE
        while time.monotonic() < deadline and not self.main_loop_interrupt.wait(_READY_POLL):
            with contextlib.suppress(OSError), socket.create_connection((self._probe_host, self.bind_port), 1.0):
                return True
        return False

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        if self.interrupt_signal:
            for worker in self.wrks:
                worker.kill()  # type: ignore[no-untyped-call]  # untyped there
        else:
            # os.write: this runs in a signal handler, where a buffered stream may be in use
            os.write(2, b"stopping: open calls may finish; once more to stop at once\n")
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call]  # untyped there


def find_address(host: str, port: int) -> str:
    """The IP address to listen on, checked by taking it for a moment. Raises ConfigError.

    Granian shares its port between workers (SO_REUSEPORT), so a second gateway on the same port would start without complaint and
    take half of the connections; a bind without that option does complain.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"LISTEN_HOST '{host}' cannot be resolved: {getattr(error, 'strerror', None) or error}") from error
    family, kind, protocol, _, address = found[0]
    with socket.socket(family, kind, protocol) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(address)
        except OSError as error:
            raise ConfigError(_why_not(error, host, port)) from error
    return str(address[0])


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"port {port} is already in use; choose another with --port or LISTEN_PORT, or stop what listens on {host}:{port}"
            )
        case errno.EACCES | errno.EPERM:
            return f"port {port} needs more privileges; choose one above 1023 with --port or LISTEN_PORT"
        case errno.EADDRNOTAVAIL:
            return f"LISTEN_HOST '{host}' is not an address of this machine"
    return f"cannot listen on {host}:{port}: {error.strerror or error}"


def max_connections() -> int:
    """Client connections per worker. Each may need one to an upstream as well, and accepting past the limit of file descriptors
    makes Granian spin. Raises the soft limit to the hard one first."""
    try:
        import resource
    except ImportError:  # Windows
        return MAX_CONNECTIONS // 8
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * MAX_CONNECTIONS + OWN_DESCRIPTORS
    limit = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
    if soft != resource.RLIM_INFINITY and soft < limit:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
        except (OSError, ValueError):
            limit = soft
    return max(min((limit - OWN_DESCRIPTORS) // 2, MAX_CONNECTIONS), 64)
