"""One call through a gateway of the stage and what may come of it. The vocabulary of the fault tests; holds no test."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from tests.raw_client import Answer
from tests.raw_upstream import Script
from tests.speech import STOPPED, TEXT, TONGUES, Heard, Tongue, hear, read_document
from tests.stage import IMPLS, UPSTREAM_KEY, Gateway, Stage

JSON = b"content-type: application/json"
SSE = b"content-type: text/event-stream"
SPOKEN: dict[str, Tongue] = {"openai": "chat", "anthropic": "messages", "narrow": "chat"}


class Lane(NamedTuple):
    impl: str
    kind: str
    tongue: Tongue

    @property
    def up(self) -> Tongue:
        return SPOKEN[self.kind]

    @property
    def same(self) -> bool:
        return self.up == self.tongue


LANES = [Lane(impl, kind, tongue) for impl in IMPLS for kind in ("openai", "anthropic") for tongue in TONGUES]
every_lane = pytest.mark.parametrize("lane", LANES, ids="-".join)


class Called(NamedTuple):
    """One script and what a client of the lane got for it."""

    stage: Stage
    gateway: Gateway
    lane: Lane

    async def stream(self, *scripts: Script) -> Answer:
        return await self.gateway.call(self.lane.tongue, self.stage.file(*scripts), stream=True)

    async def whole(self, *scripts: Script) -> Answer:
        return await self.gateway.call(self.lane.tongue, self.stage.file(*scripts))

    # What may come of it

    def is_good_stream(self, answer: Answer) -> None:
        assert answer.status == 200 and answer.complete, answer
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-encoding" not in answer.headers
        heard = hear(self.lane.tongue, answer.body)
        assert (heard.text, heard.stop, heard.ended, heard.error) == (TEXT, STOPPED[self.lane.tongue], True, None), answer
        assert not heard.after_end, answer

    def is_good_document(self, answer: Answer) -> None:
        assert answer.status == 200 and answer.complete, answer
        assert answer.headers["content-type"].startswith("application/json")
        heard = read_document(self.lane.tongue, answer.body)
        assert (heard.text, heard.stop) == (TEXT, STOPPED[self.lane.tongue]), answer

    def is_cut(self, answer: Answer) -> Heard:
        """Half an answer, and its client can tell: an error in-band, no terminator, nothing after it."""
        assert answer.status == 200 and answer.complete, answer
        heard = hear(self.lane.tongue, answer.body)
        assert heard.error is not None and heard.error["message"] and heard.error["type"], answer
        assert not heard.ended and not heard.after_end, answer
        assert heard.text and TEXT.startswith(heard.text), answer
        return heard

    def is_refused(self, answer: Answer, status: int) -> dict[str, Any]:
        """A true status and an error in the client's dialect."""
        assert answer.status == status and answer.complete, answer
        assert answer.headers["content-type"].startswith("application/json"), answer
        body = answer.json()
        error = body["error"]
        assert error["message"] and error["type"], answer
        assert UPSTREAM_KEY not in error["message"]
        if self.lane.tongue == "messages":
            assert body["type"] == "error", answer
        else:
            assert "code" in error and "param" in error, answer
        return dict(error)


async def open_lane(stage: Stage, lane: Lane) -> Called:
    return Called(stage, await stage.gateway(lane.kind, lane.impl), lane)
