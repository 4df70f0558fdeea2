"""responses/replay.py: what an upstream signed before a call comes back to it, also from a client that gives nothing back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from msgspec import Raw

from anyllm_fast.neutral.members import string_of
from anyllm_fast.neutral.request import Request, Text, Thinking, ToolCall, ToolResult, Turn
from anyllm_fast.neutral.stream import Remembered
from anyllm_fast.responses.replay import Replay
from anyllm_fast.responses.store import MemoryStore, Shelf
from tests.asgi import ANTHROPIC, ask, open_app
from tests.test_gateway import SSE, good

BLOCKS = [
    {"type": "thinking", "thinking": 'I need "it"', "signature": "SIG+/="},
    {"type": "redacted_thinking", "data": "ENC"},
    {"type": "text", "text": "Looking."},
    {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
]
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
ASK = {"role": "user", "content": "go"}
FIRST = {"model": "claude-x", "messages": [ASK], "tools": TOOLS, "reasoning_effort": "high"}


def message(content: list[dict[str, Any]], stop: str) -> bytes:
    usage = {"input_tokens": 1, "output_tokens": 1}
    body = {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": content, "usage": usage}
    return json.dumps({**body, "stop_reason": stop, "stop_sequence": None}).encode()


def streamed() -> list[bytes]:
    events: list[dict[str, Any]] = [{"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": 1}}}]
    for index, block in enumerate(BLOCKS):
        empty, deltas = {**block}, []
        match block["type"]:
            case "thinking":
                empty |= {"thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": block["thinking"]}]
                deltas.append({"type": "signature_delta", "signature": block["signature"]})
            case "text":
                empty, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": block["text"]}]
            case "tool_use":
                empty, deltas = {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": json.dumps(block["input"])}]
        events.append({"type": "content_block_start", "index": index, "content_block": empty})
        events += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": index})
    events.append({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 2}})
    events.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_chat_client_that_keeps_only_text_and_calls_loses_no_signature(stream: bool) -> None:
    first = good(*streamed(), headers=SSE) if stream else good(message(BLOCKS, "tool_use"))
    app, network = open_app(ANTHROPIC, first, *(good(message([{"type": "text", "text": "done"}], "end_turn")) for _ in range(2)))
    await ask(app, "POST", "/v1/chat/completions", FIRST | {"stream": stream})
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    said = {"role": "assistant", "content": "Looking.", "tool_calls": [call]}
    second = FIRST | {"messages": [ASK, said, {"role": "tool", "tool_call_id": "toolu_1", "content": "ok"}]}
    await ask(app, "POST", "/v1/chat/completions", second)
    sent = json.loads(network.requests[1].body)
    assert sent["messages"][1]["content"] == BLOCKS
    assert sent["thinking"]["type"] != "disabled"

    other = await ask(app, "POST", "/v1/chat/completions", second, {"authorization": "Bearer somebody-else"})
    assert other.status == 200
    kinds = [block["type"] for block in json.loads(network.requests[2].body)["messages"][1]["content"]]
    assert kinds == ["text", "tool_use"]


async def test_reasoning_text_without_its_signature_makes_place_for_the_signed() -> None:
    """The AI SDK's client for compatible hosts gives reasoning_content back; a budget wants the signed block to come first."""
    app, network = open_app(
        ANTHROPIC, good(message(BLOCKS, "tool_use")), good(message([{"type": "text", "text": "done"}], "end_turn"))
    )
    asked = FIRST | {"model": "claude-sonnet-4-5", "max_tokens": 8000}
    await ask(app, "POST", "/v1/chat/completions", asked)
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    said = {"role": "assistant", "content": "Looking.", "reasoning_content": 'I need "it"', "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "toolu_1", "content": "ok"}
    answer = await ask(app, "POST", "/v1/chat/completions", asked | {"messages": [ASK, said, result]})
    sent = json.loads(network.requests[1].body)
    assert sent["messages"][1]["content"] == BLOCKS and sent["thinking"]["type"] == "enabled"
    assert "x-anyllm-degradation" not in answer.headers


def turns(*parts: Any, then: str = "") -> Request:
    request = Request(
        model="m", turns=[Turn(role="user", parts=[Text(text=Raw(b'"go"'))]), Turn(role="assistant", parts=list(parts))]
    )
    request.turns.append(Turn(role="user", parts=[ToolResult(ident=Raw(b'"c1"'), parts=[])]))
    if then:
        request.turns.append(Turn(role="user", parts=[Text(text=string_of(then))]))
    return request


CALL = ToolCall(ident=Raw(b'"c1"'), name=Raw(b'"f"'), args=Raw(b"{}"))


async def kept() -> Replay:
    replay = Replay(Shelf(MemoryStore()))
    replay.keep(b"me", "anthropic", [Remembered(b"c1", b"text", b"SIG")])
    await asyncio.sleep(0)
    return replay


async def test_reasoning_that_came_back_is_not_doubled() -> None:
    request = turns(Thinking(text=Raw(b'"text"'), signature=Raw(b'"SIG"'), origin="anthropic"), CALL)
    await (await kept()).restore(b"me", "anthropic", request)
    assert len(request.turns[1].parts) == 2


@pytest.mark.parametrize(("owner", "origin"), [(b"you", "anthropic"), (b"me", "gemini")])
async def test_it_is_for_its_owner_and_its_vendor_alone(owner: bytes, origin: str) -> None:
    request = turns(CALL)
    await (await kept()).restore(owner, origin, request)
    assert request.turns[1].parts == [CALL]


async def test_once_the_user_has_spoken_again_nothing_is_looked_up() -> None:
    request = turns(CALL, then="and now?")
    await (await kept()).restore(b"me", "anthropic", request)
    assert request.turns[1].parts == [CALL]
