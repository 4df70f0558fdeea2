"""responses/store.py and sqlite.py: one test body for both stores."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anyllm_fast.errors import ConfigError
from anyllm_fast.responses import sqlite, store
from anyllm_fast.responses.sqlite import SqliteStore
from anyllm_fast.responses.store import Kept, MemoryStore, Store, StoreFailed

Open = Callable[..., Store]


@pytest.fixture(params=["memory", "sqlite"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    if request.param == "memory":
        return lambda **options: MemoryStore(**options)
    return lambda **options: SqliteStore(str(tmp_path / "kept.db"), **options)


def kept(ident: str, owner: bytes = b"me", reply: bytes = b"{}", created: float | None = None) -> Kept:
    return Kept(ident, owner, reply, b"[]", time.time() if created is None else created)


async def test_what_was_put_is_there_for_its_owner_alone(open_store: Open) -> None:
    opened = open_store()
    await opened.put(kept("resp_1", reply=b'{"a":1}'))
    found = await opened.get(b"me", "resp_1")
    assert found is not None and found.reply == b'{"a":1}' and not found.running
    assert await opened.get(b"you", "resp_1") is None
    assert not await opened.delete(b"you", "resp_1")
    assert await opened.delete(b"me", "resp_1")
    assert await opened.get(b"me", "resp_1") is None
    assert not await opened.delete(b"me", "resp_1")
    await opened.close()


async def test_a_second_put_takes_the_place_of_the_first(open_store: Open) -> None:
    opened = open_store()
    for reply in (b"1", b"2"):
        await opened.put(kept("resp_1", reply=reply))
    found = await opened.get(b"me", "resp_1")
    assert found is not None and found.reply == b"2"
    await opened.close()


async def test_what_is_older_than_its_time_is_gone(open_store: Open) -> None:
    opened = open_store(ttl=100)
    await opened.put(kept("old", created=time.time() - 101))
    await opened.put(kept("new"))
    assert await opened.get(b"me", "old") is None
    assert await opened.get(b"me", "new") is not None
    await opened.close()


async def test_the_oldest_make_room(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_PRUNE_EVERY", 1.5)  # prunes at every put
    opened = open_store(max_bytes=5000)
    now = time.time()
    for number in range(10):
        await opened.put(kept(f"resp_{number}", reply=b"x" * 1000, created=now + number))
    there = [number for number in range(10) if await opened.get(b"me", f"resp_{number}") is not None]
    assert there and there[-1] == 9 and there == list(range(there[0], 10)) and len(there) <= 4
    await opened.close()


async def test_one_that_is_too_large_is_not_kept(open_store: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (store, sqlite):
        monkeypatch.setattr(module, "MAX_ENTRY", 500)
    opened = open_store()
    await opened.put(kept("large", reply=b"x" * 600))
    assert await opened.get(b"me", "large") is None
    await opened.close()


async def test_a_file_is_shared_and_survives(tmp_path: Path) -> None:
    path = tmp_path / "kept.db"
    one, other = SqliteStore(str(path)), SqliteStore(str(path))
    await one.put(kept("resp_1"))
    assert await other.get(b"me", "resp_1") is not None
    await one.close()
    await other.close()
    again = SqliteStore(str(path))
    assert await again.get(b"me", "resp_1") is not None
    assert path.stat().st_mode & 0o077 == 0
    await again.close()


def test_a_file_that_cannot_be_used_is_a_line_about_the_variable(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ANYLLM_RESPONSES_STORE: .*no/such/kept.db cannot be used"):
        SqliteStore(str(tmp_path / "no" / "such" / "kept.db"))
    (tmp_path / "text").write_text("this is no database" * 100)
    with pytest.raises(ConfigError, match="ANYLLM_RESPONSES_STORE"):
        SqliteStore(str(tmp_path / "text"))


async def test_a_lost_database_is_said_and_not_raised_through(tmp_path: Path) -> None:
    opened: Any = SqliteStore(str(tmp_path / "kept.db"))
    opened._connection.execute("drop table responses")
    with pytest.raises(StoreFailed, match="no such table"):
        await opened.put(kept("resp_1"))
    with pytest.raises(StoreFailed):
        await opened.get(b"me", "resp_2")
    assert opened._pending == {}
    with pytest.raises(sqlite3.Error):
        opened._connection.execute("select * from responses")
