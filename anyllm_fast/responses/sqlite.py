"""A store in an SQLite file that all workers of one machine share. One thread, write-ahead log; nothing waits for the disk.

A reply that has been put is read from memory until it is written, so the next request on the same worker finds it at once.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from anyllm_fast.errors import ConfigError
from anyllm_fast.responses.store import MAX_BYTES, MAX_ENTRIES, MAX_ENTRY, TTL, Kept, StoreFailed

_SCHEMA: Final = """
create table if not exists responses (
    id text primary key, owner blob not null, reply blob not null, items blob not null,
    created real not null, running integer not null, size integer not null
) without rowid;
create index if not exists responses_created on responses (created);
"""
_PRUNE_EVERY: Final = 64
T = TypeVar("T")


class SqliteStore:
    """Raises ConfigError where the file cannot be opened. It is readable by its owner alone."""

    def __init__(self, path: str, ttl: float = TTL, max_bytes: int = MAX_BYTES) -> None:
        self._path = path
        self._ttl = ttl
        self._max_bytes = max_bytes
        self._puts = 0
        self._pending: dict[str, Kept] = {}
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="responses")
        try:
            Path(path).touch(mode=0o600)
            self._connection = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = normal")
            self._connection.executescript(_SCHEMA)
        except (sqlite3.Error, OSError) as error:
            raise ConfigError(f"ANYLLM_RESPONSES_STORE: {path} cannot be used: {error}") from error

    async def put(self, kept: Kept) -> None:
        if kept.size > min(MAX_ENTRY, self._max_bytes):
            return
        self._pending[kept.id] = kept
        try:
            await self._run(lambda: self._write(kept))
        finally:
            if self._pending.get(kept.id) is kept:
                del self._pending[kept.id]

    async def get(self, owner: bytes, ident: str) -> Kept | None:
        kept = self._pending.get(ident)
        if kept is None:
            kept = await self._run(lambda: self._read(ident))
        if kept is None or kept.owner != owner or kept.created + self._ttl < time.time():
            return None
        return kept

    async def delete(self, owner: bytes, ident: str) -> bool:
        if await self.get(owner, ident) is None:
            return False
        self._pending.pop(ident, None)
        await self._run(lambda: self._connection.execute("delete from responses where id = ?", (ident,)))
        return True

    async def close(self) -> None:
        await self._run(self._connection.close)
        self._thread.shutdown()

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError, RuntimeError) as error:
            raise StoreFailed(f"the store of responses failed: {error}") from error

    # -- in the thread -------------------------------------------------------------------------------------------------

    def _write(self, kept: Kept) -> None:
        self._connection.execute(
            "insert or replace into responses values (?, ?, ?, ?, ?, ?, ?)",
            (kept.id, kept.owner, kept.reply, kept.items, kept.created, kept.running, kept.size),
        )
        self._puts += 1
        if self._puts % _PRUNE_EVERY == 1:
            self._prune()

    def _read(self, ident: str) -> Kept | None:
        row = self._connection.execute(
            "select id, owner, reply, items, created, running from responses where id = ?", (ident,)
        ).fetchone()
        return None if row is None else Kept(row[0], row[1], row[2], row[3], row[4], bool(row[5]))

    def _prune(self) -> None:
        """Drops what is too old, then the oldest until the rest fits."""
        run = self._connection.execute
        run("delete from responses where created < ?", (time.time() - self._ttl,))
        count, size = run("select count(*), coalesce(sum(size), 0) from responses").fetchone()
        while count > MAX_ENTRIES or size > self._max_bytes:
            run("delete from responses where id in (select id from responses order by created limit ?)", (max(count // 20, 1),))
            count, size = run("select count(*), coalesce(sum(size), 0) from responses").fetchone()
