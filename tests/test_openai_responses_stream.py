"""OpenAI Responses streams: what upstreams send, as an Anthropic client gets it, and what a Responses client is sent."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
import openai
import pytest

from anyllm_fast.dialects.openai_responses import OPENAI_RESPONSES
from anyllm_fast.dialects.openai_responses_ends import KEPT_MAX, LAST_NUMBER
from anyllm_fast.neutral.losses import Losses
from anyllm_fast.neutral.reply import CallPart, PrivatePart, RefusalPart, TextPart, ThinkingPart, replay
from anyllm_fast.neutral.request import ToolForm
from anyllm_fast.neutral.stream import Failure
from anyllm_fast.neutral.usage import Usage
from tests.streams import (
    OPTIONS,
    PYTHON,
    blocks,
    corpus,
    dialect_of,
    each_twin,
    encoder,
    event,
    load,
    payloads,
    piped,
    record,
    run,
    translate,
    watched,
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


# -- what a Responses client is sent -----------------------------------------------------------------------------------


def events(out: bytes) -> list[dict[str, Any]]:
    """What was written, with the rules of every stream checked: numbers, indices, ids, and that the end repeats the pieces."""
    found: list[dict[str, Any]] = payloads(b"".join(f + b"\n\n" for f in out.split(b"\n\n")[:-1] if not f.startswith(b":")))
    assert [body["sequence_number"] for body in found] == list(range(len(found)))
    items: list[dict[str, Any]] = []
    pieces: dict[str, str] = {}
    opened: str | None = None
    for body in found:
        kind = body["type"].removeprefix("response.")
        if kind == "output_item.added":
            assert opened is None and body["output_index"] == len(items)
            opened = body["item"]["id"]
        elif kind == "output_item.done":
            assert body["item"]["id"] == opened and body["output_index"] == len(items)
            items.append(body["item"])
            opened = None
        elif "item_id" in body:
            assert body["item_id"] == opened and body["output_index"] == len(items)
        if kind.endswith(".delta"):
            pieces[body["item_id"]] = pieces.get(body["item_id"], "") + body["delta"]
    assert len({item["id"] for item in items}) == len(items)
    if found and found[-1]["type"] in ("response.completed", "response.incomplete"):
        assert found[-1]["response"]["output"] == items and opened is None
        assert {item["id"]: said(item) for item in items if item["id"] in pieces} == pieces
    return found


def said(item: dict[str, Any]) -> str:
    match item["type"]:
        case "message":
            return "".join(part.get("text", "") + part.get("refusal", "") for part in item["content"])
        case "reasoning":
            return "".join(part["text"] for part in item["summary"])
        case "custom_tool_call":
            return str(item["input"])
    return str(item["arguments"])


def judged(stream: bytes) -> Any:
    """The last response by the SDK's own accumulator; raises what a client would see."""
    answer = httpx2.Response(200, headers={"content-type": "text/event-stream"}, content=stream)
    transport = httpx2.MockTransport(lambda request: answer)
    client = openai.OpenAI(api_key="k", max_retries=0, http_client=httpx2.Client(transport=transport))
    with client.responses.stream(model="m", input="x") as made:
        seen = list(made)
    return seen[-1].response


FORMS = {
    b"c": ToolForm("custom", b"c"),
    b"ns__n": ToolForm("namespaced", b"n", b"ns"),
    b"local_shell": ToolForm("local_shell", b"local_shell"),
    b"apply_patch": ToolForm("apply_patch", b"apply_patch"),
}
FORMED = msgspec.structs.replace(OPTIONS, forms=FORMS, origin="anthropic")


@pytest.mark.parametrize("name", OTHERS)
def test_every_stream_of_others_is_accumulated_by_the_sdk(twin: Any, name: str) -> None:
    found = run(piped(twin, dialect_of(name), "openai_responses"), [load(name)])
    written = events(found.out)
    response = judged(found.out)
    assert response.status == written[-1]["response"]["status"]
    if found.failure is not None:
        assert response.status == "failed" and response.error.message == found.failure.message
        return
    reply = record(PYTHON, load(name), dialect_of(name))
    assert response.output_text == "".join(
        msgspec.json.decode(b'"%b"' % part.text) for part in reply.parts if isinstance(part, TextPart)
    )
    calls = [item for item in response.output if item.type == "function_call"]
    assert [call.name.encode() for call in calls] == [part.name for part in reply.parts if isinstance(part, CallPart)]
    if reply.usage.known:
        assert response.usage.input_tokens == max(reply.usage.prompt, 0)
        assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens


@pytest.mark.parametrize("name", [name for name in OTHERS if "error" not in name and "overloaded" not in name])
def test_a_stream_ends_with_the_response_that_a_whole_reply_is(twin: Any, name: str) -> None:
    reply = record(PYTHON, load(name), dialect_of(name))
    whole = msgspec.json.decode(OPENAI_RESPONSES.write_reply(reply, FORMED, Losses()))
    found = run(piped(twin, dialect_of(name), "openai_responses", FORMED), [load(name)])
    last = events(found.out)[-1]["response"]
    if found.losses:  # what is lost between two texts parts two messages there and none here
        return
    assert [item["id"] for item in last["output"]] == [item["id"] for item in whole["output"]]
    assert [item["type"] for item in last["output"]] == [item["type"] for item in whole["output"]]
    assert last["usage"] == whole["usage"] and last["id"] == whole["id"] and last["status"] == whole["status"]


def test_items_are_written_as_openai_writes_them(twin: Any) -> None:
    made = encoder(twin, "openai_responses", FORMED)
    made.thinking(b"t")
    made.seal(b"s")
    made.text(b"x")
    made.text(b"")
    made.text(b"y")
    made.redacted(b"r")
    made.tool(0, b"i", b"f")
    made.args(0, b"{}")
    made.usage(Usage(input=1, output=2))
    made.end()
    body = events(made.take())
    ident = OPTIONS.ident.decode()
    assert [item["id"] for item in body[-1]["response"]["output"]] == [
        f"{prefix}_{ident}_{at}" for at, prefix in enumerate(("rs", "msg", "rs", "fc"))
    ]
    thought, message, hidden, call = body[-1]["response"]["output"]
    assert thought["encrypted_content"] == "anyllm:anthropic:s" and hidden["encrypted_content"] == "anyllm:anthropic:redacted:r"
    assert [part["text"] for part in message["content"]] == ["x", "y"]
    assert (call["arguments"], call["call_id"], call["status"]) == ("{}", "i", "completed")
    assert body[0]["type"] == "response.created" and body[0]["response"]["status"] == "in_progress"
    assert body[-1]["response"]["usage"]["total_tokens"] == 3


@pytest.mark.parametrize(
    ("name", "args", "item"),
    [
        (b"c", rb"{\"input\":\"a\\n\\\"b\\\"\"}", {"type": "custom_tool_call", "name": "c", "input": 'a\n"b"'}),
        (b"c", rb"{\"patch\":1}", {"type": "custom_tool_call", "name": "c", "input": '{"patch":1}'}),
        (b"ns__n", b"{}", {"type": "function_call", "name": "n", "namespace": "ns", "arguments": "{}"}),
        (b"ns__n", b"", {"type": "function_call", "name": "n", "namespace": "ns", "arguments": "{}"}),
        (b"local_shell", rb"{\n\"command\":[\"ls\"]}", {"type": "local_shell_call", "action": {"command": ["ls"]}}),
        (b"apply_patch", rb"{\"type\":\"delete_file\"}", {"type": "apply_patch_call", "operation": {"type": "delete_file"}}),
        (b"apply_patch", rb"[]", {"type": "function_call", "name": "apply_patch", "arguments": "[]"}),
    ],
)
def test_a_call_is_written_as_the_client_knows_the_tool(twin: Any, name: bytes, args: bytes, item: dict[str, Any]) -> None:
    made = encoder(twin, "openai_responses", FORMED)
    made.text(b"x")
    made.tool(0, b"i", name)
    made.args(0, args)
    made.tool(1, b"j", b"plain")
    made.args(1, b"{}")
    made.end()
    found = events(made.take())[-1]["response"]["output"]
    assert len(found) == 3 and item.items() <= found[1].items() and found[1]["call_id"] == "i"


def test_annotations_and_logprobs_stay_with_their_text(twin: Any) -> None:
    nested = b'{"type":"url_citation","url_citation":{"url":"https://x","title":"X","start_index":0,"end_index":1}}'
    cited = b'{"type":"web_search_result_location","url":"https://y","title":"Y","cited_text":"q","encrypted_index":"e"}'
    made = encoder(twin, "openai_responses")
    made.private(b"citation", cited)
    made.text(rb"a\u00e9")
    made.private(b"logprobs", b'[{"token":"a"}]')
    made.private(b"logprobs", b'[\n{"token":"b"}]')
    made.private(b"annotation", nested)
    made.private(b"annotation", b'{"type":"file_citation"}')
    made.private(b"media", b'{"media_type":"image/png","data":"aGk="}')
    made.private(b"media", b'{"media_type":"audio/wav","data":"aGk="}')
    made.end()
    message, image = events(made.take())[-1]["response"]["output"]
    part = message["content"][0]
    assert [note["url"] for note in part["annotations"]] == ["https://x", "https://y"]
    assert part["annotations"][1]["end_index"] == 2 and part["annotations"][1]["cited_text"] == "q"
    assert part["logprobs"] == [{"token": "a"}, {"token": "b"}]
    assert (image["type"], image["result"], image["output_format"]) == ("image_generation_call", "aGk=", "png")
    assert made.losses == ["annotation", "media"]


@pytest.mark.parametrize(
    ("stop", "refusal", "status", "reason"),
    [
        ("end_turn", False, "completed", None),
        ("max_tokens", False, "incomplete", "max_output_tokens"),
        ("content_filter", False, "incomplete", "content_filter"),
        ("refusal", False, "incomplete", "content_filter"),
        ("refusal", True, "completed", None),
    ],
)
def test_a_reply_that_was_cut_short_is_incomplete(twin: Any, stop: Any, refusal: bool, status: str, reason: str | None) -> None:
    made = encoder(twin, "openai_responses")
    (made.refusal if refusal else made.text)(b"x")
    made.stop(stop, None)
    made.end()
    last = events(made.take())[-1]
    assert last["type"] == f"response.{status}" and last["response"]["status"] == status
    assert (last["response"]["incomplete_details"] or {}).get("reason") == reason
    assert last["response"]["output"][0]["status"] == status


def test_a_call_that_was_cut_off_is_incomplete(twin: Any) -> None:
    made = encoder(twin, "openai_responses")
    made.tool(0, b"i", b"f")
    made.args(0, rb"{\"half\":")
    made.stop("max_tokens", None)
    made.end()
    assert events(made.take())[-1]["response"]["output"][0]["status"] == "incomplete"


def test_nothing_follows_the_end_or_a_failure(twin: Any) -> None:
    for finish in (lambda made: made.end(), lambda made: made.fail(Failure("rate_limit", "slow", 429))):
        made = encoder(twin, "openai_responses")
        made.tool(0, b"i", b"n")
        made.text(b"held")
        finish(made)
        assert made.ended and made.take()
        made.text(b"late")
        made.private(b"media", b'{"media_type":"image/png","data":"aGk="}')
        made.redacted(b"r")
        made.stop("end_turn", None)
        made.end()
        made.fail(Failure("api", "again"))
        assert made.take() == b""


def test_a_failure_continues_the_numbers_or_begins_the_stream(twin: Any) -> None:
    for begin in (lambda made: None, lambda made: made.text(b"x")):
        made = encoder(twin, "openai_responses")
        begin(made)
        made.fail(Failure("rate_limit", "slow", 429))
        body = events(made.take())
        assert body[0]["type"] == "response.created" and body[-1]["type"] == "response.failed"
        assert body[-1]["response"]["error"] == {"code": "rate_limit_exceeded", "message": "slow"}


def test_a_reply_that_could_not_be_repeated_is_a_failure(twin: Any) -> None:
    made = encoder(twin, "openai_responses")
    for _ in range(KEPT_MAX // (4 << 20) + 1):
        made.text(b"x" * (4 << 20))
        if made.failure is None:
            made.take()
    assert made.failure is not None and str(KEPT_MAX) in made.failure.message and made.ended


@pytest.mark.parametrize("name", GOOD)
def test_a_recorded_stream_written_again_says_the_same(twin: Any, name: str) -> None:
    reply = record(twin, load(name), "openai_responses")
    made = encoder(twin, "openai_responses", msgspec.structs.replace(FORMED, origin="openai_responses"))
    replay(reply, made)
    again = record(twin, made.take(), "openai_responses")
    for one in (reply, again):
        for part in one.parts:
            match part:
                case ThinkingPart():
                    part.signature = part.signature.partition(b":")[2]  # the id of the item is ours
                case TextPart():
                    part.annotations = [msgspec.json.encode(msgspec.json.decode(raw), order="sorted") for raw in part.annotations]
    unsaid = (b"message.phase", b"annotation.file_citation")
    assert again.parts == [p for p in reply.parts if not (isinstance(p, PrivatePart) and p.name in unsaid)]
    assert (again.stop_reason, again.usage.prompt, again.usage.output) == (
        reply.stop_reason,
        reply.usage.prompt,
        reply.usage.output,
    )


# -- the bypass --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in corpus("openai_responses") if not name.endswith(FAILS)])
def test_a_good_stream_passes_as_it_is(twin: Any, name: str) -> None:
    data = load(name)
    found = run(watched(twin, "openai_responses"), [data])
    assert found.out == data and found.failure is None
    if name not in ("openai_responses_done_only", "openai_responses_last_only", "openai_responses_vllm_reasoning"):
        assert judged(data).id == "resp_68a1c0ffee"


def test_a_stream_that_is_cut_gets_a_failure_that_clients_raise(twin: Any) -> None:
    found = run(watched(twin, "openai_responses"), [load("openai_responses_cut")])
    last = payloads(found.out)[-1]
    assert (last["type"], last["sequence_number"]) == ("response.failed", LAST_NUMBER)
    assert last["response"]["error"]["message"] == last["error"]["message"]
    with pytest.raises(openai.APIError, match="ended before"):
        judged(found.out)


@pytest.mark.parametrize("name", ["error_first", "failed_first", "failed_midway"])
def test_a_failure_of_the_upstreams_own_passes_as_it_is(twin: Any, name: str) -> None:
    data = load(f"openai_responses_{name}")
    found = run(watched(twin, "openai_responses"), [data])
    assert found.out == data and found.failure is not None


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
