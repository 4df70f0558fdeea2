"""departures: a client that leaves cancels its call; a call that is over costs nothing more."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from anyllm_fast.departures import Departures
from tests.test_policy import make_call


class Client:
    """`receive` of one call; counts who waits in it."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.waiting = 0

    async def receive(self) -> dict[str, Any]:
        self.waiting += 1
        await self.gone.wait()
        return {"type": "http.disconnect"}


async def run(departures: Departures, client: Client, seconds: float) -> bool:
    """A call that takes `seconds`; whether its client left before it was over."""
    call = make_call()
    call.receive = client.receive
    departures.arm(call)
    try:
        await asyncio.sleep(seconds)
    except asyncio.CancelledError:
        if not call.outcome.client_gone:
            raise
    finally:
        departures.disarm(call)
    return call.outcome.client_gone


async def test_a_client_that_leaves_cancels_its_call_and_no_other() -> None:
    departures, leaver, stayer = Departures(), Client(), Client()
    calls = [asyncio.create_task(run(departures, leaver, 30)), asyncio.create_task(run(departures, stayer, 0.2))]
    asyncio.get_running_loop().call_later(0.05, leaver.gone.set)
    assert await asyncio.gather(*calls) == [True, False]


async def test_one_that_left_before_it_was_watched_is_noticed_all_the_same() -> None:
    client = Client()
    client.gone.set()
    assert await asyncio.wait_for(run(Departures(), client, 30), 5)


async def test_a_short_call_never_starts_a_task() -> None:
    departures, client = Departures(), Client()
    for _ in range(100):
        await run(departures, client, 0)
    await asyncio.sleep(0.06)
    assert client.waiting == 0
    assert not departures._ticking and not departures._young and not departures._old


async def test_a_call_that_is_over_leaves_no_task_behind() -> None:
    departures, client = Departures(), Client()
    before = len(asyncio.all_tasks())
    assert not await run(departures, client, 0.1)
    await asyncio.sleep(0.06)
    assert client.waiting == 1 and len(asyncio.all_tasks()) == before and not departures._ticking


async def test_a_cancel_that_is_not_the_clients_goes_through() -> None:
    task = asyncio.create_task(run(Departures(), Client(), 30))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
