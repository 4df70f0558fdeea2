"""Clients that leave before their answer is whole: notices them and cancels the call's task. Nothing else.

ASGI tells a departure only to who waits in `receive`, and `send` to a client that has gone succeeds. So a task waits there, but
only for calls that last: most replies come sooner, and for those a task would cost more than all our other work. A call enters
the young generation; a clock that ticks while there are calls turns the young into the old, and the old get their task. So each
is watched between one tick and two after it was armed, and 50 ms from departure to a closed upstream socket still hold.
"""

from __future__ import annotations

import asyncio

from anyllm_fast.call import Call

_TICK = 0.012


class Departures:
    """One per worker."""

    __slots__ = ("_old", "_ticking", "_young")

    def __init__(self) -> None:
        self._young: dict[Call, None] = {}
        self._old: dict[Call, None] = {}
        self._ticking = False

    def arm(self, call: Call) -> None:
        """From now on the call's task (the current one) is cancelled when its client leaves. The body has been read."""
        call.task = asyncio.current_task()
        self._young[call] = None
        if not self._ticking:
            self._ticking = True
            asyncio.get_running_loop().call_later(_TICK, self._tick)

    def disarm(self, call: Call) -> None:
        """The call is over. Safe to call for one that was never armed."""
        if call in self._young:
            del self._young[call]
        elif call in self._old:
            del self._old[call]
        elif call.waiter is not None:
            call.waiter.cancel()
            call.waiter = None
        call.task = None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        for call in self._old:
            call.waiter = loop.create_task(_wait(call))
        self._old, self._young = self._young, {}
        if self._old:
            loop.call_later(_TICK, self._tick)
        else:
            self._ticking = False


async def _wait(call: Call) -> None:
    while (await call.receive())["type"] != "http.disconnect":
        pass
    call.outcome.client_gone = True
    if call.task is not None:
        call.task.cancel()
