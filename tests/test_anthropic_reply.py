"""anyllm_fast/dialects/anthropic_reply.py: `message` objects in and out."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from anthropic.types import Message
from hypothesis import given
from hypothesis import strategies as st

from anyllm_fast import wire
from anyllm_fast.dialects.anthropic import ANTHROPIC
from anyllm_fast.dialects.anthropic_reply import read_reply, read_usage, write_reply
from anyllm_fast.dialects.arguments import write_input
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import CallPart, PrivatePart, Recorder, RedactedPart, RefusalPart, Reply, TextPart, ThinkingPart
from anyllm_fast.neutral.usage import Usage
from tests.replies import CITED, IDENT, OPTIONS, REDACTED, THINKING, USAGE, calls, decode, span, stream

STOPS = ["end_turn", "max_tokens", "stop_sequence", "refusal", "pause_turn", "context_window"]


def read(body: Any) -> tuple[Reply, dict[str, str]]:
    losses = Losses()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(raw, losses), dict(losses)


def write(reply: Reply) -> tuple[dict[str, Any], dict[str, str]]:
    losses = Losses()
    return json.loads(write_reply(reply, OPTIONS, losses)), dict(losses)


def message(*content: Any, **members: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": list(content), **members}


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    called = draw(calls(2))
    blocks = draw(st.lists(THINKING | REDACTED | CITED, max_size=4))
    stop = "tool_use" if called else draw(st.sampled_from(STOPS))
    sequence = b"E\\n" if stop == "stop_sequence" else None
    return Reply(b"msg_" + IDENT, b"asked-for", [*blocks, *called], stop, sequence, draw(USAGE), ended=True)


@given(replies())
def test_what_is_written_reads_back_the_same(reply: Reply) -> None:
    losses = Losses()
    assert read_reply(write_reply(reply, OPTIONS, losses), losses) == reply
    assert not losses


@given(replies())
def test_the_sdk_takes_what_is_written(reply: Reply) -> None:
    Message.model_validate(write(reply)[0])


@given(replies())
def test_a_stream_of_the_reply_says_what_the_reply_says(reply: Reply) -> None:
    recorder = Recorder()
    decode(wire.AnthropicDecoder(), stream(ANTHROPIC, reply), recorder)
    whole = read_reply(write_reply(reply, OPTIONS, Losses()), Losses())
    assert joined(recorder.reply) == joined(whole)


def joined(reply: Reply) -> Reply:
    """Texts that follow one another as one: a Recorder cannot tell where one block ends and the next begins."""
    parts: list[Any] = []
    for part in reply.parts:
        if isinstance(part, TextPart) and parts and isinstance(parts[-1], TextPart):
            parts[-1] = TextPart(parts[-1].text + part.text, parts[-1].citations + part.citations)
        else:
            parts.append(part)
    reply.parts = parts
    return reply


def test_a_private_block_is_kept_whole_and_written_back() -> None:
    block = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"a": [1, {"b": "c"}]}]}
    reply, losses = read(message(block))
    assert reply.parts == [PrivatePart(b"web_search_tool_result", json.dumps(block).encode())]
    assert losses == {}
    body, losses = write(reply)
    assert body["content"] == [block]
    assert losses == {}


def test_a_block_of_the_future_is_a_private_part_too() -> None:
    reply, _ = read(message({"type": "hologram", "x": 1}))
    assert reply.parts == [PrivatePart(b"hologram", b'{"type": "hologram", "x": 1}')]


def test_members_of_blocks_that_nobody_else_has_are_announced_by_their_path() -> None:
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {}, "caller": {"type": "direct"}, "toolset_name": "browser"}
    _, losses = read(message({"type": "text", "text": "x", "citations": None, "new": 1}, call))
    assert set(losses) == {"content.0.new", "content.1.toolset_name"}


def test_members_of_the_message_that_nobody_else_has_are_parts_and_go_back_to_their_place() -> None:
    details = {"type": "refusal", "category": "bio", "explanation": None}
    reply, _ = read(message(stop_reason="refusal", stop_details=details, container=None))
    assert reply.parts == [PrivatePart(b"stop_details", json.dumps(details).encode())]
    assert write(reply)[0]["stop_details"] == details


def test_a_part_that_is_private_to_another_dialect_is_a_loss_by_its_name() -> None:
    body, losses = write(Reply(parts=[PrivatePart(b"logprobs", b'{"content":[]}'), PrivatePart(b"audio", b"[1]")]))
    assert body["content"] == []
    assert set(losses) == {"logprobs", "audio"}


@pytest.mark.parametrize(
    ("wire_reason", "reason"),
    [
        ("end_turn", "end_turn"),
        ("max_tokens", "max_tokens"),
        ("tool_use", "tool_use"),
        ("pause_turn", "pause_turn"),
        ("refusal", "refusal"),
        ("model_context_window_exceeded", "context_window"),
        ("something_new", "other"),
    ],
)
def test_every_stop_reason_has_its_word(wire_reason: str, reason: str) -> None:
    assert read(message({"type": "text", "text": "x"}, stop_reason=wire_reason))[0].stop_reason == reason


@pytest.mark.parametrize(("reason", "written"), [("content_filter", "refusal"), ("other", "end_turn"), (None, "end_turn")])
def test_reasons_that_anthropic_has_no_word_for_become_the_nearest(reason: Any, written: str) -> None:
    assert write(Reply(stop_reason=reason))[0]["stop_reason"] == written


def test_a_reply_with_calls_stops_for_them_where_the_upstream_did_not_say() -> None:
    assert write(Reply(parts=[CallPart(b"a", b"f", b"")]))[0]["stop_reason"] == "tool_use"


def test_a_stop_sequence_comes_with_its_reason_only() -> None:
    reply, _ = read(message(stop_reason="stop_sequence", stop_sequence="\n##"))
    assert (reply.stop_reason, reply.stop_sequence) == ("stop_sequence", b"\\n##")
    assert write(reply)[0]["stop_sequence"] == "\n##"
    assert read(message(stop_reason="max_tokens", stop_sequence="x"))[0].stop_sequence is None


@pytest.mark.parametrize(
    ("args", "given"),
    [
        ("", {}),
        ("  ", {}),
        ("null", {}),
        ("{}", {}),
        (' {"a": 1, "b": "\\"\\n"} ', {"a": 1, "b": '"\n'}),
        ("[1]", {"_raw": [1]}),
        ('"text"', {"_raw": "text"}),
        ("5", {"_raw": 5}),
        ('{"a":', {"_raw_error": '{"a":'}),
        ('{"a":NaN}', {"_raw_error": '{"a":NaN}'}),
        ('{"a":"\\ud800"}', {"_raw_error": '{"a":"\\ud800"}'}),
        ("[" * 5000 + "]" * 5000, {"_raw_error": "[" * 5000 + "]" * 5000}),
    ],
)
def test_arguments_become_an_object_whatever_the_model_wrote(args: str, given: Any) -> None:
    assert json.loads(write_input(span(args))) == given


def test_arguments_are_spliced_as_they_were_written() -> None:
    assert write_input(span('{"z": 1.50,  "a": 1e2}')) == b'{"z": 1.50,  "a": 1e2}'


def test_a_refusal_of_another_dialect_is_text_with_the_reason_refusal() -> None:
    body, losses = write(Reply(parts=[RefusalPart(b"No.")], stop_reason="refusal"))
    assert body["content"] == [{"type": "text", "text": "No."}]
    assert body["stop_reason"] == "refusal"
    assert losses == {}


def test_web_annotations_become_citations_and_others_are_announced() -> None:
    web = b'{"type":"url_citation","url_citation":{"url":"http://a","title":"A","start_index":0,"end_index":1}}'
    body, losses = write(Reply(parts=[TextPart(b"x", annotations=[web, b'{"type":"file_citation"}'])]))
    assert body["content"][0]["citations"] == [
        {"type": "web_search_result_location", "cited_text": "", "encrypted_index": "", "title": "A", "url": "http://a"}
    ]
    assert set(losses) == {"annotation"}


def test_usage_is_read_with_every_detail() -> None:
    usage = {
        "input_tokens": 1,
        "output_tokens": 2,
        "cache_creation_input_tokens": 30,
        "cache_read_input_tokens": 4,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 20},
        "output_tokens_details": {"thinking_tokens": 1},
        "server_tool_use": {"web_search_requests": 3, "web_fetch_requests": 0},
    }
    known = Usage(1, 2, 4, 30, 20, 1, web_searches=3)
    assert read_usage(json.dumps(message(usage=usage)).encode()) == known
    assert read(message(usage=usage))[0].usage == known
    assert write(Reply(usage=known))[0]["usage"] == usage


def test_usage_that_is_not_said_is_zero_where_the_schema_demands_it() -> None:
    assert write(Reply())[0]["usage"] == {"input_tokens": 0, "output_tokens": 0}


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"usage":5}', b'{"usage":null}', b'{"usage":{"input_tokens":"x"}}'])
def test_usage_of_anything_can_be_asked_for(body: bytes) -> None:
    assert read_usage(body) == Usage()


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"null", b'{"content":"x"}', b'{"content":[', b"<html>", b'{"a":' + b"[" * 9999]
)
def test_what_is_no_message_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_reply(body, Losses())


def test_text_that_is_not_sound_is_mended_not_refused() -> None:
    reply, _ = read(b'{"content":[{"type":"text","text":"a\xff\\ud800b"}]}')
    part = reply.parts[0]
    assert isinstance(part, TextPart)
    assert json.loads(b'"%b"' % part.text) == "a\ufffd\ufffdb"


def test_thinking_without_a_signature_is_thinking_all_the_same() -> None:
    assert read(message({"type": "thinking", "thinking": "t"}))[0].parts == [ThinkingPart(b"t", b"")]


def test_what_another_vendor_signed_leaves_with_its_name() -> None:
    reply = Reply(parts=[ThinkingPart(b"hm", b"S"), RedactedPart(b"D")])
    options = msgspec.structs.replace(OPTIONS, origin="gemini")
    content = json.loads(write_reply(reply, options, Losses()))["content"]
    assert [block.get("signature", block.get("data")) for block in content] == ["anyllm:gemini:S", "anyllm:gemini:D"]


def test_a_private_part_of_another_dialect_is_no_block_whatever_it_looks_like() -> None:
    reply = Reply(parts=[PrivatePart(b"web_search_call", b'{"type":"web_search_call"}'), PrivatePart(b"container", b"{}")])
    losses = Losses()
    written = json.loads(write_reply(reply, msgspec.structs.replace(OPTIONS, origin="openai_responses"), losses))
    assert written["content"] == [] and "container" not in written
    assert {path for path, _ in losses} == {"web_search_call", "container"}
