"""What broke in the proxy that this one replaces, as a test each where no other test has it."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.called import SSE, Called, Lane, every_lane, open_lane
from tests.raw_client import Answer, chunked, request
from tests.raw_upstream import LAST_CHUNK, Hang, Until, chunk, ok
from tests.speech import INPUT, OUTPUT, PATHS, TEXTS, chat_chunk, hear, question, sent, speak, streamed, whole
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


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="takes the worker's sockets with pidfd_getfd, which only Linux has")
@pytest.mark.parametrize("impl", IMPLS)
async def test_neither_side_holds_small_packets_back(stage: Stage, impl: str) -> None:
    """Without TCP_NODELAY a burst of small events waits 40 ms for the other side's delayed acknowledgement."""
    gateway = await stage.gateway("openai", impl)
    case = stage.file([sent(*speak("chat").frames[:3]), Hang()])
    client = await gateway.start("messages", case)
    await client.until(TEXTS[0].encode())
    upstream, ours = stage.upstream.port, gateway.port
    found = {}
    for sock in sockets_of(gateway.worker):
        with sock:
            ends = {"client": sock.getsockname()[1] == ours, "upstream": sock.getpeername()[1] == upstream}
            found |= {name: sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for name, is_it in ends.items() if is_it}
    client.leave()
    assert found.keys() == {"client", "upstream"} and all(found.values()), found


def sockets_of(pid: int) -> Iterator[socket.socket]:
    """Copies of the connected TCP sockets of a child process."""
    process = os.pidfd_open(pid)
    libc = ctypes.CDLL(None, use_errno=True)
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if not str(link.readlink()).startswith("socket:"):
                continue
            copy = libc.syscall(_PIDFD_GETFD, process, int(link.name), 0)
            if copy < 0:
                pytest.skip(f"the kernel does not allow it: {os.strerror(ctypes.get_errno())}")
            sock = socket.socket(fileno=copy)
            if sock.family == socket.AF_INET and sock.getpeername():
                yield sock
    os.close(process)


_PIDFD_GETFD = 438  # the same on every architecture


@pytest.mark.parametrize("impl", IMPLS)
async def test_a_request_with_a_length_and_chunks_is_the_last_on_its_connection(stage: Stage, impl: str) -> None:
    called = await open_lane(stage, Lane(impl, "openai", "chat"))
    case = stage.file([whole("chat")])
    headers: dict[str, str | None] = {"content-length": "7", "transfer-encoding": "chunked", **case.headers}
    client = await called.gateway.connect()
    await client.send(request("POST", PATHS["chat"], b"", headers) + chunked(json.dumps(question("chat")).encode()))
    called.is_good_document(await client.reply())
    assert await client.closed()


@pytest.mark.parametrize("impl", IMPLS)
async def test_a_translated_request_is_one_that_the_real_services_accept(stage: Stage, impl: str) -> None:
    """One limit of tokens under one name, also where the client gave none; thinking of today; tool results where they belong."""
    messages = await open_lane(stage, Lane(impl, "openai", "messages"))
    call = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": 1}}
    other = call | {"id": "toolu_2"}
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [call, other, {"type": "text", "text": "so"}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": i, "content": i} for i in ("toolu_1", "toolu_2")]},
    ]
    body = await sent_upstream(messages, messages=turns, thinking={"type": "adaptive"})
    assert len({"max_tokens", "max_completion_tokens"} & body.keys()) == 1
    roles = [turn["role"] for turn in body["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"], "a service refuses anything between calls and their results"
    assert [turn["tool_call_id"] for turn in body["messages"][2:]] == ["toolu_1", "toolu_2"]

    chat = await open_lane(stage, Lane(impl, "anthropic", "chat"))
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ("a", "b")]
    turns = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
    ]
    schema = {"name": "n", "schema": {"type": "object", "properties": {}, "additionalProperties": False}}
    body = await sent_upstream(chat, messages=turns, response_format={"type": "json_schema", "json_schema": schema})
    assert body["max_tokens"] > 0 and "max_completion_tokens" not in body
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"], "both results belong into one turn"
    assert [part["tool_use_id"] for part in body["messages"][2]["content"]] == ["a", "b"]
    assert "additionalProperties" in json.dumps(body), "the format of the answer was dropped"


async def sent_upstream(called: Called, **more: Any) -> dict[str, Any]:
    case = called.stage.file([whole(called.lane.up)])
    called.is_good_document(await called.gateway.call(called.lane.tongue, case, **more))
    return dict(json.loads(case.requests[0].body))
