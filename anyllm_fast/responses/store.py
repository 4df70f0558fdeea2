"""What is kept of a reply, and the interface of a store. Knows no dialect and no HTTP; one implementation: in memory.

A store is bounded in bytes, in entries and in time; what is oldest goes first. Everything in it belongs to the credential that
made it: for anybody else it does not exist.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from typing import Final, Protocol

import msgspec

from anyllm_fast import faults

MAX_ENTRIES: Final = 20_000
MAX_BYTES: Final = 256 << 20
MAX_ENTRY: Final = 32 << 20
TTL: Final = 30 * 86_400
"""Seconds that OpenAI keeps responses, and so do we unless told otherwise."""


class Kept(msgspec.Struct):
    """One reply. `reply` is the Response object as the client got it; `items` the JSON array of everything that went in, earlier
    turns included. Times are epoch seconds."""

    id: str
    owner: bytes  # digest of the credential; b"" where none was asked for
    reply: bytes
    items: bytes
    created: float
    running: bool = False  # a background call that has not ended

    @property
    def size(self) -> int:
        return len(self.reply) + len(self.items) + 200


class Store(Protocol):
    """Raises StoreFailed where it cannot be reached."""

    async def put(self, kept: Kept) -> None:
        """Keeps it, in place of one with the same id. One that is too large is not kept."""
        ...

    async def get(self, owner: bytes, ident: str) -> Kept | None: ...

    async def delete(self, owner: bytes, ident: str) -> bool:
        """Whether there was one."""
        ...

    async def close(self) -> None: ...


def open_store(path: str, ttl: float) -> Store:
    """The file at `path`, or memory where there is none. Raises ConfigError."""
    if not path:
        return MemoryStore(ttl)
    from anyllm_fast.responses.sqlite import SqliteStore  # only for those who use it

    return SqliteStore(path, ttl)


class StoreFailed(Exception):
    """The store cannot be read or written: a full disk, a lost file."""


class Shelf:
    """A store for callers that do not wait: what is kept is there at once and written beside the calls.

    One for all that use a store in a worker, so that closing it waits for all of them.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_the_way: dict[str, Kept] = {}  # not in the store yet

    def keep(self, kept: Kept) -> None:
        """A store that fails is told to the log: the client has its reply, only what comes later will miss this."""
        self._on_the_way[kept.id] = kept
        task = asyncio.get_running_loop().create_task(self._put(kept))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def get(self, owner: bytes, ident: str) -> Kept | None:
        """Raises StoreFailed."""
        known = self._on_the_way.get(ident)
        if known is not None and known.owner == owner:
            return known
        return await self.store.get(owner, ident)

    async def delete(self, kept: Kept) -> None:
        """Raises StoreFailed."""
        self._on_the_way.pop(kept.id, None)
        await self.store.delete(kept.owner, kept.id)

    async def close(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5.0)
        await self.store.close()

    async def _put(self, kept: Kept) -> None:
        try:
            if kept.id in self._on_the_way:  # not deleted meanwhile
                await self.store.put(kept)
        except StoreFailed as error:
            faults.report(kept.id, error)
        finally:
            if self._on_the_way.get(kept.id) is kept:
                del self._on_the_way[kept.id]


class MemoryStore:
    """In this process: gone when it ends, unknown to other workers."""

    def __init__(self, ttl: float = TTL, max_bytes: int = MAX_BYTES) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._size = 0
        self._ttl = ttl
        self._max_bytes = max_bytes

    async def put(self, kept: Kept) -> None:
        self._drop(kept.id)
        if kept.size > min(MAX_ENTRY, self._max_bytes):
            return
        self._kept[kept.id] = kept
        self._size += kept.size
        while self._kept and (self._crowded() or self._expired(next(iter(self._kept.values())))):
            self._drop(next(iter(self._kept)))

    async def get(self, owner: bytes, ident: str) -> Kept | None:
        kept = self._kept.get(ident)
        if kept is None or kept.owner != owner:
            return None
        if self._expired(kept):
            self._drop(ident)
            return None
        return kept

    async def delete(self, owner: bytes, ident: str) -> bool:
        if await self.get(owner, ident) is None:
            return False
        self._drop(ident)
        return True

    async def close(self) -> None:
        await asyncio.sleep(0)

    def _crowded(self) -> bool:
        return self._size > self._max_bytes or len(self._kept) > MAX_ENTRIES

    def _expired(self, kept: Kept) -> bool:
        return kept.created + self._ttl < time.time()

    def _drop(self, ident: str) -> None:
        gone = self._kept.pop(ident, None)
        if gone is not None:
            self._size -= gone.size
