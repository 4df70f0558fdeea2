"""OpenAI Responses streams as they are read: what upstreams send, as an Anthropic client gets it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from anyllm_fast.dialects.openai_responses import OPENAI_RESPONSES
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RefusalPart, TextPart, ThinkingPart
from anyllm_fast.neutral.usage import Usage
from tests.streams import (
    blocks,
    corpus,
    dialect_of,
    each_twin,
    event,
    load,
    piped,
    record,
    run,
    translate,
)

pytestmark = each_twin

OTHERS = [name for name in corpus() if dialect_of(name) in ("anthropic", "openai_chat")]
FAILS = ("cut", "error_first", "failed_first", "failed_midway")
GOOD = [name for name in corpus("openai_responses") if not name.endswith(FAILS)]
START = event({"type": "response.created", "response": {"id": "resp_up", "model": "up", "output": []}})


def done(output: Any = (), status: str = "completed", **more: Any) -> bytes:
    return event({"type": f"response.{status}", "response": {"id": "resp_up", "status": status, "output": output, **more}})


def added(index: int, **item: Any) -> bytes:
    return event({"type": "response.output_item.added", "output_index": index, "item": item})


def finished(index: int, **item: Any) -> bytes:
    return event({"type": "response.output_item.done", "output_index": index, "item": item})


def piece(kind: str, index: int, text: str, **more: Any) -> bytes:
    return event({"type": f"response.{kind}.delta", "output_index": index, "item_id": "i", "delta": text, **more})


MESSAGE = {"id": "i", "type": "message", "role": "assistant"}
CALL = {"id": "i", "type": "function_call", "call_id": "c", "name": "f"}


# -- reading -----------------------------------------------------------------------------------------------------------


def test_a_reply_is_read_item_by_item(twin: Any) -> None:
    reply = record(twin, load("openai_responses_reasoning_tool"), "openai_responses")
    assert reply.parts == [
        ThinkingPart(rb"**Looking at files**\n\nThen I read them.", b"rs_68a1r0:gAAAAABo9_Qx=="),
        CallPart(b"call_A1", b"read", rb"{\"path\":\"a.txt\"}"),
    ]
    assert reply.usage == Usage(input=2200, output=89, cache_read=1800, cache_write=0, reasoning=64)
    assert (reply.ident, reply.model, reply.stop_reason) == (b"resp_68a1c0ffee", b"gpt-5.1-2025-11-13", "tool_use")


def test_calls_whose_pieces_are_mixed_are_told_apart(twin: Any) -> None:
    reply = record(twin, load("openai_responses_parallel_interleaved"), "openai_responses")
    assert reply.parts[0] == ThinkingPart(b"", b"rs_68a1r1:gAAAAABo9_Silent")
    assert reply.parts[-2:] == [
        CallPart(b"call_B1", b"get_weather", rb"{\"city\":\"Oslo\"}"),
        CallPart(b"call_B2", b"get_time", rb"{\"zone\":\"UTC\"}"),
    ]
    assert PrivatePart(b"message.phase", b'"commentary"') in reply.parts


def test_a_free_form_call_is_a_function_with_one_argument(twin: Any) -> None:
    reply = record(twin, load("openai_responses_custom_namespaced"), "openai_responses")
    text = '*** Begin Patch\n*** Add File: "a\\b"\n+{}\n*** End Patch'
    assert isinstance(reply.parts[0], CallPart)
    args = msgspec.json.decode(b'"%b"' % reply.parts[0].args)
    assert msgspec.json.decode(args) == {"input": text}
    assert reply.parts[1] == CallPart(b"call_C2", b"multi_agent_v1__spawn", b"{}")


def test_what_comes_only_when_it_is_done_comes_once(twin: Any) -> None:
    reply = record(twin, load("openai_responses_done_only"), "openai_responses")
    assert reply.parts == [
        ThinkingPart(b"Think."),
        TextPart(b"Done only."),
        TextPart(b" Twice."),
        CallPart(b"call_h", b"run", rb"{\"x\":\"\\\"\"}"),
        CallPart(b"call_h2", b"exec", rb"{\"input\":\"ls \\\"-l\\\"\\n\"}"),
    ]
    assert record(twin, load("openai_responses_last_only"), "openai_responses").parts == [TextPart(b"All at once.")]


@pytest.mark.parametrize("name", GOOD)
def test_leaving_out_the_deltas_or_the_finished_forms_changes_nothing(twin: Any, name: str) -> None:
    frames = [frame + b"\n\n" for frame in load(name).split(b"\n\n")[:-1]]
    expected = record(twin, load(name), "openai_responses")
    for without in (b".delta", b".added", b"text.done", b"part.done", b"summary_part.done", b"arguments.done", b"input.done"):
        kept = [frame for frame in frames if without not in frame.partition(b"\n")[0]]
        found = record(twin, b"".join(kept), "openai_responses")
        if without == b".added" and name.endswith(("custom_namespaced", "parallel_interleaved", "reasoning_tool")):
            assert found.failure is not None  # arguments of a call that nobody began
            continue
        if without == b".delta" and name.endswith("web_search"):
            continue  # its annotations come before its text
        for reply in (found, expected):
            for part in reply.parts:
                if isinstance(part, TextPart):
                    part.logprobs = [b",".join(raw.strip(b"[]") for raw in part.logprobs)]
        assert found == msgspec.structs.replace(expected, model=found.model, ident=found.ident)


def test_the_type_in_the_data_counts_and_the_event_line_where_there_is_none(twin: Any) -> None:
    plain = load("openai_responses_text")
    expected = translate(twin, plain, "openai_responses")
    lines = plain.split(b"\n")[:-1]
    for other in (
        b"".join(line + b"\n" for line in lines if not line.startswith(b"event:")),
        plain.replace(b"event: response.output_text.delta", b"event: error"),
        plain.replace(b'{"type":"response.output_text.delta",', b"{"),
        plain.replace(b"\n", b"\r\n"),
        plain.replace(b"data: ", b"data:"),
    ):
        assert translate(twin, other, "openai_responses") == expected


def test_events_that_say_nothing_new_or_are_unknown_are_passed_over(twin: Any) -> None:
    plain = load("openai_responses_text")
    frames = [frame + b"\n\n" for frame in plain.split(b"\n\n")[:-1]]
    news = event({"type": "response.hologram.delta", "delta": "x"}) + event({"type": "keepalive"}) + b"data: [DONE]\n\n"
    doubled = b"".join((frame * 2 if b"item.done" in frame or b".text.done" in frame else frame) + news for frame in frames)
    assert record(twin, doubled, "openai_responses") == record(twin, plain, "openai_responses")


@pytest.mark.parametrize("name", GOOD)
def test_a_stream_that_ends_before_its_last_event_is_a_failure(twin: Any, name: str) -> None:
    frames = load(name).split(b"\n\n")
    for count in range(1, len(frames) - 1):
        found = run(piped(twin, "openai_responses", "anthropic"), [b"".join(frame + b"\n\n" for frame in frames[:count])])
        assert found.failure is not None and b"message_stop" not in found.out


@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        (b'{"delta":"x"}', "no type", "api"),
        (b"[]", "no JSON object", "api"),
        (b"<html>", "malformed", "api"),
        (b'{"type":"response.function_call_arguments.delta","output_index":9,"delta":"{"}', "not begun", "api"),
        (b'{"type":"error","code":"rate_limit_exceeded","message":"slow"}', "slow", "rate_limit"),
        (b'{"type":"error","error":{"code":"invalid_prompt","message":"bad"}}', "bad", "invalid_request"),
        (b'{"type":"response.failed","response":{"error":{"code":"server_is_overloaded","message":"o"}}}', "o", "overloaded"),
        (b'{"type":"response.failed","response":{"status":"failed","error":null}}', "status failed", "api"),
        (b'{"type":"response.completed","response":{"status":"cancelled"}}', "status cancelled", "api"),
        (b'{"error":{"message":"naked"}}', "naked", "api"),
    ],
)
def test_what_is_no_good_event_is_a_failure_that_says_so(twin: Any, body: bytes, message: str, kind: str) -> None:
    found = translate(twin, START + b"data: %b\n\n" % body + done(), "openai_responses")
    assert found.failure is not None and message in found.failure.message and found.failure.kind == kind


@pytest.mark.parametrize(
    ("reason", "stop"), [("max_output_tokens", "max_tokens"), ("content_filter", "content_filter"), ("steered", "pause_turn")]
)
def test_a_reply_that_is_not_whole_says_why(twin: Any, reason: str, stop: str) -> None:
    stream = START + piece("output_text", 0, "x") + done(status="incomplete", incomplete_details={"reason": reason})
    assert record(twin, stream, "openai_responses").stop_reason == stop


def test_refusals_annotations_images_and_logprobs_have_their_own_words(twin: Any) -> None:
    refusal = record(twin, load("openai_responses_refusal"), "openai_responses")
    assert (refusal.parts, refusal.stop_reason) == ([RefusalPart(b"I can't help with that.")], "refusal")
    searched = record(twin, load("openai_responses_web_search"), "openai_responses")
    text = next(part for part in searched.parts if isinstance(part, TextPart))
    assert msgspec.json.decode(text.annotations[0])["url_citation"]["url"] == "https://example.com/tides"
    assert [part.name for part in searched.parts if isinstance(part, PrivatePart)] == [
        b"web_search_call",
        b"annotation.file_citation",
    ]
    shells = record(twin, load("openai_responses_shells"), "openai_responses").parts
    assert [part.name for part in shells if isinstance(part, CallPart)] == [b"local_shell", b"shell", b"apply_patch"]
    assert shells[-1] == PrivatePart(b"media", b'{"media_type":"image/webp","data":"aGk="}')
    probed = record(twin, load("openai_responses_logprobs"), "openai_responses").parts[0]
    assert isinstance(probed, TextPart) and len(probed.logprobs) == 2


def test_a_shell_that_openai_runs_is_no_call(twin: Any) -> None:
    item = {"type": "shell_call", "call_id": "c", "action": {"commands": ["ls"]}, "environment": {"type": "container_reference"}}
    reply = record(twin, START + finished(0, id="sh", **item) + done(), "openai_responses")
    assert [type(part) for part in reply.parts] == [PrivatePart] and reply.stop_reason == "end_turn"


def test_items_that_never_end_are_ended_with_the_reply(twin: Any) -> None:
    stream = START + added(0, id="r", type="reasoning") + piece("reasoning_text", 0, "t") + added(1, **CALL)
    stream += added(2, id="x", type="custom_tool_call", call_id="d", name="g") + added(3, id="w", type="web_search_call")
    reply = record(twin, stream + done(), "openai_responses")
    assert reply.parts == [
        ThinkingPart(b"t"),
        CallPart(b"c", b"f", b"{}"),
        CallPart(b"d", b"g", rb"{\"input\":\"\"}"),
        PrivatePart(b"web_search_call", b"null"),
    ]


def test_pieces_without_an_index_belong_to_the_item_with_their_id_or_the_last(twin: Any) -> None:
    def bare(kind: str, **members: Any) -> bytes:
        return event({"type": f"response.{kind}", **members})

    stream = START + bare("output_item.added", item={**CALL, "id": "a"}) + bare("output_item.added", item={**CALL, "id": "b"})
    stream += bare("function_call_arguments.delta", item_id="a", delta="{") + bare("function_call_arguments.delta", delta="[")
    stream += bare("function_call_arguments.delta", item_id="a", delta="}") + bare("function_call_arguments.delta", delta="]")
    reply = record(twin, stream + done(), "openai_responses")
    assert [part.args for part in reply.parts if isinstance(part, CallPart)] == [b"{}", b"[]"]


def test_too_many_open_items_are_refused(twin: Any) -> None:
    stream = START + b"".join(added(index, **{**MESSAGE, "id": f"i{index}"}) for index in range(129))
    found = run(piped(twin, "openai_responses", "anthropic"), [stream])
    assert found.failure is not None and "128" in found.failure.message


def test_a_piece_like_the_last_one_is_read_by_its_own_words(twin: Any) -> None:
    """Frames that differ in text, number and padding only are not parsed: nothing else may be taken for one."""

    def text(number: Any, span: str, **more: Any) -> bytes:
        return b'data: {"type":"response.output_text.delta","sequence_number":%b,"output_index":0,"delta":"%b","x":1}\n\n' % (
            number,
            span.encode(),
        )

    stream = START + added(0, **MESSAGE) + text(b"1", "a") + text(b"22", "b") + text(b"3", r"\u00e9") + text(b"4", "")
    assert record(twin, stream + done(), "openai_responses").parts == [TextPart(rb"ab\u00e9")]
    for wrong in (text(b"05", "c"), text(b"6", "\\"), text(b"7", "\n")):
        assert record(twin, stream + wrong + done(), "openai_responses").failure is not None
    assert record(twin, stream + text(b"8.5", "d") + done(), "openai_responses").parts == [TextPart(rb"ab\u00e9d")]


# -- the dialect -------------------------------------------------------------------------------------------------------


def test_a_count_of_tokens_names_its_object(twin: Any) -> None:
    body = OPENAI_RESPONSES.write_count(7)
    assert body == b'{"object":"response.input_tokens","input_tokens":7}' and OPENAI_RESPONSES.read_count(body) == 7


def test_a_stream_where_a_document_was_asked_for_is_a_reply(twin: Any) -> None:
    reply = OPENAI_RESPONSES.read_stream(load("openai_responses_text"), 1 << 20)
    assert reply.ended and isinstance(reply.parts[0], TextPart)


def test_anthropic_clients_get_blocks_in_order(twin: Any) -> None:
    found = translate(twin, load("openai_responses_done_only"), "openai_responses")
    assert [block.get("name") or block["type"] for block in blocks(found.out)] == ["thinking", "text", "text", "run", "exec"]
