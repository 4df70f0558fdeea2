"""What broke in the proxy that this one replaces, as a test each where no other test has it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.called import SSE, Lane, every_lane, open_lane
from tests.raw_client import Answer
from tests.raw_upstream import LAST_CHUNK, Until, chunk, ok
from tests.speech import (
    INPUT,
    OUTPUT,
    TEXTS,
    chat_chunk,
    hear,
    sent,
    speak,
    streamed,
)
from tests.stage import IMPLS, Stage

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("impl", IMPLS)
async def test_empty_content_then_reasoning_then_text_are_three_sound_blocks(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "messages"))
    frames = [
        chat_chunk({"role": "assistant", "content": ""}),
        chat_chunk({"reasoning_content": "hmm"}),
        chat_chunk({"content": "so"}),
        *speak("chat").stop,
        *speak("chat").end,
    ]
    answer = await called.stream([ok(b"".join(frames), SSE)])
    opened: list[int] = []
    closed: list[int] = []
    for kind, index in _blocks(answer):
        if kind == "content_block_start":
            assert len(opened) == len(closed) == index, "a block begins before the one before it ended"
            opened.append(index)
        elif kind == "content_block_stop":
            closed.append(index)
        else:
            assert index == opened[-1] and len(closed) == index, "a delta of a block that is not open"
    assert opened == closed == [0, 1]
    assert hear("messages", answer.body).text == "so" and hear("messages", answer.body).ended


def _blocks(answer: Answer) -> list[tuple[str, int]]:
    lines = answer.body.decode().splitlines()
    bodies = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    return [(body["type"], body["index"]) for body in bodies if "index" in body]


@pytest.mark.parametrize("impl", IMPLS)
async def test_usage_is_in_every_stream_of_who_asked_and_in_no_other(stage: Stage, impl: str) -> None:
    for kind, tongue in (("openai", "messages"), ("anthropic", "messages"), ("openai", "chat"), ("anthropic", "chat")):
        lane = Lane(impl, kind, tongue)  # type: ignore[arg-type]  # the tuple's strings are tongues
        called = await open_lane(stage, lane)
        more = {"stream_options": {"include_usage": True}} if lane.tongue == "chat" else {}
        case = stage.file([streamed(lane.up)])
        answer = await called.gateway.call(lane.tongue, case, stream=True, **more)
        assert hear(lane.tongue, answer.body).usage == (INPUT, OUTPUT), lane
        line = await called.gateway.line(case)
        assert (line["input_tokens"], line["output_tokens"]) == (INPUT, OUTPUT)
    called = await open_lane(stage, Lane(impl, "anthropic", "chat"))
    assert hear("chat", (await called.stream([streamed("messages")])).body).usage is None


@pytest.mark.parametrize("impl", IMPLS)
@pytest.mark.parametrize("indexed", [True, False], ids=["indexed", "without index"])
async def test_parallel_tool_calls_keep_their_arguments_and_their_stop_reason(stage: Stage, impl: str, indexed: bool) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "messages"))

    def call(index: int, ident: str, name: str, arguments: str) -> dict[str, Any]:
        place = {"index": index} if indexed else {}
        return place | ({"id": ident} if ident or not indexed else {}) | {"function": {"name": name, "arguments": arguments}}

    if indexed:
        deltas = [call(0, "a", "one", ""), call(1, "b", "two", ""), call(0, "", "", '{"x":'), call(1, "", "", '{"y":')]
        deltas += [call(0, "", "", "1}"), call(1, "", "", "2}")]
    else:
        deltas = [call(0, "a", "one", '{"x":1}'), call(0, "b", "two", '{"y":2}')]
    frames = [chat_chunk({"tool_calls": [delta]}) for delta in deltas]
    answer = await called.stream([ok(b"".join([*frames, *speak("chat").stop, *speak("chat").end]), SSE)])
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    for line in answer.body.decode().splitlines():
        body = json.loads(line[6:]) if line.startswith("data: ") else {}
        if body.get("type") == "content_block_start":
            names[body["index"]], arguments[body["index"]] = body["content_block"]["name"], ""
        elif body.get("type") == "content_block_delta":
            arguments[body["index"]] += body["delta"]["partial_json"]
    assert {names[index]: json.loads(text) for index, text in arguments.items()} == {"one": {"x": 1}, "two": {"y": 2}}
    assert hear("messages", answer.body).stop == "tool_use"


@every_lane
async def test_the_first_words_are_given_before_the_rest_exists(stage: Stage, lane: Lane) -> None:
    called = await open_lane(stage, lane)
    spoken = speak(lane.up)
    seen = asyncio.Event()
    rest = b"".join(map(chunk, [*spoken.deltas[1:], *spoken.stop, *spoken.end])) + LAST_CHUNK
    case = stage.file([sent(*spoken.opening, spoken.deltas[0]), Until(seen), rest])
    client = await called.gateway.start(lane.tongue, case)
    await client.until(TEXTS[0].encode())
    seen.set()
    called.is_good_stream(await client.reply())
    client.leave()
