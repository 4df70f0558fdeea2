"""Tokens that expire: one is fetched before it is needed, refreshed ahead of time, and fetched once however many calls wait.

A call waits only where there is no usable token at all. A refresh that fails leaves the old token in use until it expires, and is
tried again; a fetch that fails is the answer to every call for a second, so that a broken credential is not asked about at the
rate of the calls.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from anyllm_fast import faults
from anyllm_fast.errors import UpstreamError
from anyllm_fast.upstream import HeaderList, UpstreamRequest

AHEAD = 225.0
"""Seconds before its end at which a token is refreshed: metadata servers give out the same token until then."""
SPARE = 10.0
"""A token with less than this is not sent: it could expire on the way."""
PAUSE = 10.0
"""Between two refreshes that are not urgent."""
HOLD = 1.0
"""How long a failed fetch answers the calls that come after it."""


class Token(msgspec.Struct, frozen=True):
    """`headers` prove who calls; `expires` by the monotonic clock."""

    headers: tuple[tuple[bytes, bytes], ...]
    expires: float


class Tokens:
    """A Signer. `fetch` raises UpstreamError; it runs once at a time, in a task of its own, which a caller that leaves does not
    cancel."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]]) -> None:
        self._fetch = fetch
        self._token: Token | None = None
        self._task: asyncio.Task[Token] | None = None
        self._failure: UpstreamError | None = None
        self._not_before = 0.0

    async def sign(self, request: UpstreamRequest) -> None:
        request.headers += await self.current()

    async def current(self) -> HeaderList:
        now = time.monotonic()
        token = self._token
        if token is not None and now < token.expires - SPARE:
            if now > token.expires - AHEAD and self._task is None and now >= self._not_before:
                self._start()
        else:
            if self._task is None and self._failure is not None and now < self._not_before:
                raise self._failure.with_traceback(None)
            token = await asyncio.shield(self._task or self._start())
        return list(token.headers)

    def _start(self) -> asyncio.Task[Token]:
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(self._settle)
        return self._task

    async def _run(self) -> Token:
        return await self._fetch()

    def _settle(self, task: asyncio.Task[Token]) -> None:
        self._task = None
        now = time.monotonic()
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._token, self._failure, self._not_before = task.result(), None, now + PAUSE
            return
        usable = self._token is not None and now < self._token.expires - SPARE
        self._not_before = now + (PAUSE if usable else HOLD)
        self._failure = error if isinstance(error, UpstreamError) else None
        if usable:  # nobody waits for it, so nobody else would say it
            faults.report("token refresh", error)
