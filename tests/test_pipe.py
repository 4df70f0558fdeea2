"""From upstream bytes to client bytes: when a reply is committed, how it ends, and what passes by untouched."""

from __future__ import annotations

import random
from typing import Any

import pytest

from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage
from tests.streams import (
    DIALECTS,
    DONE,
    OTHER,
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
    run,
    watched,
)

pytestmark = each_twin

GOOD = [name for name in corpus() if not any(word in name for word in ("error", "overloaded", "bare_host"))]
CUT = Failure("api", "connection reset", 502)


def both(twin: Any, dialect: str, max_frame: int = 1 << 20) -> list[Any]:
    """A translating pipe and a bypass for one upstream dialect."""
    return [piped(twin, dialect, OTHER[dialect], max_frame=max_frame), watched(twin, dialect, max_frame)]


def ends_well(out: bytes) -> bool:
    return b"[DONE]" in out or b'"type":"message_stop"' in out


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
    ],
)
def test_a_reply_is_committed_by_the_first_thing_that_a_client_acts_on(
    twin: Any, dialect: str, before: bytes, commits: bytes
) -> None:
    for made in both(twin, dialect):
        made.feed(before)
        assert not made.committed and not made.ended
        made.feed(commits)
        assert made.committed


def test_a_block_that_only_starts_commits_a_reply_that_passes_by(twin: Any) -> None:
    made = watched(twin, "anthropic")
    made.feed(event({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}))
    assert made.committed  # a model that thinks in silence has begun to answer


def test_an_error_before_anything_else_commits_nothing_and_is_known_with_its_status(twin: Any) -> None:
    for name, status in (("openai_chat_error_first", 429), ("anthropic_error_first", 429), ("openai_chat_gemini_error", 503)):
        for made in both(twin, dialect_of(name)):
            run(made, [load(name)])
            assert not made.committed and made.ended
            assert made.failure is not None and made.failure.status == status


# -- cuts --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_a_stream_cut_anywhere_never_ends_well_unless_it_was_complete(twin: Any, name: str) -> None:
    data = load(name).rstrip(b"\n")
    finished = data.find(b'"finish_reason":"')  # at some hosts the last thing that is said, so it is enough
    complete = len(data) if dialect_of(name) == "anthropic" else data.find(b"\n\n", finished)
    for at in range(0, len(data), 7 if twin.name == "python" else 1):
        for made in both(twin, dialect_of(name)):
            found = run(made, [data[:at]])
            assert found.ended
            if found.failure is None:
                assert at >= complete
            else:
                assert not ends_well(found.out)
                assert b'"error"' in found.out.split(b"\n\n")[-2]


@pytest.mark.parametrize("name", GOOD)
def test_a_transport_failure_anywhere_ends_with_the_dialects_error(twin: Any, name: str) -> None:
    data = load(name)
    for at in range(0, len(data) - len(data) // 5, 11):
        for made in both(twin, dialect_of(name)):
            out = made.feed(data[:at])
            assert not made.ended
            error = made.fail(CUT)
            assert payloads(error)[-1]["error"]["message"] == "connection reset"
            assert made.ended and made.failure == CUT and not ends_well(error)
            assert out == b"" or out.endswith(b"\n\n")
            assert made.feed(data[at:]) == made.finish() == made.fail(CUT) == b""


def test_what_was_used_is_known_when_the_transport_fails(twin: Any) -> None:
    made = piped(twin, "anthropic", "openai_chat")
    made.feed(load("anthropic_thinking_tools")[:900])
    made.fail(CUT)
    assert made.usage.cache_read == 1800


def test_nothing_follows_the_terminator(twin: Any) -> None:
    for dialect, terminated in (("openai_chat", load("openai_chat_text")), ("anthropic", load("anthropic_text"))):
        for made in both(twin, dialect):
            once = made.feed(terminated + terminated + b"data: junk")
            again = both(twin, dialect)[0 if type(made).__name__ == "Pipe" else 1]
            assert once == again.feed(terminated)
            assert made.feed(b"data: {}\n\n") == made.finish() == made.fail(CUT) == b""
            assert made.failure is None


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_frame_over_the_bound_is_a_failure_that_names_the_bound(twin: Any, dialect: str) -> None:
    name = "openai_chat_text" if dialect == "openai_chat" else "anthropic_text"
    first = load(name)[: load(name).index(b"\n\n", load(name).index(b"Hel")) + 2]
    for made in both(twin, dialect, max_frame=600):
        out = made.feed(first)
        for _ in range(10):
            out += made.feed(b"data: " + b"x" * 100)
        assert made.ended and made.failure is not None and "600 bytes" in made.failure.message
        assert b"600 bytes" in out and b"xxxx" not in out and not ends_well(out)


@pytest.mark.parametrize(
    "body", [b"<html>502 Bad Gateway</html>", b'{"choices":[{"message":{"content":"x"}}]}', b"", b"\x1f\x8b\x08\x00"]
)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_body_that_is_no_stream_is_a_failure(twin: Any, dialect: str, body: bytes) -> None:
    for made in both(twin, dialect):
        found = run(made, [body])
        assert found.failure is not None and not found.committed and not ends_well(found.out)


# -- passing by --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_a_good_stream_passes_byte_for_byte(twin: Any, name: str) -> None:
    found = pass_by(twin, load(name), dialect_of(name))
    assert found.out == load(name) + (b"" if b"[DONE]" in load(name) or dialect_of(name) == "anthropic" else DONE)
    assert found.failure is None and found.losses == ()


def test_a_chunk_that_ends_on_a_frame_is_returned_itself(twin: Any) -> None:
    for name in ("openai_chat_text", "anthropic_web_search"):
        made = watched(twin, dialect_of(name))
        for frame in load(name).split(b"\n\n")[:-1]:
            data = frame + b"\n\n"
            assert made.feed(data) is data


def test_half_a_frame_never_leaves(twin: Any) -> None:
    dice = random.Random(3)
    for name in GOOD:
        data = load(name)
        for _ in range(10):
            made = watched(twin, dialect_of(name))
            sent = b""
            for part in cut(data, dice):
                sent += made.feed(part)
                assert sent == b"" or sent.endswith((b"\n\n", b"\r\n\r\n"))
                assert data.startswith(sent.removesuffix(DONE))


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
    assert found.failure is not None and not ends_well(found.out)


def test_an_error_that_anthropic_clients_would_overlook_is_written_for_them(twin: Any) -> None:
    naked = b'data: {"type":"error","error":{"type":"overloaded_error","message":"m"}}\n\n'
    found = pass_by(twin, naked, "anthropic")
    assert found.out.startswith(b"event: error\ndata: ") and found.failure is not None


def test_a_last_frame_without_its_blank_line_is_given_one(twin: Any) -> None:
    for name in ("openai_chat_text", "anthropic_text"):
        whole = load(name)
        for missing in (b"\n", b"\n\n"):
            found = pass_by(twin, whole.removesuffix(missing), dialect_of(name))
            assert found.out == whole and found.failure is None


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
