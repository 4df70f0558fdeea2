"""From upstream bytes to client bytes: when a reply is committed, how it ends, and what passes by untouched."""

from __future__ import annotations

import random
import re
from typing import Any

import msgspec
import pytest

from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage
from tests.facts import FACTS, ends_badly, ends_well
from tests.streams import (
    DIALECTS,
    DONE,
    OTHER,
    PYTHON,
    chunk,
    corpus,
    cut,
    data_frame,
    dialect_of,
    each_twin,
    event,
    load,
    outcome,
    pass_by,
    payloads,
    piped,
    record,
    run,
    watched,
)

pytestmark = each_twin

UNFINISHED = ("openai_chat_bare_host",)  # a host that says neither why it stopped nor [DONE]
GOOD = [name for name in corpus() if name not in UNFINISHED and record(PYTHON, load(name), dialect_of(name)).failure is None]
FAILED_FIRST = [name for name in corpus() if name.endswith(("error_first", "failed_first", "gemini_error"))]
CUT = Failure("api", "connection reset", 502)
BLANK = re.compile(rb"\r?\n\r?\n")


def both(twin: Any, dialect: str, max_frame: int = 1 << 20) -> list[tuple[str, Any]]:
    """A translating pipe and a bypass for one upstream dialect, each with its client."""
    return [
        (OTHER[dialect], piped(twin, dialect, OTHER[dialect], max_frame=max_frame)),
        (dialect, watched(twin, dialect, max_frame)),
    ]


def framed(kind: str, **body: Any) -> bytes:
    """A frame of a stream whose events have names."""
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), msgspec.json.encode({"type": kind, **body}))


# -- commitment --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "before", "commits"),
    [
        ("openai_chat", chunk({"role": "assistant", "content": ""}), chunk({"content": "x"})),
        ("openai_chat", b": ping\n\n" + chunk({"role": "assistant"}), chunk({"reasoning": "x"})),
        ("openai_chat", chunk({"content": None}), chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f"}}]})),
        ("openai_chat", chunk(), chunk(finish_reason="stop") + DONE),
        (
            "anthropic",
            event({"type": "message_start", "message": {}}) + event({"type": "ping"}),
            event({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "a", "name": "f"}}),
        ),
        (
            "openai_responses",
            framed("response.created", response={"id": "r", "status": "in_progress", "output": []}),
            framed("response.output_text.delta", item_id="m", output_index=0, content_index=0, delta="x"),
        ),
        (
            "gemini",
            data_frame({"usageMetadata": {"promptTokenCount": 1}}),
            data_frame({"candidates": [{"content": {"parts": [{"text": "x"}]}}]}),
        ),
        (
            "bedrock",
            framed("messageStart", role="assistant"),
            framed("contentBlockDelta", contentBlockIndex=0, delta={"text": "x"}),
        ),
    ],
)
def test_a_reply_is_committed_by_the_first_thing_that_a_client_acts_on(
    twin: Any, dialect: str, before: bytes, commits: bytes
) -> None:
    for _, made in both(twin, dialect):
        made.feed(before)
        assert not made.committed and not made.ended
        made.feed(commits)
        assert made.committed


def test_a_block_that_only_starts_commits_a_reply_that_passes_by(twin: Any) -> None:
    made = watched(twin, "anthropic")
    made.feed(event({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}))
    assert made.committed  # a model that thinks in silence has begun to answer


@pytest.mark.parametrize("name", FAILED_FIRST)
def test_an_error_before_anything_else_commits_nothing_and_is_known_with_its_status(twin: Any, name: str) -> None:
    for _, made in both(twin, dialect_of(name)):
        run(made, [load(name)])
        assert not made.committed and made.ended
        assert made.failure is not None and made.failure.status == ERRORS.get(name, 429)


ERRORS = {"openai_chat_gemini_error": 503, "gemini_error_first": 503, "openai_responses_error_first": 400}
"""The status of those that are no limit of rate."""


# -- cuts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_a_stream_cut_anywhere_never_ends_well_unless_it_was_complete(twin: Any, name: str) -> None:
    data, source = load(name).rstrip(b"\r\n"), dialect_of(name)
    said = min(place for mark in FACTS[source].complete if (place := data.find(mark)) >= 0)
    end = BLANK.search(data, said)
    complete = end.start() if end else len(data)
    for at in range(0, len(data), 41 if twin.name == "python" else 5):
        for client, made in both(twin, source):
            found = run(made, [data[:at]])
            assert found.ended
            if found.failure is None:
                assert at >= complete
            else:
                assert ends_badly(client, found.out) and not ends_well(client, found.out)


@pytest.mark.parametrize("name", GOOD)
def test_a_transport_failure_anywhere_ends_with_the_dialects_error(twin: Any, name: str) -> None:
    data, source = load(name), dialect_of(name)
    said = min(place for mark in FACTS[source].complete if (place := data.find(mark)) >= 0)
    for at in range(0, min(said, len(data) - len(data) // 5), 11):
        for client, made in both(twin, source):
            out = made.feed(data[:at])
            assert not made.ended
            error = made.fail(CUT)
            assert b"connection reset" in error and ends_badly(client, error)
            assert made.ended and made.failure == CUT
            assert out == b"" or out.endswith(WHOLE)
            assert made.feed(data[at:]) == made.finish() == made.fail(CUT) == b""


WHOLE = (b"\n\n", b"\r\n\r\n", b"\r\n\r")
"""How a whole frame ends. A line may end with CR alone."""


def test_what_was_used_is_known_when_the_transport_fails(twin: Any) -> None:
    made = piped(twin, "anthropic", "openai_chat")
    made.feed(load("anthropic_thinking_tools")[:900])
    made.fail(CUT)
    assert made.usage.cache_read == 1800


@pytest.mark.parametrize("dialect", [dialect for dialect in DIALECTS if FACTS[dialect].good_end])
def test_nothing_follows_the_terminator(twin: Any, dialect: str) -> None:
    terminated = load(f"{dialect}_text")
    for (client, made), (_, again) in zip(both(twin, dialect), both(twin, dialect), strict=True):
        once = made.feed(terminated + terminated + b"data: junk")
        assert once == again.feed(terminated) and ends_well(client, once)
        assert made.feed(b"data: {}\n\n") == made.finish() == made.fail(CUT) == b""
        assert made.failure is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_frame_over_the_bound_is_a_failure_that_names_the_bound(twin: Any, dialect: str) -> None:
    data = load(f"{dialect}_text")
    begin = [found.end() for found in BLANK.finditer(data)]
    for client, made in both(twin, dialect, max_frame=4000):
        out = made.feed(data[: begin[2]])
        for _ in range(50):
            out += made.feed(b"data: " + b"x" * 100)
        assert made.ended and made.failure is not None and "4000 bytes" in made.failure.message
        assert b"4000 bytes" in out and b"xxxx" not in out and ends_badly(client, out)


@pytest.mark.parametrize(
    "body", [b"<html>502 Bad Gateway</html>", b'{"choices":[{"message":{"content":"x"}}]}', b"", b"\x1f\x8b\x08\x00"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_that_is_no_stream_is_a_failure(twin: Any, dialect: str, body: bytes) -> None:
    for client, made in both(twin, dialect):
        found = run(made, [body])
        assert found.failure is not None and not found.committed and not ends_well(client, found.out)


# -- passing by --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_a_good_stream_passes_byte_for_byte(twin: Any, name: str) -> None:
    found = pass_by(twin, load(name), dialect_of(name))
    added = FACTS[dialect_of(name)].added_end
    assert found.out == load(name) + (b"" if added in load(name) else added)
    assert found.failure is None and found.losses == ()


@pytest.mark.parametrize("name", ["anthropic_web_search", *(f"{dialect}_text" for dialect in DIALECTS)])
def test_a_chunk_that_ends_on_a_frame_is_returned_itself(twin: Any, name: str) -> None:
    made, data, begin = watched(twin, dialect_of(name)), load(name), 0
    for found in BLANK.finditer(data):
        frame = data[begin : found.end()]
        assert made.feed(frame) is frame
        begin = found.end()


def test_half_a_frame_never_leaves(twin: Any) -> None:
    dice = random.Random(3)
    for name in GOOD:
        data = load(name)
        for _ in range(10):
            made = watched(twin, dialect_of(name))
            sent = b""
            for part in cut(data, dice):
                sent += made.feed(part)
                assert sent == b"" or sent.endswith(WHOLE)
                assert data.startswith(sent.removesuffix(DONE))


@pytest.mark.parametrize("name", GOOD)
def test_usage_and_stop_reason_of_a_stream_that_passes_by_are_those_of_one_that_is_read(twin: Any, name: str) -> None:
    made = watched(twin, dialect_of(name))
    run(made, [load(name)])
    reply = record(PYTHON, load(name), dialect_of(name))
    assert made.usage == reply.usage
    if name not in UNSEEN:
        assert made.stop_reason == reply.stop_reason


UNSEEN = ("openai_chat_ollama_reasoning_tools", "openai_chat_refusal")
"""Their finish_reason is wrong, and what shows it is in deltas, which are not read when the stream only passes by."""


def test_usage_and_stop_reason_are_read_beside_the_stream(twin: Any) -> None:
    made = watched(twin, "openai_chat")
    run(made, [load("openai_chat_tools_parallel")])
    assert made.usage == Usage(input=84, output=46, cache_read=0, reasoning=20, audio_input=0, audio_output=0)
    assert made.stop_reason == "tool_use"
    made = watched(twin, "anthropic")
    run(made, [load("anthropic_stop_sequence")])
    assert (made.usage.output, made.stop_reason) == (5, "stop_sequence")


def test_words_in_the_text_are_not_taken_for_members(twin: Any) -> None:
    text = '"usage":{"prompt_tokens":9},"finish_reason":"stop","error":{"message":"x"} data: [DONE]\n\n'
    stream = chunk({"content": "a"}) + chunk({"content": text}) + chunk({"content": "error"}) + chunk(finish_reason="stop") + DONE
    found = pass_by(twin, stream, "openai_chat")
    assert found.out == stream and found.failure is None and found.usage == Usage()


def test_the_upstreams_own_error_passes_where_clients_know_it_as_one(twin: Any) -> None:
    for name in ("openai_chat_error", "openai_chat_openrouter_error", "anthropic_overloaded"):
        found = pass_by(twin, load(name), dialect_of(name))
        assert found.out == load(name).removesuffix(DONE) and found.failure is not None


@pytest.mark.parametrize(
    "error",
    [
        data_frame({"object": "error", "message": "m", "code": 500}),
        data_frame({"message": "m", "code": 500}),
        data_frame([{"error": {"message": "m"}}]),
        b"event: error\ndata: m\n\n",
        data_frame(b"m is no JSON"),
    ],
)
def test_an_error_that_openai_clients_would_overlook_is_written_for_them(twin: Any, error: bytes) -> None:
    begin = chunk({"content": "x"}) + b": note\n\n"
    found = pass_by(twin, begin + error + chunk({"content": "y"}) + DONE, "openai_chat")
    assert found.out.startswith(begin) and len(found.out.split(b"\n\n")) == 4
    assert "m" in payloads(found.out.removeprefix(begin))[0]["error"]["message"]
    assert found.failure is not None and not ends_well("openai_chat", found.out)


def test_an_error_that_anthropic_clients_would_overlook_is_written_for_them(twin: Any) -> None:
    naked = b'data: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n'
    found = pass_by(twin, naked, "anthropic")
    assert found.out.startswith(b"event: error\ndata: ") and found.failure is not None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_last_frame_without_its_blank_line_is_given_one(twin: Any, dialect: str) -> None:
    whole = load(f"{dialect}_text")
    line = b"\r\n" if whole.endswith(b"\r\n") else b"\n"
    for missing in (line, line * 2):
        found = run(watched(twin, dialect), [whole.removesuffix(missing)])
        assert found.out.endswith(b"\n\n") or found.out.endswith(b"\r\n\n")
        assert found.out.rstrip() == whole.rstrip() and found.failure is None


def test_a_chat_stream_that_stopped_without_done_gets_it(twin: Any) -> None:
    stream = chunk({"content": "x"}) + chunk(finish_reason="stop")
    assert pass_by(twin, stream, "openai_chat").out == stream + DONE


def test_a_choice_of_several_that_passes_by_commits_and_is_no_loss(twin: Any) -> None:
    made = watched(twin, "openai_chat")
    made.feed(data_frame({"choices": [{"index": 1, "delta": {"content": "x"}}]}))
    assert made.committed and outcome(made, b"").losses == ()


def test_a_hundred_kilobytes_byte_by_byte_give_what_they_give_at_once(twin: Any) -> None:
    stream = chunk({"content": "x" * 50_000}) + chunk({"content": "é" * 25_000}) + chunk(finish_reason="stop") + DONE
    for make in (lambda: piped(twin, "openai_chat", "anthropic"), lambda: watched(twin, "openai_chat")):
        assert run(make(), [stream[i : i + 1] for i in range(len(stream))]) == run(make(), [stream])
