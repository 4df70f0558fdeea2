"""A worker process before its first request: takes its Settings, imports the app, watches its supervisor. Routes nothing.

The Settings come as an argument of the loader, not through the environment: a forked worker shares the supervisor's object, a
spawned one reads it from the pipe that multiprocessing opens for it. So no resolved secret ever stands in an environment, where
/proc/PID/environ would show it to every process of the same user for as long as the worker lives.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from anyllm_fast.config import install_settings
from anyllm_fast.config.settings import Settings
from anyllm_fast.errors import ConfigError

KEEPALIVE_IDLE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES = 60, 15, 4
_LISTENER_POLL = 0.01
_LISTENER_TRIES = 1000


def preload(settings: Settings, target: str) -> None:
    """In the supervisor, before it forks: imports the app once for all workers, which then share its memory.

    Only for an app that starts no thread and no event loop when it is imported. Raises ConfigError.
    """
    install_settings(settings)
    _import(target)
    gc.collect()
    gc.freeze()  # the collector writes into what it visits, which would un-share it


def load_app(settings: Settings, target: str) -> Callable[..., Any]:
    """In a worker, its event loop being set: the ASGI callable `module:name`, imported after this process has its Settings."""
    install_settings(settings)
    _follow_supervisor(settings.shutdown)
    asyncio.get_event_loop().call_soon(keep_clients_alive, _LISTENER_TRIES)
    try:
        return _import(target)
    except ConfigError as error:
        print(f"anyllm-fast: {error}", file=sys.stderr, flush=True)
        sys.exit(1)


def _import(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    app: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return app


def _follow_supervisor(patience: float) -> None:
    """Ends this process when its supervisor is gone (killed, out of memory): otherwise it would hold the port for ever."""
    supervisor = multiprocessing.parent_process()
    if supervisor is None:
        return

    def wait() -> None:
        supervisor.join()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(patience or threading.TIMEOUT_MAX)
        os._exit(1)

    threading.Thread(target=wait, name="supervisor-watch", daemon=True).start()


def keep_clients_alive(tries: int) -> None:
    """Turns on TCP keep-alive for the listening socket, from which accepted ones inherit it; Granian has no option for it.

    A client that vanished while its call waits in silence is found that way, and load balancers that forget silent connections
    (350 s in some) keep them. The socket is opened after the app is loaded, hence the tries.
    """
    if not _tune_listeners() and tries > 0:
        asyncio.get_event_loop().call_later(_LISTENER_POLL, keep_clients_alive, tries - 1)


def _tune_listeners() -> int:
    try:
        numbers = [int(name) for name in os.listdir("/dev/fd")]  # noqa: PTH208 - names are wanted, not paths
    except (OSError, ValueError):
        return 1  # no way to find it on this platform
    return sum(map(_tune, numbers))


def _tune(number: int) -> bool:
    try:
        copy = os.dup(number)
    except OSError:
        return False
    try:
        sock = socket.socket(fileno=copy)
    except OSError:  # not a socket
        os.close(copy)
        return False
    with sock:
        if sock.family not in (socket.AF_INET, socket.AF_INET6) or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            return False
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", KEEPALIVE_IDLE),
            ("TCP_KEEPINTVL", KEEPALIVE_INTERVAL),
            ("TCP_KEEPCNT", KEEPALIVE_PROBES),
        ):
            if hasattr(socket, option):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        return True
