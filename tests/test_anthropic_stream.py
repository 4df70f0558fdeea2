"""Anthropic Messages streams: what upstreams send, as an OpenAI client gets it, and what an Anthropic client is sent."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from anyllm_fast.dialects.order import Balance
from anyllm_fast.dialects.repair import HELD_MAX
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RedactedPart, TextPart, ThinkingPart, replay
from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage
from tests.streams import (
    DONE,
    OPTIONS,
    blocks,
    chunk,
    deltas,
    each_twin,
    encoder,
    event,
    last,
    load,
    payloads,
    piped,
    record,
    run,
    translate,
)

pytestmark = each_twin

START = event({"type": "message_start", "message": {"id": "msg_up", "model": "up", "usage": {"input_tokens": 5}}})
STOP = event({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 3}})
STOP += event({"type": "message_stop"})


def start(index: int, block: dict[str, Any]) -> bytes:
    return event({"type": "content_block_start", "index": index, "content_block": block})


def piece(index: int, kind: str, **members: Any) -> bytes:
    return event({"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}})


def stop(index: int) -> bytes:
    return event({"type": "content_block_stop", "index": index})


def block(index: int, opened: dict[str, Any], *pieces: bytes) -> bytes:
    return start(index, opened) + b"".join(pieces) + stop(index)


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_reply_is_read_block_by_block(twin: Any) -> None:
    reply = record(twin, load("anthropic_thinking_tools"), "anthropic")
    assert reply.parts == [
        ThinkingPart(b"The user wants two files.", b"EqQBCgIYAhIM1gbcDa9GJwZA2b3hGgxBdjrkzLoky3dl1pk="),
        TextPart(b"I'll read both."),
        CallPart(b"toolu_01A09q90qw90lq917835lq9", b"read", rb"{\"path\": \"a.txt\"}"),
        CallPart(b"toolu_01B19q90qw90lq917835lq9", b"list", b"{}"),
    ]
    assert reply.usage == Usage(input=4, output=89, cache_read=1800, cache_write=200, cache_write_1h=50, reasoning=30)
    assert (reply.ident, reply.model) == (b"msg_01XFDUDYJgAACzvnptvVoYEL", b"claude-sonnet-4-5-20250929")


def test_thinking_that_is_not_shown_keeps_its_signature(twin: Any) -> None:
    reply = record(twin, load("anthropic_thinking_omitted"), "anthropic")
    assert reply.parts[0] == ThinkingPart(b"", b"Er0DCkYIBRgC")


def test_two_thoughts_and_two_texts_stay_two(twin: Any) -> None:
    reply = record(twin, load("anthropic_two_thoughts"), "anthropic")
    assert reply.parts == [ThinkingPart(b"one", b"S1=="), ThinkingPart(b"two", b"S2=="), TextPart(b"a"), TextPart(b"b")]


def test_what_a_block_starts_with_is_not_lost(twin: Any) -> None:
    stream = START
    stream += block(0, {"type": "thinking", "thinking": "a", "signature": "s"}, piece(0, "thinking_delta", thinking="b"))
    stream += block(1, {"type": "text", "text": "c", "citations": [{"type": "x"}]}, piece(1, "text_delta", text="d"))
    stream += block(2, {"type": "redacted_thinking", "data": "e"})
    stream += block(3, {"type": "tool_use", "id": "i", "name": "n", "input": {"q": '"'}})
    reply = record(twin, stream + STOP, "anthropic")
    assert reply.parts == [
        ThinkingPart(b"ab", b"s"),
        TextPart(b"cd", [b'{"type":"x"}']),
        RedactedPart(b"e"),
        CallPart(b"i", b"n", rb"{\"q\":\"\\\"\"}"),
    ]
    assert reply.stop_reason == "tool_use"  # the upstream said end_turn, after a call


def test_input_that_comes_twice_counts_once(twin: Any) -> None:
    opened = {"type": "tool_use", "id": "i", "name": "n", "input": {"q": 1}}
    reply = record(twin, START + block(0, opened, piece(0, "input_json_delta", partial_json='{"q":1}')) + STOP, "anthropic")
    assert reply.parts == [CallPart(b"i", b"n", rb"{\"q\":1}")]


def test_a_block_of_the_dialect_alone_is_put_together(twin: Any) -> None:
    reply = record(twin, load("anthropic_web_search"), "anthropic")
    private = [part for part in reply.parts if isinstance(part, PrivatePart)]
    assert [part.name for part in private] == [b"server_tool_use", b"web_search_tool_result"]
    assert private[0].raw.endswith(b'"name":"web_search","input":{"query": "high tide"}}')
    unknown = record(twin, load("anthropic_unknown"), "anthropic").parts
    assert PrivatePart(b"hologram", rb'{"type":"hologram","id":"h1","frames":"abc\"d"}') in unknown


def test_the_type_in_the_data_counts_and_not_the_event_line(twin: Any) -> None:
    plain = load("anthropic_text")
    expected = translate(twin, plain, "anthropic")
    for other in (
        b"".join(line + b"\n" for line in plain.split(b"\n")[:-1] if not line.startswith(b"event:")),
        plain.replace(b"event: content_block_delta", b"event: ping"),
        plain.replace(b'{"type":"content_block_delta","index":0,', b'{"index":0,"type":"content_block_delta",'),
        plain.replace(b"\n", b"\r\n"),
        plain.replace(b"data: ", b"data:"),
    ):
        assert translate(twin, other, "anthropic") == expected


def test_counts_are_merged_and_never_fall_back_to_zero(twin: Any) -> None:
    def delta(**counts: Any) -> bytes:
        return event({"type": "message_delta", "delta": {}, "usage": counts})

    stream = START + delta(input_tokens=0, output_tokens=7) + delta(cache_read_input_tokens=2) + delta(input_tokens=6) + STOP
    assert translate(twin, stream, "anthropic").usage == Usage(input=6, output=3, cache_read=2)


@pytest.mark.parametrize("name", ["anthropic_text", "anthropic_thinking_tools", "anthropic_web_search"])
def test_a_stream_that_ends_before_message_stop_is_a_failure(twin: Any, name: str) -> None:
    frames = load(name).split(b"\n\n")
    for count in range(1, len(frames) - 1):
        stream = b"".join(frame + b"\n\n" for frame in frames[:count])
        found = run(piped(twin, "anthropic", "openai_chat"), [stream])
        assert found.failure is not None and b"[DONE]" not in found.out
        assert payloads(found.out)[-1]["error"]["type"] == "server_error"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"delta":{}}', "no type"),
        (b'{"type":null}', "no type"),
        (b"[]", "no JSON object"),
        (b"<html>", "malformed"),
        (b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"x}', "truncated"),
        (b'{"type":"content_block_delta","index":9,"delta":{"type":"input_json_delta","partial_json":"{"}}', "not started"),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}', "Overloaded"),
        (b'{"error":{"message":"naked"}}', "naked"),
    ],
)
def test_what_is_no_event_is_a_failure_that_says_so(twin: Any, body: bytes, message: str) -> None:
    found = translate(twin, START + b"data: %b\n\n" % body + STOP, "anthropic")
    assert found.failure is not None and message in found.failure.message
    assert b"[DONE]" not in found.out


def test_an_event_that_nobody_knows_is_told_and_passed_over(twin: Any) -> None:
    found = translate(twin, START + event({"type": "new_thing", "x": 1}) + b"data: [DONE]\n\n" + STOP, "anthropic")
    assert found.failure is None and found.losses == ("new_thing",)


def test_blocks_that_never_stop_are_stopped_at_the_end(twin: Any) -> None:
    stream = START + start(0, {"type": "tool_use", "id": "i", "name": "n"}) + start(1, {"type": "mcp_tool_use", "id": "m"}) + STOP
    reply = record(twin, stream, "anthropic")
    assert reply.parts[0] == CallPart(b"i", b"n", b"{}")
    assert isinstance(reply.parts[1], PrivatePart) and reply.ended


def test_too_many_open_blocks_are_refused(twin: Any) -> None:
    stream = START + b"".join(start(i, {"type": "text", "text": ""}) for i in range(129))
    found = run(piped(twin, "anthropic", "openai_chat"), [stream])
    assert found.failure is not None and "128" in found.failure.message


# -- what an Anthropic client is sent ----------------------------------------------------------------------------------


def test_nothing_is_written_before_there_is_something_to_say(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    made.start(b"id", b"model")
    made.usage(Usage(input=9, cache_read=4))
    assert made.take() == b"" and not made.started
    made.text(b"x")
    assert payloads(made.take())[0]["message"]["usage"] == {"input_tokens": 9, "output_tokens": 0, "cache_read_input_tokens": 4}
    assert made.started


def test_events_are_written_as_anthropic_writes_them(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    made.thinking(b"t")
    made.seal(b"s")
    made.text(b"x")
    made.redacted(b"r")
    made.tool(0, b"i", b"n")
    made.args(0, b"{}")
    made.usage(Usage(input=1, output=2))
    made.stop("stop_sequence", rb"\n")
    made.end()
    body = payloads(made.take())
    assert [b["type"] for b in body if b["type"] not in ("content_block_delta", "content_block_stop")] == [
        "message_start",
        *["content_block_start"] * 4,
        "message_delta",
        "message_stop",
    ]
    assert body[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert body[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "stop_sequence", "stop_sequence": "\n"},
        "usage": {"input_tokens": 1, "output_tokens": 2},
    }


def test_nothing_follows_the_end_or_an_error(twin: Any) -> None:
    for finish in (lambda made: made.end(), lambda made: made.fail(Failure("api", "x"))):
        made = encoder(twin, "anthropic")
        made.tool(0, b"i", b"n")
        made.text(b"held")
        finish(made)
        assert made.ended and made.take()
        made.text(b"late")
        made.args(0, b"{}")
        made.tool(1, b"j", b"n")
        made.seal(b"s")
        made.redacted(b"r")
        made.private(b"p", b"{}")
        made.stop("end_turn", None)
        made.end()
        made.fail(Failure("api", "again"))
        assert made.take() == b""


def test_a_call_that_is_complete_makes_room_for_the_next_at_once(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    made.tool(0, b"a", b"f")
    made.args(0, rb"{\"x\":\"}\\\"\",")
    made.tool(1, b"b", b"g")
    assert b'"name":"g"' not in made.take()
    made.args(0, rb"\"y\":[{}]}")
    assert b'"name":"g"' in made.take()
    made.text(b"t")
    assert made.take() == b""
    made.args(1, b"{}")
    assert b'"text":"t"' in made.take()


def test_what_waits_leaves_in_the_order_of_its_blocks(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    for key in (5, 6, 7):
        made.tool(key, b"i%d" % key, b"n%d" % key)
    made.text(b"one")
    made.thinking(b"two")
    made.seal(b"s")
    made.redacted(b"three")
    for span in (rb"{\"k\":", b"1}"):
        for key in (7, 6, 5):
            made.args(key, span)
    made.stop("tool_use", None)
    made.end()
    found = blocks(made.take())
    assert [b.get("name") or b["type"] for b in found] == ["n5", "n6", "n7", "text", "thinking", "redacted_thinking"]
    assert all(b["input"] == {"k": 1} for b in found[:3])


def test_calls_that_never_complete_are_written_at_the_stop(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    for key in range(3):
        made.tool(key, b"i%d" % key, b"n")
    for key in (2, 0, 1):
        made.args(key, rb"{\"half\":")
    made.stop("max_tokens", None)
    made.end()
    out = made.take()
    starts = [b["content_block"]["id"] for b in payloads(out) if b["type"] == "content_block_start"]
    assert starts == ["i0", "i1", "i2"]
    assert [b["delta"]["partial_json"] for b in payloads(out) if b["type"] == "content_block_delta"] == ['{"half":'] * 3


def test_more_than_the_bound_is_not_held(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    made.tool(0, b"a", b"f")
    made.tool(1, b"b", b"g")
    for _ in range(HELD_MAX // 65536 + 1):
        made.args(1, b"x" * 65536)
    assert made.failure is not None and made.ended and str(HELD_MAX) in made.failure.message
    assert payloads(made.take())[-1]["type"] == "error"


def test_arguments_after_a_call_was_closed_are_a_failure_unless_they_are_blank(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    made.tool(0, b"a", b"f")
    made.args(0, b"{}")
    made.text(b"x")
    made.args(0, rb" \n")
    assert made.failure is None
    made.args(0, b"{}")
    assert made.failure is not None
    unknown = encoder(twin, "anthropic")
    unknown.args(3, b"{}")
    assert unknown.failure is not None and not unknown.started


def test_nothing_counts_after_an_encoder_had_to_give_up(twin: Any) -> None:
    late = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]})
    stream = chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}]})
    stream += chunk({"content": "x"}) + late + chunk(top={"usage": {"prompt_tokens": 1, "completion_tokens": 2}}) + DONE
    found = translate(twin, stream, "openai_chat")
    assert found.failure is not None and "already complete" in found.failure.message
    assert found.usage == Usage()


def test_an_empty_text_parts_two_texts(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    for span in (b"", b"a", b"", b"", b"b"):
        made.text(span)
    made.end()
    assert [b["text"] for b in blocks(made.take())] == ["a", "b"]


def test_a_citation_goes_to_the_text_that_is_open(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    made.text(b"a")
    made.private(b"citation", b'{"type":"char_location"}')
    made.private(b"annotation", b'{"type":"url_citation","url_citation":{"url":"https://x","title":"X"}}')
    made.private(b"annotation", b'{"type":"file_citation"}')
    made.thinking(b"t")
    made.private(b"annotation", b'{"type":"url_citation","url_citation":{"url":"https://x","title":"X"}}')
    made.end()
    cited = blocks(made.take())[0]["citations"]
    assert [c["type"] for c in cited] == ["char_location", "web_search_result_location"]
    assert made.losses == ["annotation"]


def test_names_of_what_is_lost_are_told_once_and_bounded(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    for count in range(200):
        made.private(b"thing%d" % (count // 2), b"{}")
    assert made.losses == [f"thing{count}" for count in range(64)]


def test_a_recorded_stream_written_again_says_the_same(twin: Any) -> None:
    for name in ("anthropic_thinking_tools", "anthropic_two_thoughts", "anthropic_redacted", "anthropic_citations"):
        reply = record(twin, load(name), "anthropic")
        made = encoder(twin, "anthropic")
        replay(reply, made)
        again = record(twin, made.take(), "anthropic")
        assert again.parts == reply.parts and again.stop_reason == reply.stop_reason


def test_thinking_reaches_chat_clients_twice_under_one_index(twin: Any) -> None:
    thoughts = [d for d in deltas(translate(twin, load("anthropic_two_thoughts"), "anthropic").out) if "thinking_blocks" in d]
    assert [d["thinking_blocks"][0]["index"] for d in thoughts] == [0, 0, 1, 1]
    assert "".join(d.get("reasoning_content", "") for d in thoughts) == "onetwo"
    assert [d["thinking_blocks"][0].get("signature") for d in thoughts] == [None, "S1==", None, "S2=="]


def test_usage_of_the_end_is_the_whole_usage(twin: Any) -> None:
    out = translate(twin, load("openai_chat_openrouter_thinking"), "openai_chat").out
    assert last(out, "message_delta")["usage"] == {
        "input_tokens": 4,
        "output_tokens": 18,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 9},
    }


@pytest.mark.parametrize(
    ("pieces", "complete"),
    [
        ([b"{}"], True),
        ([b"{", b"}"], True),
        ([b" ", b"[", b"{}", b"]"], True),
        ([rb"{\"a\":\"}\"", b"}"], True),
        ([rb"{\"a\":\"\\\"}\"", b"}"], True),
        ([rb"{\"a\":\"\\", rb"\"}"], False),
        ([rb"{\"a\":\"\\", rb"\"\"}"], True),
        ([rb"{\u0022a\u0022:\u0022\u005c", rb"\u0022\u007d\u0022", rb"\u007D"], True),
        ([rb"{\"a\":\"\u00e9\ud83d\ude00\n\"}"], True),
        ([b"1"], False),
        ([rb"\"{}\""], False),
        ([b"}"], False),
        ([b"}{"], False),
        ([b"{{}"], False),
        ([b""], False),
    ],
)
def test_arguments_are_complete_when_their_brackets_are(twin: Any, pieces: list[bytes], complete: bool) -> None:
    balance = Balance()
    made = encoder(twin, "anthropic")
    made.tool(0, b"i", b"n")
    for span in pieces:
        balance.feed(span)
        made.args(0, span)
    made.take()
    made.text(b"x")
    assert balance.complete is complete and (made.take() != b"") is complete


def test_what_another_vendor_signed_leaves_with_its_name(twin: Any) -> None:
    for origin, tag in (("bedrock", b"anyllm:bedrock:"), ("anthropic", b""), ("", b"")):
        for dialect in ("anthropic", "openai_chat"):
            made = encoder(twin, dialect, msgspec.structs.replace(OPTIONS, origin=origin))
            made.thinking(b"hm")
            made.seal(b"S")
            made.redacted(b"D")
            made.seal(b"anyllm:reasoning")
            made.end()
            out = made.take()
            assert b'"signature":"%bS"' % tag in out and b'"data":"%bD"' % tag in out and b'"signature":"anyllm:reasoning"' in out


def test_nothing_that_one_client_lacks_keeps_a_block_open(twin: Any) -> None:
    made = encoder(twin, "anthropic")
    made.tool(0, b"c", b"f")
    made.private(b"media", b'{"media_type":"image/png","data":"AA=="}')
    made.private(b"logprobs", b"[]")
    made.args(0, b"{}")
    made.end()
    assert [block["type"] for block in blocks(made.take())] == ["tool_use", "image"]
    assert made.losses == ["logprobs"]
