"""Addresses and TCP connects: which addresses a host has and which answers first. Knows no HTTP and no TLS.

Happy Eyeballs (RFC 8305): address families take turns, and a connect that has not succeeded after 250 ms gets a rival instead
of being waited for. uvloop's create_connection has no `happy_eyeballs_delay`, so the race is run here for both loops.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Sequence

Address = tuple[socket.AddressFamily, tuple[str, int]]

RIVAL_DELAY = 0.25  # RFC 8305 section 8: recommended "Connection Attempt Delay"
MAX_ADDRESSES = 16


async def connect_tcp(host: str, port: int) -> socket.socket:
    """A connected, non-blocking socket with TCP_NODELAY and keep-alive. Raises OSError: the first address's."""
    addresses = await find_addresses(host, port)
    return await race(addresses, _connect)


async def find_addresses(host: str, port: int) -> list[Address]:
    """What the host's name stands for, families taking turns in the resolver's order. Raises OSError."""
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        pass
    else:
        return [(socket.AF_INET if version == 4 else socket.AF_INET6, (host, port))]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses: list[Address] = []
    for family, _, _, _, address in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            addresses.append((family, address))  # type: ignore[arg-type]  # IPv6 has four members; only passed through
    if not addresses:
        raise OSError("the name has no address")
    return _take_turns(list(dict.fromkeys(addresses)))[:MAX_ADDRESSES]


def _take_turns(addresses: Sequence[Address]) -> list[Address]:
    first = [address for address in addresses if address[0] == addresses[0][0]]
    second = [address for address in addresses if address[0] != addresses[0][0]]
    turns: list[Address] = []
    for index in range(max(len(first), len(second))):
        turns += first[index : index + 1] + second[index : index + 1]
    return turns


async def _connect(address: Address) -> socket.socket:
    family, target = address
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if hasattr(socket, "TCP_KEEPIDLE"):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
        await asyncio.get_running_loop().sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return sock


async def race(
    addresses: Sequence[Address],
    connect: Callable[[Address], Awaitable[socket.socket]],
    delay: float = RIVAL_DELAY,
) -> socket.socket:
    """The first socket that connects; the others are closed. A failed connect starts the next one at once."""
    if len(addresses) == 1:
        return await connect(addresses[0])
    errors: list[OSError] = []
    running: set[asyncio.Task[socket.socket]] = set()
    waiting = list(addresses)
    try:
        while waiting or running:
            if waiting:
                running.add(asyncio.ensure_future(connect(waiting.pop(0))))
            done, running = await asyncio.wait(running, timeout=delay if waiting else None, return_when=asyncio.FIRST_COMPLETED)
            winner: socket.socket | None = None
            for task in done:
                error = task.exception()
                if error is None:
                    if winner is None:
                        winner = task.result()
                    else:
                        task.result().close()
                elif isinstance(error, OSError):
                    errors.append(error)
                else:
                    raise error
            if winner is not None:
                return winner
        raise errors[0]
    finally:
        for task in running:
            task.add_done_callback(_close_late)
            task.cancel()


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
