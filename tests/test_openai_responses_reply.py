"""anyllm_fast/dialects/openai_responses_reply.py: `response` objects in and out.

The numbers W59 to W63 are faults that were found in another gateway; each test that bears one says what must not happen again.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from openai.types.responses import Response

from anyllm_fast.dialects import openai_responses_request
from anyllm_fast.dialects.openai_chat_reply import read_reply as read_chat
from anyllm_fast.dialects.openai_chat_reply import write_reply as write_chat
from anyllm_fast.dialects.openai_responses_reply import (
    flat_annotation,
    judge_stop,
    nested_annotation,
    read_reply,
    read_usage,
    write_reply,
)
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import (
    CallPart,
    PrivatePart,
    RedactedPart,
    RefusalPart,
    Reply,
    ReplyPart,
    TextPart,
    ThinkingPart,
)
from anyllm_fast.neutral.request import Thinking, ToolForm
from anyllm_fast.neutral.stream import StopReason, StreamOptions
from anyllm_fast.neutral.usage import Usage
from tests.replies import IDENT, NOTED, OPTIONS, REDACTED, REFUSAL, SPAN, USAGE, calls

Json = dict[str, Any]
OWN = replace(OPTIONS, origin="openai_responses")
ANTHROPIC = replace(OPTIONS, origin="anthropic")


def read(body: Any) -> tuple[Reply, dict[str, str]]:
    losses = Losses()
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_reply(raw, losses), dict(losses)


def write(reply: Reply, options: StreamOptions = OPTIONS) -> tuple[Json, dict[str, str]]:
    """Every reply that is written is one that the SDK takes."""
    losses = Losses()
    body = json.loads(write_reply(reply, options, losses))
    Response.model_validate(body)
    return body, dict(losses)


def response(*output: Json, **members: Any) -> Json:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1.0,
        "model": "m",
        "status": "completed",
        "output": [*output],
        **members,
    }


def message(*content: Json, **members: Any) -> Json:
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [*content], **members}


def text(said: str, **members: Any) -> Json:
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": [], **members}


def call(**members: Any) -> Json:
    return {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "call_1",
        "name": "f",
        "arguments": '{"a":1}',
        "status": "completed",
        **members,
    }


# -- reading -----------------------------------------------------------------------------------------------------------


def test_w59_a_response_is_known_by_its_output_and_needs_no_type() -> None:
    reply, losses = read(response(message(text("hello"))))
    assert reply.parts == [TextPart(b"hello")]
    assert (reply.ident, reply.model, reply.stop_reason, reply.ended) == (b"resp_1", b"m", "end_turn", True)
    assert not losses


def test_w61_a_reply_with_calls_stops_for_them() -> None:
    reply, _ = read(response(call()))
    assert reply.parts == [CallPart(b"call_1", b"f", b'{\\"a\\":1}')]
    assert reply.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("members", "stop"),
    [
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "max_tokens"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "pause_turn"),
        ({"status": "incomplete", "incomplete_details": {"reason": "tomorrow"}}, "other"),
        ({"status": "incomplete"}, "max_tokens"),
        ({}, "end_turn"),
    ],
)
def test_w63_an_incomplete_response_says_why(members: Json, stop: str) -> None:
    assert read(response(message(text("x")), **members))[0].stop_reason == stop


def test_a_call_that_was_cut_short_is_no_call_to_answer() -> None:
    assert judge_stop(b"incomplete", b"max_output_tokens", True, False) == "max_tokens"


def test_a_refusal_is_a_refusal() -> None:
    reply, _ = read(response(message({"type": "refusal", "refusal": "no"})))
    assert (reply.parts, reply.stop_reason) == ([RefusalPart(b"no")], "refusal")


def test_w63_a_failed_response_is_a_failure_in_its_own_words() -> None:
    reply, _ = read(response(status="failed", error={"code": "rate_limit_exceeded", "message": "slow down"}))
    assert reply.failure is not None
    assert (reply.failure.kind, reply.failure.message, reply.failure.code) == ("rate_limit", "slow down", "rate_limit_exceeded")
    assert read(response(status="cancelled"))[0].failure is not None


@pytest.mark.parametrize("body", [{}, {"output": "x"}, {"object": "list", "data": []}, [], "x", response(status="queued")])
def test_what_is_no_finished_response_is_none(body: Any) -> None:
    with pytest.raises(ValueError):  # whatever the message
        read(body)


def test_reasoning_is_signed_with_its_items_id() -> None:
    item = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": t} for t in "ab"],
        "encrypted_content": "gAA",
    }
    assert read(response(item))[0].parts == [ThinkingPart(b"a\\n\\nb", b"rs_1:gAA")]
    bare = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "own words"}]}
    assert read(response(bare))[0].parts == [ThinkingPart(b"own words", b"")]
    assert read(response({"type": "reasoning", "id": "rs_1", "summary": []}))[0].parts == []


def test_every_kind_of_call_is_a_call() -> None:
    reply, losses = read(
        response(
            call(namespace="ns"),
            {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c2", "name": "p", "input": 'a "b"\n'},
            {
                "type": "local_shell_call",
                "id": "l",
                "call_id": "c3",
                "status": "completed",
                "action": {"type": "exec", "command": ["ls"]},
            },
            {
                "type": "shell_call",
                "id": "s",
                "call_id": "c4",
                "status": "completed",
                "action": {"commands": ["ls"]},
                "environment": None,
            },
            {
                "type": "apply_patch_call",
                "id": "a",
                "call_id": "c5",
                "status": "completed",
                "operation": {"type": "delete_file", "path": "x"},
            },
        )
    )
    made = [
        (part.ident, part.name, json.loads(json.loads(b'"%b"' % part.args))) for part in reply.parts if isinstance(part, CallPart)
    ]
    assert made == [
        (b"call_1", b"ns__f", {"a": 1}),
        (b"c2", b"p", {"input": 'a "b"\n'}),
        (b"c3", b"local_shell", {"type": "exec", "command": ["ls"]}),
        (b"c4", b"shell", {"commands": ["ls"]}),
        (b"c5", b"apply_patch", {"type": "delete_file", "path": "x"}),
    ]
    assert not losses


def test_a_shell_that_openai_ran_itself_is_no_call_for_the_client() -> None:
    ran = {"type": "shell_call", "id": "s", "call_id": "c", "status": "completed", "action": {"commands": ["ls"]}}
    gave = {"type": "shell_call_output", "id": "o", "call_id": "c", "status": "completed", "output": []}
    reply, _ = read(response(ran, gave, message(text("done"))))
    assert [part.name for part in reply.parts if isinstance(part, PrivatePart)] == [b"shell_call", b"shell_call_output"]
    assert reply.stop_reason == "end_turn"


def test_annotations_are_chats_and_others_are_named_as_losses() -> None:
    web = {"type": "url_citation", "start_index": 0, "end_index": 5, "url": "https://e.com", "title": "E"}
    file = {"type": "file_citation", "file_id": "f", "filename": "n", "index": 0}
    reply, losses = read(response(message(text("hello", annotations=[web, file]))))
    out = json.loads(write_chat(reply, OPTIONS, Losses()))
    inner = {name: value for name, value in web.items() if name != "type"}
    assert out["choices"][0]["message"]["annotations"] == [{"type": "url_citation", "url_citation": inner}]
    assert set(losses) == {"output.0.content.0.annotations.1"}


def test_logprobs_and_pictures_and_items_of_the_servers_are_kept() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    search = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}}
    image = {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA", "output_format": "webp"}
    reply, _ = read(response(search, message(text("a", logprobs=[token])), image))
    assert [type(part) for part in reply.parts] == [PrivatePart, TextPart, PrivatePart]
    assert json.loads(reply.parts[1].logprobs[0]) == [token]  # type: ignore[union-attr]  # a TextPart
    assert reply.parts[2] == PrivatePart(b"media", b'{"media_type":"image/webp","data":"AAAA"}')


def test_what_the_middle_has_no_word_for_is_a_loss_by_name() -> None:
    _, losses = read(response(message(text("a"), phase="final_answer"), call(caller={"type": "direct"})))
    assert set(losses) == {"output.0.phase"}


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"input_tokens": 10, "output_tokens": 5}, Usage(input=10, output=5)),
        (
            {
                "input_tokens": 100,
                "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 10},
                "output_tokens": 50,
                "output_tokens_details": {"reasoning_tokens": 20},
                "total_tokens": 150,
            },
            Usage(input=30, output=50, cache_read=60, cache_write=10, reasoning=20),
        ),
        (None, Usage()),
        ("many", Usage()),
    ],
)
def test_w63_cached_tokens_are_read_from_where_the_api_says_them(usage: Any, counts: Usage) -> None:
    body = response(message(text("x")), usage=usage)
    assert read(body)[0].usage == counts
    assert read_usage(json.dumps(body).encode()) == counts


def test_searches_are_counted() -> None:
    body = response(usage={"input_tokens": 1, "output_tokens": 1}, tool_usage={"web_search": {"num_requests": 3}})
    assert read_usage(json.dumps(body).encode()).web_searches == 3


@given(
    st.binary(max_size=30) | st.sampled_from([b"", b"[]", b'{"usage":5}', b'{"usage":{"input_tokens_details":7}}', b"{" * 5000])
)
def test_usage_of_anything_is_read_without_an_error(body: bytes) -> None:
    assert isinstance(read_usage(body), Usage)


# -- writing -----------------------------------------------------------------------------------------------------------


def test_a_written_reply_is_a_whole_response() -> None:
    parts: list[ReplyPart] = [
        ThinkingPart(b"t", b"SIG"),
        TextPart(b"hello"),
        RefusalPart(b"no"),
        CallPart(b"call_9", b"f", b"{}"),
    ]
    body, losses = write(Reply(parts=parts, usage=Usage(input=3, output=4, cache_read=2, reasoning=1)), ANTHROPIC)
    parsed = Response.model_validate(body)
    assert parsed.output_text == "hello"
    assert (parsed.id, parsed.status, parsed.model, parsed.error, parsed.incomplete_details) == (
        f"resp_{IDENT.decode()}",
        "completed",
        "asked-for",
        None,
        None,
    )
    assert [item["type"] for item in body["output"]] == ["reasoning", "message", "function_call"]
    assert [part["type"] for part in body["output"][1]["content"]] == ["output_text", "refusal"]
    assert len({item["id"] for item in body["output"]}) == 3
    assert body["output"][0]["encrypted_content"] == "anyllm:anthropic:SIG"
    assert parsed.usage is not None
    assert (parsed.usage.input_tokens, parsed.usage.input_tokens_details.cached_tokens, parsed.usage.total_tokens) == (5, 2, 9)
    assert not losses


def test_what_another_vendor_signed_comes_back_from_the_client_as_it_was() -> None:
    body, _ = write(Reply(parts=[ThinkingPart(b"t", b"SIG"), RedactedPart(b"UkVE"), TextPart(b"a")]), ANTHROPIC)
    again = json.dumps({"model": "m", "input": [*body["output"], {"role": "user", "content": "go"}]}).encode()
    one, two = openai_responses_request.read_request(again, Losses()).turns[0].parts[:2]
    assert isinstance(one, Thinking)
    assert isinstance(two, Thinking)
    assert (one.origin, json.loads(bytes(one.signature or b"")), json.loads(bytes(one.text))) == ("anthropic", "SIG", "t")
    assert (two.origin, two.redacted, json.loads(bytes(two.text))) == ("anthropic", True, "UkVE")


@pytest.mark.parametrize(
    ("stop", "status", "reason"),
    [
        ("end_turn", "completed", None),
        ("tool_use", "completed", None),
        ("max_tokens", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("refusal", "incomplete", "content_filter"),
        ("pause_turn", "incomplete", "max_output_tokens"),
        ("context_window", "incomplete", "max_output_tokens"),
    ],
)
def test_why_a_reply_ended_is_said_as_its_status(stop: StopReason, status: str, reason: str | None) -> None:
    body, _ = write(Reply(parts=[TextPart(b"x")], stop_reason=stop))
    assert body["status"] == status
    assert body["incomplete_details"] == (None if reason is None else {"reason": reason})


def test_calls_come_in_the_clients_own_forms() -> None:
    forms = {
        b"patch": ToolForm("custom", b"patch"),
        b"ns__wait": ToolForm("namespaced", b"wait", b"ns"),
        b"ns__exec": ToolForm("custom", b"exec", b"ns"),
        b"local_shell": ToolForm("local_shell", b"local_shell"),
        b"shell": ToolForm("shell", b"shell"),
        b"apply_patch": ToolForm("apply_patch", b"apply_patch"),
    }
    parts = [
        CallPart(b"c1", b"patch", rb"{\"input\":\"a \\\"b\\\"\\n\"}"),
        CallPart(b"c2", b"alias", rb"{\"ms\":1}"),
        CallPart(b"c3", b"ns__exec", rb"{\"input\":\"x\"}"),
        CallPart(b"c4", b"local_shell", rb"{\"type\":\"exec\",\"command\":[\"ls\"],\"env\":{}}"),
        CallPart(b"c5", b"shell", rb"{\"commands\":[\"ls\"]}"),
        CallPart(b"c6", b"apply_patch", rb"{\"type\":\"delete_file\",\"path\":\"x\"}"),
    ]
    body, losses = write(Reply(parts=[*parts]), replace(OPTIONS, forms=forms, names={b"alias": b"ns__wait"}))
    found = [{name: value for name, value in item.items() if name not in ("id", "status", "call_id")} for item in body["output"]]
    assert found == [
        {"type": "custom_tool_call", "name": "patch", "input": 'a "b"\n'},
        {"type": "function_call", "name": "wait", "namespace": "ns", "arguments": '{"ms":1}'},
        {"type": "custom_tool_call", "name": "exec", "namespace": "ns", "input": "x"},
        {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},
        {"type": "shell_call", "action": {"commands": ["ls"]}},
        {"type": "apply_patch_call", "operation": {"type": "delete_file", "path": "x"}},
    ]
    assert not losses


def test_citations_of_web_pages_are_flat_and_others_are_announced() -> None:
    web = b'{"type":"web_search_result_location","cited_text":"q","encrypted_index":"E","title":"T","url":"https://e.com"}'
    place = b'{"type":"char_location","cited_text":"q","document_index":0}'
    body, losses = write(Reply(parts=[TextPart(b"hello", [web, place])]))
    assert body["output"][0]["content"][0]["annotations"] == [
        {
            "type": "url_citation",
            "start_index": 0,
            "end_index": 5,
            "title": "T",
            "url": "https://e.com",
            "cited_text": "q",
            "encrypted_index": "E",
        }
    ]
    assert set(losses) == {"citation"}


def test_blocks_of_other_vendors_are_announced_even_if_they_are_named_like_items() -> None:
    _, losses = write(
        Reply(parts=[PrivatePart(b"compaction", b'{"type":"compaction","content":"x"}'), PrivatePart(b"code.x", b"1")]),
        replace(OPTIONS, origin="anthropic"),
    )
    assert set(losses) == {"compaction", "code.x"}


def test_a_call_without_an_id_gets_one_that_is_always_the_same() -> None:
    first, _ = write(Reply(parts=[CallPart(b"", b"f", b"")]))
    assert first == write(Reply(parts=[CallPart(b"", b"f", b"")]))[0]
    assert first["output"][0]["call_id"]
    assert first["output"][0]["arguments"] == "{}"


SIGNED = st.builds(ThinkingPart, SPAN, st.builds(lambda sealed: b"rs_1:" + sealed, st.sampled_from([b"gAAAAB", b"x"])))


@st.composite
def replies(draw: st.DrawFn) -> Reply:
    """What one response can say."""
    parts: list[ReplyPart] = [*draw(st.lists(SIGNED, max_size=2)), *draw(st.lists(NOTED | REFUSAL, max_size=3)), *draw(calls(3))]
    refused = any(isinstance(part, RefusalPart) for part in parts)
    called = any(isinstance(part, CallPart) for part in parts)
    stop: StopReason = draw(st.sampled_from(["max_tokens", "tool_use" if called else "refusal" if refused else "end_turn"]))
    usage = draw(USAGE)
    for name in ("cache_read", "cache_write", "reasoning"):
        setattr(usage, name, max(getattr(usage, name), 0))
    return Reply(parts=parts, stop_reason=stop, usage=usage, ended=True)


@given(reply=replies())
def test_a_reply_that_is_written_and_read_is_the_same(reply: Reply) -> None:
    """Its items get ids of their own."""
    body, losses = write(reply, OWN)
    again, lost = read(body)
    for part in again.parts:
        if isinstance(part, ThinkingPart):
            part.signature = b"rs_1:" + part.signature.partition(b":")[2]
        if isinstance(part, TextPart):
            part.annotations = [flat_annotation(raw) or raw for raw in part.annotations]
    for part in reply.parts:
        if isinstance(part, TextPart):
            part.annotations = [flat_annotation(raw) or raw for raw in part.annotations]
    assert [normal(part) for part in again.parts] == [normal(part) for part in reply.parts]
    assert (again.stop_reason, again.usage) == (reply.stop_reason, reply.usage)
    assert not losses
    assert not lost


def normal(part: Any) -> Any:
    """Spans as what they say: JSON has several spellings."""
    match part:
        case TextPart():
            return TextPart(said(part.text), [], [json.loads(raw) for raw in part.annotations])
        case RefusalPart():
            return RefusalPart(said(part.text))
        case ThinkingPart():
            return ThinkingPart(said(part.text), part.signature)
        case CallPart():
            return CallPart(part.ident, part.name, said(part.args))
    return part


def said(span: bytes) -> Any:
    return json.loads(b'"%b"' % span)


@given(reply=st.builds(Reply, parts=st.lists(REDACTED | NOTED | REFUSAL | SIGNED, max_size=4)))
def test_every_written_reply_is_one_that_the_sdk_takes(reply: Reply) -> None:
    write(reply, ANTHROPIC)


@given(
    annotation=st.builds(
        lambda url: {"type": "url_citation", "start_index": 1, "end_index": 2, "url": url, "title": "t"}, st.text(max_size=5)
    )
)
def test_an_annotation_goes_to_chat_and_back_unchanged(annotation: Json) -> None:
    nested = nested_annotation(json.dumps(annotation).encode())
    assert nested is not None
    assert json.loads(flat_annotation(nested) or b"") == annotation


def test_a_chat_completion_is_a_response_for_the_client() -> None:
    answer = {
        "role": "assistant",
        "content": "hi",
        "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    body = {
        "id": "x",
        "object": "chat.completion",
        "model": "m",
        "choices": [{"index": 0, "message": answer, "finish_reason": "tool_calls"}],
    }
    out, losses = write(read_chat(json.dumps(body).encode(), Losses()))
    assert [item["type"] for item in out["output"]] == ["message", "function_call"]
    assert not losses
