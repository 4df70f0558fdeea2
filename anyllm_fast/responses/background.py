"""Calls that nobody waits for: `background: true`. They run in this worker and end in the store.

The client gets a queued response at once and polls it. What runs is an ordinary call with a `send` that collects; a call that is
cancelled, or whose worker goes away, ends as `cancelled` or `failed` and never stays in progress for ever.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from msgspec import Raw

from anyllm_fast import ids
from anyllm_fast.call import Call
from anyllm_fast.errors import RateLimited
from anyllm_fast.neutral.members import encode
from anyllm_fast.responses.state import State, Turn
from anyllm_fast.responses.store import Kept, Store, StoreFailed

MAX_RUNNING: Final = 256
_decode_object = msgspec.json.Decoder(dict[str, Raw]).decode
_Run = Callable[[Call], Awaitable[None]]


class _Asked(msgspec.Struct):
    background: Any = None


_decode_asked = msgspec.json.Decoder(_Asked).decode


def asks_background(body: bytes) -> bool:
    return b'"background"' in body and _decode_asked(body).background is True


class Collected:
    """A `send` that keeps what a client would have got."""

    def __init__(self) -> None:
        self.status = 0
        self.body = b""

    async def __call__(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.body += message.get("body", b"")


class Background:
    """The running calls of one worker."""

    def __init__(self, state: State, store: Store) -> None:
        self._state = state
        self._store = store
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def begin(self, call: Call, turn: Turn, run: _Run) -> bytes:
        """Starts `call`, with a `send` of ours, and gives the queued response. Raises RateLimited."""
        if len(self._tasks) >= MAX_RUNNING:
            raise RateLimited("too many background responses are running", headers=[(b"retry-after", b"5")])
        ident = f"resp_{ids.new_secret()}"
        queued = _response(ident, call.model, "queued", turn)
        await self._put(ident, turn, queued, running=True)
        self._tasks[ident] = asyncio.get_running_loop().create_task(self._run(ident, call, turn, run))
        return queued

    async def cancel(self, kept: Kept) -> bytes:
        """The response as it is afterwards. One that has ended stays as it is."""
        if not kept.running:
            return kept.reply
        task = self._tasks.get(kept.id)
        if task is not None:
            task.cancel()
        reply = _with(kept.reply, status="cancelled")
        await self._store.put(msgspec.structs.replace(kept, reply=reply, running=False))
        return reply

    async def close(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values(), timeout=5.0)

    async def _run(self, ident: str, call: Call, turn: Turn, run: _Run) -> None:
        collected = Collected()
        call.send = collected
        try:
            await self._put(ident, turn, _response(ident, call.model, "in_progress", turn), running=True)
            await run(call)
            reply = _finished(ident, collected, call, turn)
            if not await self._gone(ident, turn):
                await self._put(ident, turn, reply, running=False)
        except asyncio.CancelledError:
            if not await self._gone(ident, turn):  # not by a client's wish: the worker stops
                why = {"code": "server_error", "message": "the gateway stopped while this response was running"}
                await self._put(ident, turn, _response(ident, call.model, "failed", turn, why), running=False)
        finally:
            self._tasks.pop(ident, None)

    async def _gone(self, ident: str, turn: Turn) -> bool:
        """Whether it was cancelled or deleted meanwhile, perhaps by another worker."""
        kept = await self._state.get(turn.owner, ident)
        return kept is None or not kept.running

    async def _put(self, ident: str, turn: Turn, reply: bytes, *, running: bool) -> None:
        try:
            await self._store.put(Kept(ident, turn.owner, reply, turn.items, time.time(), running))
        except StoreFailed:
            if running:
                raise


def _finished(ident: str, collected: Collected, call: Call, turn: Turn) -> bytes:
    if collected.status == 200:
        return _with(collected.body, id=ident, background=True)
    try:
        error = msgspec.json.decode(collected.body)["error"]
        why = {"code": error.get("code") or "server_error", "message": error.get("message") or "the call failed"}
    except (ValueError, KeyError, TypeError, AttributeError):
        why = {"code": "server_error", "message": f"the call failed with status {collected.status}"}
    return _response(ident, call.model, "failed", turn, why)


def _with(reply: bytes, **changes: Any) -> bytes:
    """The response with some of its members changed, all others byte for byte."""
    members = _decode_object(reply)
    return encode({**members, **{name: Raw(encode(value)) for name, value in changes.items()}})


def _response(ident: str, model: str, status: str, turn: Turn, error: dict[str, Any] | None = None) -> bytes:
    """A response without output."""
    return encode(
        {
            "id": ident,
            "object": "response",
            "created_at": int(time.time()),
            "status": status,
            "background": True,
            "error": error,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "model": model,
            "output": [],
            "parallel_tool_calls": True,
            "previous_response_id": Raw(turn.previous),
            "store": True,
            "temperature": None,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "truncation": "disabled",
            "usage": None,
        }
    )
