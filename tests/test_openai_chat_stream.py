"""Chat Completions streams: what hosts send, as an Anthropic client gets it, and what an OpenAI client is sent.

The numbers W13 to W40 are faults that were found in another gateway; each test that bears one says what must not happen again.
"""

from __future__ import annotations

from typing import Any

import pytest

from anyllm_fast.neutral.reply import CallPart, TextPart, ThinkingPart, replay
from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage
from tests.streams import (
    DONE,
    OPTIONS,
    QUIET,
    blocks,
    chunk,
    data_frame,
    deltas,
    each_twin,
    encoder,
    last,
    load,
    payloads,
    piped,
    record,
    run,
    translate,
)

pytestmark = each_twin

STOP = chunk(finish_reason="stop") + DONE


def call(index: int | None = 0, **more: Any) -> dict[str, Any]:
    """A tool_calls entry: id, name, arguments."""
    function = {name: more[name] for name in ("name", "arguments") if name in more}
    body: dict[str, Any] = {} if index is None else {"index": index}
    if "id" in more:
        body["id"] = more["id"]
    return {**body, "type": "function", "function": function}


def calls(*entries: dict[str, Any], **more: Any) -> bytes:
    return chunk({"tool_calls": list(entries)}, **more)


def usage(**counts: Any) -> bytes:
    return data_frame({"choices": [], "usage": counts})


def tools(out: bytes) -> list[tuple[str, Any]]:
    return [(block["name"], block["input"]) for block in blocks(out) if block["type"] == "tool_use"]


# -- the numbered faults -----------------------------------------------------------------------------------------------


def test_w13_usage_that_comes_after_the_finish_reason_is_sent(twin: Any) -> None:
    found = translate(twin, load("openai_chat_text"), "openai_chat")
    assert last(found.out, "message_delta")["usage"]["output_tokens"] == 11
    assert found.usage.output == 11


def test_w14_input_and_cached_tokens_are_corrected_at_the_end(twin: Any) -> None:
    counts = last(translate(twin, load("openai_chat_text"), "openai_chat").out, "message_delta")["usage"]
    assert (counts["input_tokens"], counts["cache_read_input_tokens"]) == (5, 1024)


def test_w15_a_transport_failure_is_an_error_event(twin: Any) -> None:
    made = piped(twin, "openai_chat", "anthropic")
    made.feed(chunk({"content": "half"}))
    failure = Failure("timeout", "the upstream was silent", 504)
    out = made.fail(failure)
    assert payloads(out) == [{"type": "error", "error": {"type": "timeout_error", "message": "the upstream was silent"}}]
    assert made.ended and made.failure == failure
    assert made.fail(failure) == b"" and made.feed(STOP) == b"" and made.finish() == b""


def test_w16_an_error_object_in_the_stream_is_an_error(twin: Any) -> None:
    found = translate(twin, load("openai_chat_error"), "openai_chat")
    assert payloads(found.out)[-1]["type"] == "error"
    assert b"message_stop" not in found.out and b"message_delta" not in found.out


def test_w17_a_stream_without_finish_reason_closes_its_blocks(twin: Any) -> None:
    found = translate(twin, chunk({"content": "a"}) + DONE, "openai_chat")
    assert [block["text"] for block in blocks(found.out)] == ["a"]
    assert last(found.out, "message_delta")["delta"]["stop_reason"] == "end_turn"
    cut_short = translate(twin, chunk({"content": "a"}), "openai_chat")
    assert cut_short.failure is not None and b"message_stop" not in cut_short.out


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b'{"choices":[{"delta":{"content":"x"}}]}', "x"),
        (b'{"choices":[{"index":null,"delta":{"role":"bot","content":"x"}}],"id":null,"model":7}', "x"),
        (b'{"choices":[{"delta":{"content":"x","tool_calls":{},"refusal":[]},"finish_reason":0}],"usage":"none"}', "x"),
        (b'{"ch\\u006fices":[{"delta":{"cont\\u0065nt":"x"}}]}', "x"),
        (
            b'{"choices":[{"delta":{"content":"1"}}],"choices":[{"delta":{"content":"2"},"delta":{"content":"3","content":"x"}}]}',
            "x",
        ),
        (b'{"choices":[{"delta":{"content":"x"}}, 5, null, [], "y"],"error":null}', "x"),
        (b'{"choices":[{"delta":[{"type":"text"}]}]}', ""),
        (b'{"choices":{"delta":{"content":"y"}}}', ""),
    ],
)
def test_w18_members_that_are_absent_null_or_of_a_wrong_type_cost_nothing(twin: Any, frame: bytes, text: str) -> None:
    found = translate(twin, data_frame(frame) + STOP, "openai_chat")
    assert "".join(block["text"] for block in blocks(found.out)) == text
    assert found.failure is None


def test_w19_thinking_ends_before_a_call_begins(twin: Any) -> None:
    out = translate(twin, load("openai_chat_vllm_reasoning_tools"), "openai_chat").out
    assert [block["type"] for block in blocks(out)] == ["thinking", "tool_use"]


def test_w20_text_and_calls_after_calls_get_indices_of_their_own(twin: Any) -> None:
    stream = (
        calls(call(0, id="a", name="f", arguments="{}"))
        + chunk({"content": "between"})
        + calls(call(1, id="b", name="g", arguments='{"x":1}'))
        + chunk({"content": "after"})
        + STOP
    )
    found = blocks(translate(twin, stream, "openai_chat").out)
    assert [block["type"] for block in found] == ["tool_use", "text", "tool_use", "text"]


def test_w21_empty_content_beside_reasoning_closes_nothing(twin: Any) -> None:
    stream = (
        b"".join(chunk({"content": "", "reasoning_content": word}) for word in ("one", " two")) + chunk({"content": "x"}) + STOP
    )
    found = blocks(translate(twin, stream, "openai_chat").out)
    assert [(block["type"], block.get("thinking")) for block in found] == [("thinking", "one two"), ("text", None)]


def test_w22_calls_that_all_have_index_0_stay_apart(twin: Any) -> None:
    out = translate(twin, load("openai_chat_ollama_reasoning_tools"), "openai_chat").out
    assert tools(out) == [("read", {"path": "a.txt"}), ("read", {"path": "b.txt"})]
    out = translate(twin, load("openai_chat_gemini_tools"), "openai_chat").out
    assert tools(out) == [("get_weather", {"city": "Oslo"}), ("get_weather", {"city": "Rome"})]


def test_w23_interleaved_arguments_go_to_their_own_open_block(twin: Any) -> None:
    out = translate(twin, load("openai_chat_tools_interleaved"), "openai_chat").out
    assert tools(out) == [("one", {"x": 1}), ("two", {"y": [2]})]


def test_w24_a_refusal_in_pieces_is_one_text_and_a_stop_reason(twin: Any) -> None:
    out = translate(twin, chunk({"reasoning": "hm"}) + load("openai_chat_refusal"), "openai_chat").out
    found = blocks(out)
    assert [block["type"] for block in found] == ["thinking", "text"]
    assert found[1]["text"] == "I'm sorry, I can't help with that."
    assert last(out, "message_delta")["delta"]["stop_reason"] == "refusal"


def test_w25_any_way_to_write_frames_is_read(twin: Any) -> None:
    plain = load("openai_chat_text")
    expected = translate(twin, plain, "openai_chat")
    for other in (
        plain.replace(b"data: ", b"data:"),
        plain.replace(b"\n", b"\r\n"),
        plain.replace(b"\n", b"\r"),
        plain.replace(b"\n\n", b"\n\r\n"),
        plain.replace(b'"choices"', b'\ndata: "choices"'),
        b"\xef\xbb\xbf: hello\n\nretry: 5\n" + plain,
        plain.rstrip(b"\n"),
    ):
        assert translate(twin, other, "openai_chat") == expected


def test_w26_other_choices_are_left_out_and_that_is_said(twin: Any) -> None:
    found = translate(twin, load("openai_chat_two_choices"), "openai_chat")
    assert [block["text"] for block in blocks(found.out)] == ["heads"]
    assert found.losses == ("choices",)


def test_w27_nulls_that_typed_clients_need_are_written(twin: Any) -> None:
    body = payloads(translate(twin, load("openai_chat_text"), "openai_chat").out)
    assert {"stop_reason": None, "stop_sequence": None}.items() <= body[0]["message"].items()
    assert body[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "thinking"])
def test_w29_reasoning_is_read_under_every_name_and_marked_with_it(twin: Any, field: str) -> None:
    found = blocks(translate(twin, chunk({field: "hm"}) + chunk({"content": "x"}) + STOP, "openai_chat").out)
    assert found[0] == {"type": "thinking", "thinking": "hm", "signature": f"anyllm:{field}"}


def test_w33_chat_to_chat_keeps_every_byte(twin: Any) -> None:
    for name in ("openai_chat_text", "openai_chat_two_choices", "openai_chat_web_search", "openai_chat_azure_filter"):
        assert run(twin.Watch("openai_chat", 1 << 20), [load(name)]).out == load(name)


def test_w34_a_usage_chunk_is_sent_only_when_asked_for_and_never_with_zeros(twin: Any) -> None:
    stream = load("anthropic_text")
    asked, quiet = (translate(twin, stream, "anthropic", options) for options in (OPTIONS, QUIET))
    assert payloads(asked.out)[-2]["usage"]["completion_tokens"] == 12
    assert b'"usage"' not in quiet.out and quiet.usage == asked.usage
    unknown = encoder(twin, "openai_chat")
    unknown.text(b"x")
    unknown.stop("end_turn", None)
    unknown.end()
    assert b'"usage"' not in unknown.take()


def test_w35_a_failure_in_mid_stream_is_never_followed_by_done(twin: Any) -> None:
    found = translate(twin, load("anthropic_overloaded"), "anthropic")
    assert b"[DONE]" not in found.out and b'"finish_reason":"' not in found.out
    assert payloads(found.out)[-1]["error"]["code"] == "overloaded"


def test_w37_one_stream_has_one_id_one_role_and_one_finish_reason(twin: Any) -> None:
    body = [b for b in payloads(translate(twin, load("anthropic_thinking_tools"), "anthropic").out) if b != "[DONE]"]
    assert len({b["id"] for b in body}) == 1
    choices = [b["choices"][0] for b in body if b["choices"]]
    assert sum("role" in choice["delta"] for choice in choices) == 1
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["tool_calls"]


def test_w5_an_index_of_the_upstream_allocates_nothing(twin: Any) -> None:
    found = translate(twin, calls(call(4_000_000_000, id="a", name="f", arguments="{}")) + STOP, "openai_chat")
    assert found.failure is not None and "128 tool calls" in found.failure.message


# -- calls -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frames",
    [
        [call(0, id="a", name="f", arguments=""), call(0, arguments='{"x"'), call(0, arguments=":1}")],
        [call(0, id="a"), call(0, name="f"), call(0, arguments='{"x":1}')],
        [call(0, name="f", arguments=""), call(0, id="a"), call(0, arguments='{"x":1}')],
        [call(0, arguments='{"x"'), call(0, id="a", arguments=":1"), call(0, name="f", arguments="}")],
        [call(0, id="a", name="f", arguments='{"x"'), call(0, id="a", name="f", arguments=":1}")],
        [call(None, id="a", name="f", arguments='{"x"'), call(None, arguments=":1}")],
        [call(None, id="a", name="f", arguments='{"x"'), call(None, id="a", arguments=":1}")],
        [call(3, id="a", name="f", arguments={"x": 1})],
        [call(0, id="a", name="f"), call(0, id="other", arguments='{"x":1}')],
    ],
)
def test_a_call_is_one_call_however_it_is_told(twin: Any, frames: list[dict[str, Any]]) -> None:
    reply = record(twin, b"".join(calls(frame) for frame in frames) + STOP, "openai_chat")
    assert reply.parts == [CallPart(b"a", b"f", b'{\\"x\\":1}')]
    assert reply.stop_reason == "tool_use"


def test_calls_without_index_are_told_apart_by_id_or_name(twin: Any) -> None:
    stream = calls(call(None, id="a", name="f", arguments="{}"), call(None, id="b", name="f", arguments="{}"))
    stream += calls(call(None, name="g", arguments="{")) + calls(call(None, arguments="}")) + STOP
    reply = record(twin, stream, "openai_chat")
    assert [(part.name, part.args) for part in reply.parts if isinstance(part, CallPart)] == [(b"f", b"{}")] * 2 + [(b"g", b"{}")]


def test_a_call_without_id_gets_one_that_depends_on_the_stream_alone(twin: Any) -> None:
    stream = calls(call(0, name="f", arguments="{}")) + STOP
    first, again = (record(twin, stream, "openai_chat").parts[0] for _ in range(2))
    other = record(twin, stream.replace(b"chatcmpl-up", b"chatcmpl-2"), "openai_chat").parts[0]
    assert isinstance(first, CallPart) and isinstance(other, CallPart)
    assert first == again and first.ident != other.ident
    assert first.ident.startswith(b"call_") and len(first.ident) == 29


def test_the_order_of_calls_and_text_survives_a_call_without_arguments(twin: Any) -> None:
    stream = (
        calls(call(0, id="a", name="f", arguments="")) + chunk({"content": "x"}) + calls(call(0, arguments='{"late":1}')) + STOP
    )
    found = blocks(translate(twin, stream, "openai_chat").out)
    assert [block["type"] for block in found] == ["tool_use", "text"]
    assert found[0]["input"] == {"late": 1}


def test_many_calls_are_read_and_one_more_is_refused(twin: Any) -> None:
    stream = b"".join(calls(call(i, id=f"c{i}", name="f", arguments="{}")) for i in range(128))
    made = run(piped(twin, "openai_chat", "anthropic"), [stream + STOP])
    assert len(blocks(made.out)) == 128 and made.failure is None
    more = calls(call(0, id="new", name="f", arguments="{}"))
    made = run(piped(twin, "openai_chat", "anthropic"), [stream + more + STOP])
    assert made.failure is not None and made.out.count(b"event: error") == 1


@pytest.mark.parametrize(
    ("finish", "with_call", "expected"),
    [
        ("stop", True, "tool_use"),
        ("tool_calls", True, "tool_use"),
        ("eos", True, "tool_use"),
        ("length", True, "max_tokens"),
        ("tool_calls", False, "end_turn"),
        ("function_call", False, "end_turn"),
        ("content_filter", False, "content_filter"),
        ("model_length", False, "context_window"),
        ("whatever", False, "other"),
    ],
)
def test_a_finish_reason_is_corrected_by_what_came(twin: Any, finish: str, with_call: bool, expected: str) -> None:
    content = calls(call(0, id="a", name="f", arguments="{}")) if with_call else chunk({"content": "x"})
    reply = record(twin, content + chunk(finish_reason=finish) + DONE, "openai_chat")
    assert reply.stop_reason == expected


@pytest.mark.parametrize("finish", ["error", "abort", "network_error", "insufficient_system_resource"])
def test_a_finish_reason_that_means_broken_is_a_failure(twin: Any, finish: str) -> None:
    found = translate(twin, chunk({"content": "x"}, finish_reason=finish) + DONE, "openai_chat")
    assert found.failure is not None and finish in found.failure.message


# -- thinking ----------------------------------------------------------------------------------------------------------


def test_thinking_blocks_and_reasoning_content_are_not_doubled(twin: Any) -> None:
    reply = record(twin, load("openai_chat_litellm_thinking"), "openai_chat")
    assert reply.parts[0] == ThinkingPart(b"Step one", b"EqQBCgIYAhIM")


def test_reasoning_is_sealed_once_when_something_else_follows_or_at_the_stop(twin: Any) -> None:
    reply = record(twin, chunk({"reasoning": "a"}) + chunk({"reasoning": "b"}) + STOP, "openai_chat")
    assert reply.parts == [ThinkingPart(b"ab", b"anyllm:reasoning")]
    stream = (
        chunk({"reasoning": "a"}) + chunk({"reasoning_content": "b"}) + chunk({"content": "c"}) + chunk({"reasoning": "d"}) + STOP
    )
    reply = record(twin, stream, "openai_chat")
    assert reply.parts == [
        ThinkingPart(b"a", b"anyllm:reasoning"),
        ThinkingPart(b"b", b"anyllm:reasoning_content"),
        TextPart(b"c"),
        ThinkingPart(b"d", b"anyllm:reasoning"),
    ]


def test_a_signature_of_the_upstream_is_preferred_to_our_mark(twin: Any) -> None:
    reply = record(twin, load("openai_chat_openrouter_thinking"), "openai_chat")
    assert reply.parts[0] == ThinkingPart(b"Count them.", b"ErUBCkYIBxgCIkD+abc/=")


# -- errors and ends ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "message"),
    [
        ({"error": {"message": "m", "type": "rate_limit_error", "code": None}}, "rate_limit", "m"),
        ({"error": {"message": "m", "code": 401}}, "authentication", "m"),
        ({"error": "plain"}, "api", "plain"),
        ({"object": "error", "message": "m", "code": 400, "type": "BadRequestError"}, "invalid_request", "m"),
        ({"message": "m", "type": "InternalServerError", "code": 500}, "api", "m"),
        ([{"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}}], "overloaded", "m"),
    ],
)
def test_an_error_is_known_in_every_form(twin: Any, body: Any, kind: str, message: str) -> None:
    found = translate(twin, chunk({"content": "x"}) + data_frame(body) + STOP, "openai_chat")
    assert found.failure is not None
    assert (found.failure.kind, found.failure.message) == (kind, message)
    assert payloads(found.out)[-1]["error"]["message"] == message


def test_an_event_named_error_is_one_whatever_it_holds(twin: Any) -> None:
    found = translate(twin, b"event: error\ndata: upstream connect error\n\n", "openai_chat")
    assert found.failure is not None and "upstream connect error" in found.failure.message and not found.committed


@pytest.mark.parametrize(
    "data", [b"{", b'{"a":1}x', b"<html>", b'{"choices":[}', b'{"a":"\n"}', b"12", b'"x"', b"[1]", b"{" * 200]
)
def test_a_frame_that_is_no_json_object_is_a_failure_that_says_so(twin: Any, data: bytes) -> None:
    found = translate(twin, chunk({"content": "x"}) + data_frame(data) + STOP, "openai_chat")
    assert found.failure is not None and "cannot be read" in found.failure.message
    assert data[:8].decode().split("\n")[0] in found.failure.message
    assert blocks(found.out) == [{"type": "text", "text": "x"}] and found.out.count(b"event: error") == 1


def test_text_that_is_not_sound_is_mended_and_not_lost(twin: Any) -> None:
    for broken in (b"a\xffb", b"a\\ud800b", b"a\\udfffb", b"a\xed\xa0\x80b", b"\\ud800\\u0041"):
        found = translate(twin, data_frame(b'{"choices":[{"delta":{"content":"%b"}}]}' % broken) + STOP, "openai_chat")
        assert found.failure is None
        assert "\ufffd" in blocks(found.out)[0]["text"]


def test_a_stream_with_nothing_in_it_is_a_failure(twin: Any) -> None:
    for stream in (DONE, b"", b": ping\n\n", chunk({"role": "assistant", "content": ""}) + DONE, usage(prompt_tokens=1) + DONE):
        found = translate(twin, stream, "openai_chat") if stream else run(piped(twin, "openai_chat", "anthropic"), [b""])
        assert found.failure is not None and not found.committed


def test_a_reply_without_text_that_stopped_is_a_reply(twin: Any) -> None:
    found = translate(twin, STOP, "openai_chat")
    assert found.failure is None and blocks(found.out) == [] and found.stop_reason == "end_turn"


def test_content_and_usage_after_the_finish_reason_count(twin: Any) -> None:
    stream = (
        chunk({"content": "a"}, finish_reason="stop")
        + usage(prompt_tokens=3, completion_tokens=4)
        + chunk({"content": "b"})
        + DONE
    )
    found = translate(twin, stream, "openai_chat")
    assert blocks(found.out) == [{"type": "text", "text": "ab"}]
    assert found.usage == Usage(input=3, output=4)


def test_counts_that_are_no_counts_are_not_believed(twin: Any) -> None:
    stream = usage(
        prompt_tokens=-5, completion_tokens=1.5, prompt_tokens_details=[], completion_tokens_details={"reasoning_tokens": "7"}
    )
    stream += usage(prompt_tokens=10, prompt_tokens_details={"cached_tokens": 50}, completion_tokens=10**16)
    found = translate(
        twin, chunk({"content": "x"}) + stream + usage(completion_tokens=2) + usage(completion_tokens=0) + STOP, "openai_chat"
    )
    assert found.usage == Usage(input=0, output=2, cache_read=50)


# -- what an OpenAI client is sent -------------------------------------------------------------------------------------


def test_a_chunk_is_written_as_openai_writes_it(twin: Any) -> None:
    out = translate(twin, load("anthropic_text"), "anthropic").out
    begin = (
        b'data: {"id":"chatcmpl-0123456789abcdef0123456789abcdef","object":"chat.completion.chunk","created":1700000000,'
        b'"model":"asked-for","choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},'
        b'"logprobs":null,"finish_reason":null}]}\n\n'
    )
    assert out.startswith(begin) and out.endswith(DONE)


def test_calls_interleave_as_they_come(twin: Any) -> None:
    made = encoder(twin, "openai_chat")
    made.tool(7, b"a", b"f")
    made.tool(9, b"b", b"g")
    made.args(7, b"{")
    made.args(9, b"{}")
    made.args(7, b"}")
    assert [entry["index"] for delta in deltas(made.take())[1:] for entry in delta["tool_calls"]] == [0, 1, 0, 1, 0]


def test_citations_are_sent_when_it_is_known_where_their_text_ends(twin: Any) -> None:
    out = translate(twin, load("anthropic_web_search"), "anthropic").out
    notes = [note for delta in deltas(out) for note in delta.get("annotations", ())]
    text = "".join(delta.get("content") or "" for delta in deltas(out))
    cited = notes[0]["url_citation"]
    assert text[cited["start_index"] : cited["end_index"]] == "High tide is at 4:12"
    assert (cited["url"], cited["title"], notes[0]["index"]) == ("https://example.com/tides", 'Tide "tables"', 0)


def test_a_span_is_copied_as_it_is_escaped(twin: Any) -> None:
    made = encoder(twin, "openai_chat")
    made.text(rb"\u00e9\/\ud83d\ude00" + "é".encode())
    assert rb'"content":"\u00e9\/\ud83d\ude00' + "é".encode() + b'"' in made.take()


def test_a_recorded_stream_written_again_says_the_same(twin: Any) -> None:
    reply = record(twin, load("openai_chat_vllm_reasoning_tools"), "openai_chat")
    made = encoder(twin, "openai_chat")
    replay(reply, made)
    again = record(twin, made.take(), "openai_chat")
    assert again.parts == reply.parts and again.stop_reason == reply.stop_reason
    assert again.usage == reply.usage
