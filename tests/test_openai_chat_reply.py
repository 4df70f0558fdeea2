"""anyllm_fast/dialects/openai_chat_reply.py: `chat.completion` objects in and out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from anyllm_fast import wire
from anyllm_fast.dialects.openai_chat import OPENAI_CHAT
from anyllm_fast.dialects.openai_chat_reply import read_reply, write_reply
from anyllm_fast.dialects.openai_chat_usage import read_usage
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import (
    CallPart,
    PrivatePart,
    Recorder,
    RedactedPart,
    RefusalPart,
    Reply,
    TextPart,
    ThinkingPart,
)
from anyllm_fast.neutral.usage import Usage
from tests.replies import IDENT, NOTED, OPTIONS, REDACTED, REFUSAL, THINKING, USAGE, calls, decode, stream


def read(body: Any) -> tuple[Reply, dict[str, str]]:
    losses = Losses()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(raw, losses), dict(losses)


def write(reply: Reply) -> tuple[dict[str, Any], dict[str, str]]:
    losses = Losses()
    return json.loads(write_reply(reply, OPTIONS, losses)), dict(losses)


def completion(message: dict[str, Any] | None = None, finish: Any = "stop", **members: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **(message or {})}, "finish_reason": finish}
    choice |= members.pop("choice", {})
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "m", "choices": [choice], **members}


def call(ident: str | None, name: str, arguments: Any = "{}") -> dict[str, Any]:
    return {"id": ident, "type": "function", "function": {"name": name, "arguments": arguments}}


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """What one completion can say: thinking first, one text, a refusal, calls."""
    thoughts = draw(st.lists(THINKING | REDACTED, max_size=3))
    texts = draw(st.lists(NOTED, max_size=1))
    refusals = draw(st.lists(REFUSAL, max_size=1))
    called = draw(calls(3))
    if called:
        stop = "tool_use"
    else:
        stop = "refusal" if refusals else draw(st.sampled_from(["end_turn", "max_tokens", "content_filter", "stop_sequence"]))
    sequence = b"E\\n" if stop == "stop_sequence" else None
    parts = [*thoughts, *texts, *refusals, *called]
    return Reply(b"chatcmpl-" + IDENT, b"asked-for", parts, stop, sequence, draw(USAGE), ended=True)


@given(replies())
def test_what_is_written_reads_back_the_same(reply: Reply) -> None:
    losses = Losses()
    assert read_reply(write_reply(reply, OPTIONS, losses), losses) == reply
    assert not losses


@given(replies())
def test_the_sdk_takes_what_is_written(reply: Reply) -> None:
    ChatCompletion.model_validate(write(reply)[0])


@given(replies())
def test_a_stream_of_the_reply_says_what_the_reply_says(reply: Reply) -> None:
    recorder = Recorder()
    decode(wire.ChatDecoder(), stream(OPENAI_CHAT, reply), recorder)
    for part in recorder.reply.parts:
        if isinstance(part, TextPart):
            part.annotations = [without_index(raw) for raw in part.annotations]
    whole = read_reply(write_reply(reply, OPTIONS, Losses()), Losses())
    for part in whole.parts:
        if isinstance(part, TextPart):
            part.annotations = [without_index(raw) for raw in part.annotations]
    assert recorder.reply == whole


def without_index(annotation: bytes) -> Any:
    """Streamed annotations are numbered, because SDKs merge list entries by their index."""
    value = json.loads(annotation)
    value.pop("index", None)
    return value


# -- content -----------------------------------------------------------------------------------------------------------


def test_content_in_parts_is_read_part_by_part() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}, {"type": "output_text", "text": "b"}]
    reply, _ = read(completion({"content": [*content, {"type": "image_url", "image_url": {"url": "u"}}]}))
    assert reply.parts == [
        TextPart(b"a"),
        RefusalPart(b"no"),
        TextPart(b"b"),
        PrivatePart(b"content.image_url", b'{"type": "image_url", "image_url": {"url": "u"}}'),
    ]


def test_texts_are_joined_and_citations_keep_their_place_in_the_whole() -> None:
    cited = b'{"type":"web_search_result_location","url":"http://a","title":"A","cited_text":"q","encrypted_index":"E"}'
    body, losses = write(Reply(parts=[TextPart("é\\n😀".encode()), TextPart(b"b\\u00e9c", [cited])]))
    message = body["choices"][0]["message"]
    assert message["content"] == "é\n😀béc"
    place = message["annotations"][0]["url_citation"]
    assert message["content"][place["start_index"] : place["end_index"]] == "béc"
    assert (place["url"], place["title"], place["cited_text"], place["encrypted_index"]) == ("http://a", "A", "q", "E")
    assert losses == {}


def test_citations_of_documents_are_announced() -> None:
    _, losses = write(Reply(parts=[TextPart(b"x", [b'{"type":"char_location","cited_text":"x"}'])]))
    assert set(losses) == {"citation"}


def test_a_message_without_text_has_null_content() -> None:
    message = write(Reply(parts=[CallPart(b"a", b"f", b"")]))[0]["choices"][0]["message"]
    assert message["content"] is None
    assert message["tool_calls"][0]["function"]["arguments"] == "{}"


def test_further_choices_are_announced() -> None:
    body = completion({"content": "a"})
    body["choices"] += [{"index": 1, "message": {"content": "b"}}, {"index": 2, "message": {"content": "c"}}]
    reply, losses = read(body)
    assert reply.parts == [TextPart(b"a")]
    assert set(losses) == {"choices.1", "choices.2"}


# -- thinking ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_plain_reasoning_is_marked_with_the_field_that_it_came_in(field: str) -> None:
    reply, losses = read(completion({"content": "x", field: "hm"}))
    assert reply.parts[0] == ThinkingPart(b"hm", b"anyllm:" + field.encode())
    assert losses == {}


def test_reasoning_said_twice_is_read_once() -> None:
    reply, _ = read(completion({"content": "x", "reasoning": "hm", "reasoning_content": "hm"}))
    assert reply.parts == [ThinkingPart(b"hm", b"anyllm:reasoning_content"), TextPart(b"x")]


def test_thinking_blocks_win_over_the_plain_field_where_they_have_the_text() -> None:
    blocks = [{"type": "thinking", "thinking": "hm", "signature": "S"}, {"type": "redacted_thinking", "data": "D"}]
    reply, _ = read(completion({"reasoning_content": "hm", "thinking_blocks": blocks}))
    assert reply.parts == [ThinkingPart(b"hm", b"S"), RedactedPart(b"D")]


def test_thinking_blocks_without_text_leave_it_to_the_plain_field() -> None:
    reply, _ = read(completion({"reasoning_content": "hm", "thinking_blocks": [{"type": "redacted_thinking", "data": "D"}]}))
    assert reply.parts == [ThinkingPart(b"hm", b"anyllm:reasoning_content"), RedactedPart(b"D")]


def test_a_signature_of_openrouter_seals_the_reasoning_and_what_is_encrypted_is_private() -> None:
    details = [{"type": "reasoning.text", "text": "hm", "signature": "S"}, {"type": "reasoning.encrypted", "data": "D"}]
    reply, _ = read(completion({"reasoning": "hm", "reasoning_details": details}))
    assert reply.parts == [
        ThinkingPart(b"hm", b"S"),
        PrivatePart(b"reasoning_details", b'{"type": "reasoning.encrypted", "data": "D"}'),
    ]


# -- calls -------------------------------------------------------------------------------------------------------------


def test_a_call_without_an_id_gets_one_that_is_always_the_same_and_its_own() -> None:
    body = completion({"tool_calls": [call(None, "f"), call("", "f"), call("c", "f")]}, "tool_calls")
    first, again = read(body)[0].parts, read(body)[0].parts
    assert first == again
    idents = [part.ident for part in first if isinstance(part, CallPart)]
    assert len(set(idents)) == 3
    assert idents[2] == b"c"
    other = read({**body, "id": "chatcmpl-2"})[0].parts[0]
    assert isinstance(other, CallPart)
    assert other.ident not in idents


def test_arguments_may_be_an_object_or_nothing() -> None:
    reply, _ = read(completion({"tool_calls": [call("a", "f", {"x": "\n"}), call("b", "g", None)]}))
    assert reply.parts == [CallPart(b"a", b"f", b'{\\"x\\": \\"\\\\n\\"}'), CallPart(b"b", b"g", b"")]


def test_a_custom_call_carries_its_text_as_the_member_input() -> None:
    reply, _ = read(completion({"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "f", "input": 'x"\n\\'}}]}))
    part = reply.parts[0]
    assert isinstance(part, CallPart)
    assert json.loads(json.loads(b'"%b"' % part.args)) == {"input": 'x"\n\\'}


def test_the_function_call_of_old_is_a_call() -> None:
    reply, losses = read(completion({"function_call": {"name": "f", "arguments": "{}"}}, "function_call"))
    part = reply.parts[0]
    assert isinstance(part, CallPart)
    assert (part.name, part.args, reply.stop_reason, losses) == (b"f", b"{}", "tool_use", {})


# -- stop --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "finish", "choice", "reason"),
    [
        ({"content": "x"}, "stop", {}, "end_turn"),
        ({"content": "x"}, "length", {}, "max_tokens"),
        ({"content": "x"}, "content_filter", {}, "content_filter"),
        ({"content": "x"}, "tool_calls", {}, "end_turn"),
        ({"content": "x"}, "eos", {}, "other"),
        ({"content": "x"}, None, {}, "end_turn"),
        ({"tool_calls": [call("a", "f")]}, "stop", {}, "tool_use"),
        ({"tool_calls": [call("a", "f")]}, None, {}, "tool_use"),
        ({"tool_calls": [call("a", "f")]}, "length", {}, "max_tokens"),
        ({"refusal": "no"}, "stop", {}, "refusal"),
        ({"content": "x"}, "stop", {"stop_reason": 128009}, "end_turn"),
        ({"content": "x"}, "stop", {"stop_reason": "END"}, "stop_sequence"),
    ],
)
def test_why_it_stopped_agrees_with_what_is_there(message: Any, finish: Any, choice: Any, reason: str) -> None:
    assert read(completion(message, finish, choice=choice))[0].stop_reason == reason


def test_a_reply_that_the_upstream_broke_off_is_no_reply() -> None:
    with pytest.raises(ValueError, match="broke"):
        read(completion({"content": "half"}, "error"))


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("content_filter", "content_filter"),
        ("pause_turn", "length"),
        ("context_window", "length"),
        ("other", "stop"),
        (None, "stop"),
    ],
)
def test_every_reason_has_a_finish_reason(reason: Any, finish: str) -> None:
    assert write(Reply(stop_reason=reason))[0]["choices"][0]["finish_reason"] == finish


def test_a_stop_sequence_goes_out_as_vllm_says_it() -> None:
    body, _ = write(Reply(stop_reason="stop_sequence", stop_sequence=b"E\\n"))
    assert body["choices"][0]["stop_reason"] == "E\n"


# -- private members and usage -----------------------------------------------------------------------------------------


def test_members_that_nobody_else_has_are_parts_and_go_back_to_their_place() -> None:
    logprobs = {"content": [{"token": "x", "logprob": -0.5, "bytes": None, "top_logprobs": []}], "refusal": None}
    audio = {"id": "a", "data": "AA==", "expires_at": 1, "transcript": "t"}
    body = completion({"content": "x", "audio": audio}, choice={"logprobs": logprobs}, metadata={"a": "b"})
    reply, losses = read(body)
    assert losses == {}
    again, losses = write(reply)
    assert losses == {}
    assert again["choices"][0]["logprobs"] == logprobs
    assert again["choices"][0]["message"]["audio"] == audio
    assert again["metadata"] == {"a": "b"}


def test_members_that_say_nothing_are_no_losses() -> None:
    body = completion({"content": "x", "tool_calls": [], "audio": None}, service_tier="flex", system_fingerprint="fp", x=None)
    assert read(body)[0].parts == [TextPart(b"x")]


def test_a_part_that_is_private_to_another_dialect_is_a_loss_by_its_name() -> None:
    _, losses = write(Reply(parts=[PrivatePart(b"server_tool_use", b'{"type":"server_tool_use"}')]))
    assert set(losses) == {"server_tool_use"}


def test_prompt_tokens_are_the_sum_of_three_and_are_taken_apart_again() -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 9,
        "total_tokens": 1009,
        "prompt_tokens_details": {"cached_tokens": 600, "cache_write_tokens": 300, "audio_tokens": 7},
        "completion_tokens_details": {"reasoning_tokens": 4, "audio_tokens": 1},
    }
    known = Usage(100, 9, 600, 300, -1, 4, 7, 1)
    body = completion({"content": "x"}, usage=usage)
    assert read(body)[0].usage == known
    assert read_usage(json.dumps(body).encode()) == known
    assert write(Reply(usage=known))[0]["usage"] == usage


def test_usage_that_is_not_known_is_not_made_up() -> None:
    assert "usage" not in write(Reply())[0]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b'{"usage":5}', b'{"usage":null}', b'{"usage":{"prompt_tokens":"x"}}'])
def test_usage_of_anything_can_be_asked_for(body: bytes) -> None:
    assert read_usage(body) == Usage()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"choices":[]}',
        b'{"choices":[{}]}',
        b'{"choices":[{"message":null}]}',
        b"<html>",
        b'{"a":' + b"[" * 9999,
    ],
)
def test_what_is_no_completion_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_reply(body, Losses())


def test_text_that_is_not_sound_is_mended_not_refused() -> None:
    part = read(b'{"choices":[{"message":{"content":"a\xff\\udfffb"}}]}')[0].parts[0]
    assert isinstance(part, TextPart)
    assert json.loads(b'"%b"' % part.text) == "a\ufffd\ufffdb"
